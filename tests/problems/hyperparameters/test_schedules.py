"""Schedules are read between their knots, stretch with the training, and cost what the closed form says."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import At, ConfigurationError, Mean
from evometa.inner_training import learning_curve
from evometa.problems import DigitsHyperparameters, HyperparameterSchedule, NoisyQuadratic
from evometa.problems.shared.digits import digits

KEY = jax.random.key(3)
SMALL = HyperparameterSchedule(num_tasks=1, inner_steps=5, batch_size=8, hidden=(4,), knots=3)


def test_between_knots_the_logarithm_is_linear() -> None:
    problem = NoisyQuadratic(inner_steps=9, knots=3)
    rates = problem.rates(jnp.array([0.01, 1.0, 0.1], jnp.float32))
    np.testing.assert_allclose(rates, 10.0 ** np.array([-2, -1.5, -1, -0.5, 0, -0.25, -0.5, -0.75, -1]), rtol=1e-5)
    assert problem.rate(jnp.array([0.01, 1.0, 0.1]), 50) == pytest.approx(0.1, rel=1e-5)  # beyond the end: the last


@pytest.mark.parametrize(("knots", "steps"), [(1, 4), (4, 4), (3, 1)])
def test_one_knot_is_a_constant_and_as_many_as_steps_are_themselves(knots: int, steps: int) -> None:
    omega = np.geomspace(0.5, 0.05, knots).astype(np.float32)
    problem = NoisyQuadratic(inner_steps=steps, knots=knots)
    np.testing.assert_allclose(problem.rates(jnp.asarray(omega)), omega if knots == steps else omega[0], rtol=1e-5)


def test_a_schedule_stretches_with_the_training() -> None:
    omega = jnp.array([0.3, 0.1, 0.01])
    short, long = (dataclasses.replace(SMALL, inner_steps=steps).rates(omega) for steps in (5, 9))
    np.testing.assert_allclose(long[::2], short, rtol=1e-5)
    assert SMALL.shifted()["twice the steps"].inner_steps == 10
    assert SMALL.shifted()["wider network"].hidden == (16,)


def test_digits_are_trained_at_the_scheduled_rates() -> None:
    omega = np.array([0.5, 0.2, 0.01], np.float32)
    task = jax.jit(SMALL.sample_test_task)(KEY)
    np.testing.assert_array_equal(task.evaluation_rows, digits().test)
    assert np.isin(jax.jit(SMALL.sample_task)(KEY).evaluation_rows, digits().validation).all()
    weights: Any = jax.tree.map(np.asarray, task.weights)
    velocity = jax.tree.map(np.zeros_like, weights)
    data = digits()

    def error(weights: Any, rows: Any) -> Any:
        logits = SMALL.training.predict(weights, jnp.asarray(data.features)[rows])
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(rows)), jnp.asarray(data.labels)[rows]])

    slope = jax.jit(jax.grad(error))
    for rate, rows in zip([0.5, np.sqrt(0.1), 0.2, np.sqrt(0.002), 0.01], np.asarray(task.batches), strict=True):
        gradient = jax.device_get(slope(weights, rows))
        velocity = jax.tree.map(lambda v, g, w: 0.9 * v + g + 1e-4 * w, velocity, gradient, weights)
        weights = jax.tree.map(lambda w, v, rate=rate: w - rate * v, weights, velocity)
    losses, learner = jax.jit(lambda: learning_curve(SMALL, KEY, omega, task, (5,)))()
    for found, right in zip(jax.tree.leaves(learner.weights), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(losses[0], jax.jit(error)(weights, data.test), rtol=1e-3)
    assert isinstance(SMALL.training, DigitsHyperparameters)


@pytest.mark.parametrize("objective", [None, At((2, 5)), Mean()], ids=["final", "at", "mean"])
def test_the_quadratic_costs_what_its_closed_form_says(objective: Any) -> None:
    problem = NoisyQuadratic(num_tasks=1, inner_steps=6, knots=2, dimension=4000)
    problem = problem if objective is None else dataclasses.replace(problem, objective=objective)
    omega = jnp.array([0.3, 0.02], jnp.float32)
    evaluate = jax.jit(jax.vmap(lambda key: problem.evaluate_task(key, omega, problem.sample_task(key)).fitness))
    found = np.asarray(evaluate(jax.random.split(KEY, 60)))
    assert abs(found.mean() - problem.expected(problem.rates(omega))) < 4 * found.std(ddof=1) / np.sqrt(len(found))


def test_no_schedule_is_better_than_the_best_and_the_best_is_what_it_says() -> None:
    problem = NoisyQuadratic(inner_steps=40)
    best = 1 / (1 + problem.variance + np.arange(40))
    assert problem.expected(best) == pytest.approx(problem.best_schedule(), rel=1e-12)
    assert problem.best_schedule() == pytest.approx(1 / (1 + 40 / 10))
    assert problem.expected([0.1, 0.05]) == pytest.approx(problem.expected(np.repeat([0.1, 0.05], 20)))
    rng = np.random.default_rng(0)
    others = [problem.expected(best * np.exp(0.05 * rng.standard_normal(40))) for _ in range(20)]
    assert min(others) > problem.best_schedule()
    assert problem.best_schedule() < problem.best_constant() < min(problem.expected([rate]) for rate in (0.03, 0.2))


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (NoisyQuadratic, {"knots": 0}, "to be a whole number of at least 1, got 0"),
        (NoisyQuadratic, {"variance": -1.0}, "to be a number of at least 0, got -1.0"),
        (NoisyQuadratic, {"dimension": 0}, "to be a whole number of at least 1, got 0"),
        (HyperparameterSchedule, {"knots": 0}, "to be a whole number of at least 1, got 0"),
        (HyperparameterSchedule, {"batch_size": 0}, "of at least 1"),
        (HyperparameterSchedule, {"momentum": 1.0}, "to be a number of at least 0 and below 1, got 1.0"),
    ],
)
def test_bad_settings(cls: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        cls(**settings)
