"""Pictures are split and their pixels drawn as they should be; steps descend; the ratio is that of the definition."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.problems import ImageCompletion

KEY = jax.random.key(6)
PROBLEM = ImageCompletion(pictures_of="digits", hidden=(3,), inner_steps=1, frequency=1)


def test_held_out_pictures_are_others_and_a_quarter_of_the_pixels_is_known() -> None:
    for problem in (PROBLEM, dataclasses.replace(PROBLEM, pictures_of="glyphs")):
        training, held_out = ({image.tobytes() for image in part} for part in problem.images)
        assert not training & held_out
        pixels = problem.side**2
        assert problem.images[0].shape[1] == pixels == len(problem.positions)
        tasks = jax.device_get(jax.jit(problem.sample_test_task)(KEY))
        assert tasks.pixels.tobytes() in held_out
        assert 0 <= tasks.pixels.min() < 0.1 < 0.7 < tasks.pixels.max() <= 1
        assert len(set(tasks.known.tolist())) == round(pixels / 4)
    assert PROBLEM.positions[1].tolist() == pytest.approx([-1, -1 + 2 / 7])


def test_a_step_is_gradient_descent_on_the_known_pixels() -> None:
    @jax.jit
    def run(key: Any) -> Any:
        omega, task = PROBLEM.space.decode(PROBLEM.space.sample(key)), PROBLEM.sample_task(key)
        losses, learner = learning_curve(PROBLEM, key, omega, task, (0, 1))
        return omega, task, losses, learner, PROBLEM.metrics(key, omega, task, learner)["psnr"]

    waves = PROBLEM.waves(PROBLEM.positions)
    rows, columns = PROBLEM.positions.T
    assert waves.shape == (64, 8)  # frequencies (0, 1), (1, -1), (1, 0), (1, 1), and both functions
    np.testing.assert_allclose(waves[:, 5], np.sin(np.pi / 2 * (rows - columns)), atol=1e-5)
    omega, task, losses, learner, ratio = jax.device_get(run(KEY))

    def outputs(weights: Any) -> Any:
        first, last = weights["Dense_0"], weights["Dense_1"]
        hidden = np.maximum(waves @ first["kernel"] + first["bias"], 0)
        return hidden, (hidden @ last["kernel"] + last["bias"])[:, 0]

    hidden, before = outputs(omega["weights"])
    assert losses[0] == pytest.approx(np.mean((before - task.pixels) ** 2), rel=1e-4)
    slope = 2 * (before - task.pixels)[task.known, None] / len(task.known)
    step = np.exp(omega["log_rates"]["Dense_1"]["kernel"]) * hidden[task.known].T @ slope
    np.testing.assert_allclose(learner["Dense_1"]["kernel"], omega["weights"]["Dense_1"]["kernel"] - step, atol=1e-5)
    error = np.mean((outputs(learner)[1] - task.pixels) ** 2)
    assert losses[1] == pytest.approx(error, rel=1e-4)
    assert ratio == pytest.approx(-10 * np.log10(error), rel=1e-3)


def test_bad_settings() -> None:
    with pytest.raises(ConfigurationError, match="known"):
        ImageCompletion(known=0.0)
