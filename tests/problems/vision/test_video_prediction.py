"""The clip is continued by the displacements of the network, and a step descends the error on the seen frames."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from evometa import ConfigurationError
from evometa.inner_training import train
from evometa.problems import VideoPrediction

PROBLEM = VideoPrediction(hidden=(3,), inner_steps=1, seen=4, predicted=2, size=12, characters="digits")
KEY = jax.random.key(3)


@jax.jit
def run(weights: Any) -> Any:
    task, rates = PROBLEM.sample_test_task(KEY), jax.tree.map(jnp.zeros_like, weights)
    omega = {"weights": weights, "log_rates": rates}
    after = train(PROBLEM, KEY, omega, task, weights, 0, 1)
    loss = PROBLEM.loss(KEY, omega, task, weights)
    return task, after, PROBLEM.predict(weights, task.seen), loss, PROBLEM.metrics(KEY, omega, task, weights)


def centre(frame: Any) -> Any:
    grid = np.arange(len(frame))
    return np.array([frame.sum(axis=1) @ grid, frame.sum(axis=0) @ grid]) / (frame.sum() + 1e-3)


def seen_error(weights: Any, seen: Any) -> float:
    """The error of the seen frames, in plain numpy, pixel by pixel."""
    first, last = weights["Dense_0"], weights["Dense_1"]
    errors = []
    for before, now, following in zip(seen[:-2], seen[1:-1], seen[2:], strict=True):
        middle, moved = centre(now), centre(now) - centre(before)
        for pixel in np.ndindex(now.shape):
            if sum(pixel) % 2 == 0:
                pairs = [(pixel - middle) / 4, 2 * middle / 11 - 1, moved]
                turned = [(column, -row) for row, column in pairs]
                ways = [
                    np.maximum(np.ravel(each) @ first["kernel"] + first["bias"], 0) @ last["kernel"] + last["bias"]
                    for each in (pairs, turned)
                ]
                whence = np.clip(np.array(pixel)[:, None] - np.array(ways), 0, 11)
                errors.append(map_coordinates(now, whence, order=1)[0] - following[pixel])
    return float(np.mean(np.square(errors)))


def test_a_step_descends_the_error_of_the_seen_frames() -> None:
    weights = PROBLEM.space.decode(PROBLEM.space.sample(KEY))["weights"]
    weights["Dense_1"]["bias"] = jnp.full(1, 0.3)  # not zero: the slope of a frame changes at a pixel
    task, after, _, _, _ = jax.device_get(run(weights))
    double = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), weights)
    seen = np.asarray(task.seen, np.float64)
    for layer, name, place in (("Dense_0", "kernel", (3, 0)), ("Dense_1", "kernel", (1, 0)), ("Dense_1", "bias", (0,))):
        errors = []
        for change in (1e-5, -1e-5):
            changed = jax.tree.map(np.copy, double)
            changed[layer][name][place] += change
            errors.append(seen_error(changed, seen))
        slope = (errors[0] - errors[1]) / 2e-5
        step = double[layer][name][place] - after[layer][name][place]
        assert abs(slope) > 1e-5
        assert step == pytest.approx(slope, rel=1e-2, abs=1e-6)


def test_all_ink_moves_on_by_the_displacement_that_the_network_says() -> None:
    weights = jax.tree.map(jnp.zeros_like, PROBLEM.space.decode(PROBLEM.space.sample(KEY))["weights"])
    weights["Dense_1"]["bias"] = jnp.ones(1)  # a pixel down and to the right, whatever the inputs
    task, _, predicted, loss, metrics = jax.device_get(run(weights))
    for number in (1, 2):
        np.testing.assert_allclose(
            predicted[number - 1, number:, number:], task.seen[-1, :-number, :-number], atol=1e-5
        )
    assert loss == pytest.approx(np.mean((predicted - task.future) ** 2), rel=1e-4)
    assert metrics["psnr"] == pytest.approx(-10 * np.log10(loss), rel=1e-4)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="seen"):
        VideoPrediction(seen=2)
