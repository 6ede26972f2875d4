"""A landmark is an end of a stroke, a place is where its window's middle is, and a prediction is a weighted mean."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import LandmarkPrediction
from evometa.problems.vision.landmark_prediction import SHARPNESS, centres

SETTINGS: dict[str, Any] = {"shots": 2, "queries": 3, "noise": 0.0, "channels": (3, 4)}
PROBLEM = LandmarkPrediction(**SETTINGS)


def draw(problem: LandmarkPrediction, number: int) -> Any:
    return jax.device_get(jax.jit(jax.vmap(problem.sample_task))(jax.random.split(jax.random.key(0), number)))


def test_a_landmark_has_ink() -> None:
    tasks = draw(PROBLEM, 20)
    for images, points in zip(tasks.query.reshape(-1, 28, 28), tasks.query_points.reshape(-1, 2), strict=True):
        row, column = np.clip(np.round(points).astype(int), 0, 27)
        assert images[row, column] > 0.3


def test_without_turning_scaling_and_bending_views_are_moved_copies() -> None:
    tasks = draw(LandmarkPrediction(**SETTINGS, turn=0.0, scale=1.0, bend=0.0), 4)
    for task in range(4):
        away = tasks.query_points[task] - np.asarray(centres(jnp.asarray(tasks.query[task])))
        assert np.abs(away - away.mean(axis=0)).max() < 1.0  # but for ink that is cut off or rounded


def test_a_place_is_the_middle_of_its_window() -> None:
    problem = LandmarkPrediction(channels=(1,), size=12)
    image = np.random.default_rng(0).normal(size=(1, 12, 12, 3)).astype(np.float32)
    kernel = np.zeros((5, 5, 3, 1), np.float32)
    kernel[2, 2, 0, 0] = 1.0
    found = problem.network.run([{"kernel": jnp.asarray(kernel), "bias": jnp.zeros(1)}], jnp.asarray(image))[0, ..., 0]
    row, column = np.moveaxis(np.asarray(problem.pixels[1::2, 1::2]), -1, 0).astype(int)
    expected = image[0, row, column, 0]
    np.testing.assert_allclose(found, (expected - expected.mean()) / expected.std(), rtol=1e-3, atol=1e-4)


def test_the_learner_is_the_interpolated_feature_and_the_prediction_a_weighted_mean() -> None:
    @jax.jit
    def everything(key: Any) -> Any:
        task, omega = PROBLEM.sample_task(key), PROBLEM.network.draw(key)
        # One landmark on a place, one in the middle of two.
        task = task._replace(support_points=jnp.array([[7.0, 9.0], [12.0, 21.0]]))
        learner = PROBLEM.init(key, omega, task)
        features = [PROBLEM.features(omega, images) for images in (task.support, task.query)]
        return (
            task,
            learner,
            features,
            PROBLEM.predict(omega, learner, task.query),
            (PROBLEM.evaluate_task(key, omega, task)),
        )

    task, learner, (support, query), predicted, evaluation = jax.device_get(everything(jax.random.key(1)))
    np.testing.assert_allclose(
        learner, (support[0, 3, 4] + (support[1, 5, 10] + support[1, 6, 10]) / 2) / 2, rtol=1e-4, atol=1e-5
    )
    weights = np.exp(-SHARPNESS * np.mean((query - learner) ** 2, axis=-1))
    middles = 2 * np.arange(14) + 1
    for number in range(3):
        rows, columns = (np.average(middles, weights=weights[number].sum(axis=1 - axis)) for axis in range(2))
        np.testing.assert_allclose(predicted[number], (rows, columns), rtol=1e-3)
    errors = np.linalg.norm(predicted - task.query_points, axis=1)
    assert float(evaluation.fitness) == pytest.approx(errors.mean(), rel=1e-3)
    assert float(evaluation.metrics["median_error"]) == pytest.approx(np.median(errors), rel=1e-3)


def test_a_scale_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"scale .* to be a number of at least 1, got 0\.5"):
        LandmarkPrediction(scale=0.5)
