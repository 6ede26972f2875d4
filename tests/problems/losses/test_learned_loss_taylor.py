"""LearnedLossTaylor: the polynomial of the paper, and losses that are among its values."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.problems import LearnedLossTaylor
from evometa.problems.shared.classification import table
from evometa.problems.shared.networks import MLP

KEY = jax.random.key(0)
SMALL = LearnedLossTaylor(num_tasks=2, inner_steps=4, learning_rate=0.3, hidden=(8,), batch_size=16)
P = np.linspace(0.05, 0.95, 7)


def loss(omega: Any, prediction: Any, label: Any) -> Any:
    return SMALL.example_loss(jnp.asarray(omega, jnp.float32), jnp.asarray(prediction), jnp.asarray(label))


def test_it_is_minus_the_polynomial_term_by_term() -> None:
    v, u, *coefficients = np.random.default_rng(0).normal(size=8)
    p, y = P - u, 1.0 - v
    terms = [p, p**2 / 2, p**3 / 6, y * p, y * p**2 / 2, y**2 * p / 2]
    expected = -np.einsum("i,ij->j", np.array(coefficients), np.array(terms))
    np.testing.assert_allclose(loss([v, u, *coefficients], P, np.ones(7)), expected, rtol=1e-5)


def test_a_search_begins_at_cross_entropy_to_second_order() -> None:
    start = SMALL.space.decode(SMALL.space.start(KEY))
    slope, curvature = jax.grad(loss, 1)(start, 0.5, 1.0), jax.grad(jax.grad(loss, 1), 1)(start, 0.5, 1.0)
    assert (slope, curvature) == (pytest.approx(-1 / 0.5), pytest.approx(1 / 0.5**2))  # of -log p
    np.testing.assert_allclose(loss(start, P, np.zeros(7)), 0.0, atol=1e-6)


def test_a_step_down_the_squared_error() -> None:
    """(p - y)²: a = 0, b = -2, d = 2 around 0, but for y², which has no gradient."""
    task, data = jax.jit(SMALL.sample_task)(KEY), table("digits")
    learner = SMALL.init(KEY, None, task)
    after = SMALL.step(KEY, jnp.array([0.0, 0, 0, -2, 0, 2, 0, 0]), task, learner)
    rows = np.asarray(task.batches[0])

    def error(weights: Any) -> Any:
        prediction = jax.nn.softmax(MLP((8, 10)).run(weights, jnp.asarray(data.features[rows])))
        return jnp.mean(jnp.sum((prediction - data.targets[rows]) ** 2, axis=1))

    expected = jax.tree.map(lambda w, g: w - 0.3 * g, learner.weights, jax.grad(error)(learner.weights))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), after.weights, expected)
