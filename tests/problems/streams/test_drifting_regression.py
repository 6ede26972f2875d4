"""Targets drift as often as they should, and the learner is normalised least mean squares at the rate that is set."""

import jax
import numpy as np
import pytest

from evometa.inner_training import learning_curve
from evometa.problems import DriftingRegression

PROBLEM = DriftingRegression(inner_steps=40, switch=0.2, inputs=3)


def test_a_target_that_never_drifts_is_linear_regression() -> None:
    task = DriftingRegression(inner_steps=40, inputs=3, drift=0.0, noise=0.01).sample_task(jax.random.key(0))
    weights, *_ = np.linalg.lstsq(np.asarray(task.inputs), np.asarray(task.targets), rcond=None)
    np.testing.assert_allclose(task.inputs @ weights, task.targets, atol=1e-4)
    assert np.std(task.labels - task.targets) == pytest.approx(0.01, rel=0.4)


def test_drifting_begins_and_ends_as_often_as_it_should() -> None:
    first, changes = jax.random.split(jax.random.key(1))
    draw = jax.jit(jax.vmap(PROBLEM.drifting))
    moving = np.asarray(draw(jax.random.split(first, 200), jax.random.split(changes, 200)))
    assert (np.diff(moving, axis=1) != 0).mean() == pytest.approx(0.2, abs=0.03)
    assert moving.mean() == pytest.approx(0.5, abs=0.1)


def test_the_regret_is_that_of_normalised_least_mean_squares() -> None:
    key = jax.random.key(2)
    task = jax.jit(PROBLEM.sample_task)(key)
    omega = jax.jit(lambda: PROBLEM.space.decode(PROBLEM.space.sample(key)))()
    curve, _ = jax.jit(lambda: learning_curve(PROBLEM, key, omega, task, tuple(range(1, 41))))()
    weights, errors, expected = np.zeros(3), np.ones(2), []
    forgotten = 1 / (1 + np.exp(-np.asarray(omega["forgetting"])))
    for x, label, target in zip(*map(np.asarray, task), strict=True):
        prediction = x @ weights
        expected.append((prediction - target) ** 2)
        errors = errors + forgotten * ((label - prediction) ** 2 - errors)
        logs = np.log(errors + 1e-6)
        hidden = np.tanh(np.append(logs, logs[0] - logs[1]) @ omega["kernel"] + omega["bias"])
        rate = 1 / (1 + np.exp(-(hidden @ omega["output"] + omega["output_bias"])))
        weights = weights + rate * (label - prediction) * x / (x @ x)
    np.testing.assert_allclose(curve, expected, rtol=1e-3, atol=1e-5)
