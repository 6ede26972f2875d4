"""Curves of every family, the modulation's gradient descent against numpy, and one initialisation as without it."""

from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.problems import MultimodalRegression

KEY = jax.random.key(4)


def test_curves_are_of_the_families_and_noisy() -> None:
    problem = MultimodalRegression(modes=("sine", "line", "quadratic"), test_queries=20)
    tasks = jax.jit(jax.vmap(problem.sample_test_task))(jax.random.split(KEY, 300))
    assert tasks.support_x.shape == (300, 5, 1)
    assert np.abs(tasks.query_x).max() <= 5
    assert np.bincount(tasks.mode).min() > 60
    u, v, w = np.asarray(tasks.numbers).T[:, :, None]
    x, mode = np.asarray(tasks.query_x)[:, :, 0], np.asarray(tasks.mode)[:, None]
    sine = (0.1 + 4.9 * u) * np.sin(x - np.pi * v)
    line = (6 * u - 3) * x + 6 * v - 3
    side = 2 * u - 1
    parabola = np.sign(side) * (0.02 + 0.13 * abs(side)) * (x - (6 * v - 3)) ** 2 + 6 * w - 3
    noise = np.asarray(tasks.query_y)[:, :, 0] - np.choose(mode, (sine, line, parabola))
    assert noise.std() == pytest.approx(0.3, rel=0.03)
    assert abs(noise.mean()) < 0.02


def numpy_predict(weights: Any, scale: Any, shift: Any, x: Any) -> Any:
    hidden = np.maximum((x @ weights["Dense_0"]["kernel"] + weights["Dense_0"]["bias"]) * (1 + scale) + shift, 0)
    return hidden @ weights["Dense_1"]["kernel"] + weights["Dense_1"]["bias"]


def test_the_modulation_is_encoded_in_any_order_and_then_descends() -> None:
    problem = MultimodalRegression(hidden=(4,), encoder=3, inner_steps=1, noise=0.0)

    @jax.jit
    def run(key: Any) -> Any:
        omega, task = problem.space.decode(problem.space.sample(key)), problem.sample_task(key)
        task_layer = omega["encoder"]["task"]["Dense_1"]
        omega["encoder"]["task"]["Dense_1"] = jax.tree.map(lambda w: 0.1 * jax.random.normal(key, w.shape), task_layer)
        turned = task._replace(support_x=task.support_x[::-1], support_y=task.support_y[::-1])
        before, again = (problem.init(key, omega, one) for one in (task, turned))
        losses, after = learning_curve(problem, key, omega, task, (0, 1))
        return omega, task, before, again, losses, after

    omega, task, before, again, losses, after = jax.device_get(run(KEY))
    np.testing.assert_allclose(before, again, atol=1e-6)
    assert (before != 0).any()

    def error(modulation: Any, x: Any, y: Any) -> Any:
        return np.mean((numpy_predict(omega["weights"], *modulation, x) - y) ** 2)

    assert losses[0] == pytest.approx(error(before, task.query_x, task.query_y), rel=1e-4)
    assert losses[1] == pytest.approx(error(after, task.query_x, task.query_y), rel=1e-4)
    before = before.astype(np.float64)
    gradient = np.zeros_like(before)
    for place in np.ndindex(*before.shape):  # by central differences
        ends = []
        for side in (1e-5, -1e-5):
            moved = before.copy()
            moved[place] += side
            ends.append(error(moved, task.support_x, task.support_y))
        gradient[place] = (ends[0] - ends[1]) / 2e-5
    np.testing.assert_allclose(after, before - np.exp(omega["log_rates"]) * gradient, atol=1e-4)


def test_without_a_modulation_all_weights_adapt() -> None:
    problem = MultimodalRegression(hidden=(4,), modulated=False, inner_steps=1)
    assert problem.space.size == 2 * (4 + 4 + 4 + 1)  # and as many step sizes

    @jax.jit
    def run(key: Any) -> Any:
        omega, task = problem.space.decode(problem.space.start(key)), problem.sample_task(key)
        return omega, problem.step(key, omega, task, problem.init(key, omega, task)), task

    omega, learner, task = jax.device_get(run(KEY))
    outputs = numpy_predict(omega["weights"], 0, 0, task.support_x)
    moved = omega["weights"]["Dense_1"]["bias"] - 0.01 * np.mean(2 * (outputs - task.support_y), axis=0)
    np.testing.assert_allclose(learner["Dense_1"]["bias"], moved, rtol=1e-4)


def test_an_unknown_family() -> None:
    with pytest.raises(ConfigurationError, match="modes"):
        MultimodalRegression(modes=("sine", "cubic"))  # type: ignore[arg-type]
