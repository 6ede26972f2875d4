"""A learned evolution strategy computes its equations, is invariant to units, and is tested on held-out functions."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.inner_training import begin, learning_curve
from evometa.problems import LearnedEvolutionStrategy
from evometa.problems.functions.black_boxes import FUNCTIONS
from evometa.strategies.es.learned_es import PATHS, TIME_SCALES

KEY = jax.random.key(8)
SMALL = LearnedEvolutionStrategy(
    inner_steps=3,
    population_size=5,
    dimension=3,
    units=4,
    functions=("sphere", "rosenbrock"),
    test_functions=("ackley",),
)


@pytest.fixture(scope="module")
def omega() -> Any:
    drawn = jax.device_get(jax.jit(SMALL._draw)(jax.random.key(2)))
    return drawn | {"rates_bias": np.array([0.3, -0.2], np.float32)}


def reference(omega: Any, learner: Any, noise: Any, values: Any) -> dict[str, Any]:
    """Return mean, sigma and paths after one population, by the equations of the docstring, in float64."""
    w = {name: np.asarray(leaf, np.float64) for name, leaf in omega.items()}
    values, noise = np.asarray(values, np.float64), np.asarray(noise, np.float64)
    count = len(values)
    rank = np.array([np.sum(values < v) + (np.sum(values == v) - 1) / 2 for v in values]) / (count - 1) - 0.5
    features = np.stack([rank, (values - values.mean()) / values.std(), values < float(learner.best)], axis=1)

    def softmax(x: Any) -> Any:
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)

    attention = softmax(features @ w["query"] @ (features @ w["key"]).T / np.sqrt(w["query"].shape[1]))
    weights = softmax((attention @ features @ w["value"])[:, 0])
    moved, square = weights @ noise, weights @ noise**2
    old = np.asarray(learner.paths, np.float64)
    fresh = [moved] * len(PATHS) + [square - 1] * len(PATHS)
    paths = np.stack([(1 - a) * p + a * n for a, p, n in zip([*PATHS, *PATHS], old, fresh, strict=True)])
    time = np.tanh(int(learner.generation) / TIME_SCALES - 1)
    hidden = np.maximum(paths.T @ w["paths"] + time @ w["time"], 0)
    rates = 1 / (1 + np.exp(-(hidden @ w["rates"] + w["rates_bias"])))
    mean, sigma = (np.asarray(part, np.float64) for part in (learner.mean, learner.sigma))
    x = mean + sigma * noise
    return {
        "mean": mean + rates[:, 0] * (weights @ x - mean),
        "sigma": sigma + rates[:, 1] * (np.sqrt(weights @ (x - mean) ** 2) - sigma),
        "paths": paths,
    }


def test_a_generation_is_what_the_description_says(omega: Any) -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    learner, noise = jax.jit(lambda task: begin(SMALL, KEY, omega, task))(task), np.asarray(task.noise)
    evaluate, step = (jax.jit(part) for part in (SMALL.values, SMALL.step))
    for number in range(3):
        values = np.asarray(evaluate(task, np.asarray(learner.mean) + np.asarray(learner.sigma) * noise[number]))
        expected = reference(omega, learner, noise[number], values)
        best = min(float(learner.best), float(values.min()))
        learner = step(KEY, omega, task, learner)
        for name, right in expected.items():
            np.testing.assert_allclose(getattr(learner, name), right, rtol=1e-4, atol=1e-5)
        assert float(learner.best) == pytest.approx(best)
    assert float(jax.jit(SMALL.loss)(KEY, omega, task, learner)) == pytest.approx(np.log10(best), rel=1e-5)


def test_neither_order_nor_size_of_values_matters(omega: Any) -> None:
    learner = jax.jit(lambda: begin(SMALL, KEY, omega, SMALL.sample_task(KEY)))()._replace(best=np.float32(3.0))
    noise = np.random.default_rng(0).standard_normal((6, 3), np.float32)
    values, update = np.array([4.0, 2.0, 7.0, 2.0, 5.0, 1.0], np.float32), jax.jit(SMALL.update)
    turned = np.array([3, 5, 0, 1, 4, 2])
    one = update(omega, learner, noise, values)
    others = (
        update(omega, learner, noise[turned], values[turned]),
        update(omega, learner._replace(best=learner.best * 1000), noise, values * 1000),
    )
    for other in others:
        np.testing.assert_allclose(other.mean, one.mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other.sigma, one.sigma, rtol=1e-5)


def test_weights_that_prefer_low_ranks_go_down() -> None:
    problem = LearnedEvolutionStrategy(inner_steps=60, population_size=24, dimension=3, functions=("sphere",))
    nothing = jax.tree.map(jnp.zeros_like, problem._draw(KEY))
    good = nothing | {
        "query": jnp.zeros_like(nothing["query"]).at[0].set(12.0),  # each attends to those that are ranked like it
        "key": jnp.zeros_like(nothing["key"]).at[0].set(12.0),
        "value": jnp.array([[-8.0], [0.0], [0.0]], jnp.float32),
        "rates_bias": jnp.array([3.0, 0.0], jnp.float32),
    }
    run = jax.jit(lambda omega: learning_curve(problem, KEY, omega, problem.sample_task(KEY), (0, 60))[0])
    first, last = run(good)
    assert first == 0
    assert last < -4
    assert run(nothing)[1] > -2  # equal weights for all: a random walk


def test_functions_are_least_at_the_optimum_and_1_at_the_start(omega: Any) -> None:
    draw, evaluate = jax.jit(SMALL.task), jax.jit(SMALL.values)
    for number, name in enumerate(SMALL._names):
        task = jax.device_get(draw(KEY, np.int32(number)))
        np.testing.assert_allclose(evaluate(task, task.start[None]), [1.0], rtol=1e-5)
        assert abs(float(evaluate(task, task.optimum[None])[0])) < 1e-5
        point = np.asarray(task.start) / 3
        turned = np.asarray(task.rotation, np.float64) @ (point - np.asarray(task.optimum))
        function = jax.jit(FUNCTIONS[name])
        plain = [float(function(np.asarray(x, np.float32))) for x in (turned, np.zeros(3))]
        assert plain[1] == pytest.approx(0, abs=1e-6)
        found = np.asarray(evaluate(task, point[None].astype(np.float32)))[0] * task.scale
        np.testing.assert_allclose(found, plain[0], rtol=1e-3)
    np.testing.assert_allclose(task.rotation @ task.rotation.T, np.eye(3), atol=1e-5)


def test_held_out_tasks_have_functions_that_are_not_trained_on() -> None:
    problem = LearnedEvolutionStrategy()
    assert not set(problem.functions) & set(problem.test_functions)
    keys = jax.random.split(KEY, 200)
    draw = jax.jit(jax.vmap(lambda key: (SMALL.sample_task(key).function, SMALL.sample_test_task(key).function)))
    seen, held_out = draw(keys)
    assert set(np.asarray(seen).tolist()) == {0, 1}
    assert set(np.asarray(held_out).tolist()) == {2}
    shifted = SMALL.shifted()
    assert (shifted["more dimensions"].dimension, shifted["larger population"].population_size) == (9, 20)
    assert {other.space.size for other in shifted.values()} == {SMALL.space.size}


def test_what_diverges_is_as_bad_as_it_gets() -> None:
    task = jax.device_get(jax.jit(SMALL.sample_task)(KEY))
    points = np.stack([task.start, np.full(3, np.nan), np.full(3, 1e30)]).astype(np.float32)
    values = jax.jit(SMALL.values)(task, points)
    np.testing.assert_allclose(values, [1, 1e6, 1e6], rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2"),
        ({"dimension": 1}, "to be a whole number of at least 2"),
        ({"units": 0}, "to be a whole number of at least 1, got 0"),
        ({"sigma": 0.0}, "to be a number above 0, got 0.0"),
        ({"functions": ()}, "expects one or more of sphere, ellipsoid"),
        ({"test_functions": ("parabola",)}, "expects one or more of sphere, ellipsoid"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        dataclasses.replace(SMALL, **settings)
