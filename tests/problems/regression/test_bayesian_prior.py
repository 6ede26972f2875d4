"""Inference of the learned prior against a Gaussian process of numpy, the tasks, and the errors."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.problems import BayesianPrior

KEY = jax.random.key(3)


def test_inference_is_that_of_the_gaussian_process() -> None:
    problem = BayesianPrior(inner_steps=3, queries=4, hidden=5, features=2)

    @jax.jit
    def run(key: Any) -> Any:
        omega, task = problem.space.decode(problem.space.sample(key)), problem.sample_task(key)
        omega = omega | {"mean": omega["outputs"][0], "log_noise": omega["log_noise"] - 1}
        losses, learner = learning_curve(problem, key, omega, task, (0, 3))
        return omega, task, losses, problem.metrics(key, omega, task, learner)

    omega, task, losses, metrics = jax.device_get(run(KEY))

    def features(x: Any, function: Any = np.sin) -> Any:
        return function(x[:, None] * omega["frequencies"] + omega["shifts"]) @ omega["outputs"] + omega["bias"]

    given, asked, noise = features(task.support_x), features(task.query_x), np.exp(-2)
    inverse = np.linalg.inv(given @ given.T + noise * np.eye(3))
    mean = asked @ omega["mean"] + asked @ given.T @ inverse @ (task.support_y - given @ omega["mean"])
    variance = np.diag(asked @ asked.T - asked @ given.T @ inverse @ given @ asked.T) + noise
    z = (task.query_y - mean) / np.sqrt(variance)
    expected = np.mean(z**2 / 2 + np.log(2 * np.pi * variance) / 2)
    assert losses[1] == pytest.approx(expected, rel=1e-3)
    prior = np.sum(asked**2, axis=1) + noise
    error = (task.query_y - asked @ omega["mean"]) ** 2
    assert losses[0] == pytest.approx(np.mean(error / prior + np.log(2 * np.pi * prior)) / 2, rel=1e-3)
    assert metrics["squared_error"] == pytest.approx(np.mean((task.query_y - mean) ** 2), rel=1e-3)
    assert metrics["covered"] == np.mean(np.abs(z) <= 1.6449)
    tanh = dataclasses.replace(problem, activation="tanh").describe(omega, task.query_x)
    np.testing.assert_allclose(tanh, features(task.query_x, np.tanh), atol=1e-5)


def test_points_are_noisy_ones_of_the_wave() -> None:
    problem = BayesianPrior(test_queries=30)
    shifted = problem.shifted()["x to 10"]
    assert shifted.x_range == (-5.0, 10.0)
    task, far = jax.jit(
        lambda keys: (jax.vmap(problem.sample_test_task)(keys), jax.vmap(shifted.sample_test_task)(keys))
    )(jax.random.split(KEY, 100))
    wave = task.amplitude[:, None] * np.sin(task.query_x - task.phase[:, None])
    assert np.std(task.query_y - wave) == pytest.approx(0.1, rel=0.05)
    wave = task.amplitude[:, None] * np.sin(task.support_x - task.phase[:, None])
    assert np.std(task.support_y - wave) == pytest.approx(0.1, rel=0.1)
    assert task.support_x.shape == (100, 5)
    assert np.abs(task.query_x).max() <= 5 < 9 < far.query_x.max() <= 10


def test_bad_range() -> None:
    with pytest.raises(ConfigurationError, match="x_range as two numbers, the smaller first, got"):
        BayesianPrior(x_range=(5.0, -5.0))
