"""Canvases have what they say, windows lie where they say, and the precision is that of a sorted list."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import FewShotDetection
from evometa.problems.few_shot.characters import SIZE
from evometa.problems.vision.canvases import CANVAS, GRID, JITTER
from evometa.problems.vision.few_shot_detection import MARGIN, PART
from evometa.problems.vision.precision import average_precision, overlap

PROBLEM = FewShotDetection(channels=(4, 4), queries=3)


def by_sorting(scores: Any, found: Any, overlaps: Any, wanted: Any) -> float:
    """Average precision as it is defined: down the list of detections, the mean of the precision at each hit."""
    images, windows = np.nonzero(found)
    order = np.argsort(-scores[images, windows])
    seen: set[tuple[int, int]] = set()
    total = 0.0
    for rank, (image, window) in enumerate(zip(images[order], windows[order], strict=True), 1):
        square = int(np.argmax(overlaps[image, :, window]))
        if overlaps[image, square, window] >= PART and (image, square) not in seen:
            seen.add((image, square))
            total += len(seen) / rank
    return total / wanted.sum()


def test_the_average_precision_is_that_of_a_sorted_list() -> None:
    rng = np.random.default_rng(0)
    compiled = jax.jit(average_precision, static_argnums=4)
    for _ in range(20):
        wanted = rng.random((3, 5)) < 0.5
        wanted[0, 0] = True
        scores, found = rng.random((3, 12)).astype(np.float32), rng.random((3, 12)) < 0.7
        overlaps = (rng.random((3, 5, 12)) ** 2 * wanted[:, :, None]).astype(np.float32)
        expected = by_sorting(scores, found, overlaps, wanted)
        assert float(compiled(scores, found, overlaps, wanted, PART)) == pytest.approx(expected, rel=1e-5)


def test_squares_overlap_as_their_corners_say() -> None:
    found = overlap(jnp.array([[0, 0], [0, 3], [5, 5]]), jnp.array([[[0, 0], [3, 3]]]), 6)
    np.testing.assert_allclose(found[0], [[1, 18 / 54, 1 / 71], [9 / 63, 18 / 54, 16 / 56]], rtol=1e-6)


def test_a_canvas_has_the_class_where_it_says() -> None:
    tasks = jax.device_get(jax.jit(jax.vmap(PROBLEM.sample_test_task))(jax.random.split(jax.random.key(1), 50)))
    canvas = tasks.query
    cells = np.stack(np.divmod(np.arange(GRID**2), GRID), axis=1) * (CANVAS - SIZE) / (GRID - 1)
    assert np.abs(canvas.corners - cells).max() <= JITTER + 0.5
    assert (canvas.corners.min(), canvas.corners.max()) == (0, CANVAS - SIZE)
    assert canvas.wanted.any(axis=2).all()
    assert canvas.wanted.sum(axis=2).mean() == pytest.approx(1 + 8 * 0.1, abs=0.2)
    ink = [
        canvas.image[task, query, row : row + SIZE, column : column + SIZE].sum()
        for task, query, cell in zip(*np.nonzero(canvas.wanted), strict=True)
        for row, column in [canvas.corners[task, query, cell]]
    ]
    assert min(ink) > 0.3 * tasks.support.sum(axis=(2, 3)).min()


def test_the_best_window_is_where_the_example_lies() -> None:
    straight = dataclasses.replace(PROBLEM, tilt=0.0, scale=1.0)
    task = jax.jit(PROBLEM.sample_task)(jax.random.key(2))
    row, column = MARGIN + 4 * 3, MARGIN + 4 * 7
    image = np.zeros((1, CANVAS, CANVAS), np.float32)
    image[0, row : row + SIZE, column : column + SIZE] = task.support[0]

    @jax.jit
    def scored(key: Any) -> Any:
        omega = straight.space.decode(straight.space.start(key))
        return straight.scores(omega, straight.init(key, omega, task), jnp.asarray(image))

    scores = scored(jax.random.key(3))
    assert scores.shape == (1, 11, 11)
    np.testing.assert_array_equal(straight.corners(scores)[int(jnp.argmax(scores))], (row, column))
    assert float(scores.max()) > 0.8


def test_training_and_held_out_alphabets_differ() -> None:
    training, held_out = PROBLEM.parts
    assert not set(training.names) & set(held_out.names)


def test_too_many_examples_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"fewer than the 20 drawings .* got shots=20\."):
        FewShotDetection(shots=20).sample_task(jax.random.key(0))
