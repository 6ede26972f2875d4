"""Textures that are held out are others, masks cover one region, and a pixel goes to the nearer prototype."""

from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import FewShotSegmentation
from evometa.problems.vision.few_shot_segmentation import SHARPNESS, iou
from evometa.problems.vision.textures import PERIODS, REGIONS, textures

PROBLEM = FewShotSegmentation(size=8, channels=(3, 4), shots=2, queries=3)


@pytest.fixture(scope="module")
def found() -> Any:
    @jax.jit
    def everything(key: Any) -> Any:
        task = PROBLEM.sample_test_task(key)
        omega = PROBLEM.network.draw(key)
        prototypes = PROBLEM.init(key, omega, task)
        features = [PROBLEM.network.run(omega, images) for images in (task.support, task.query)]
        return (
            task,
            prototypes,
            features,
            PROBLEM.segment(omega, prototypes, task.query),
            (PROBLEM.evaluate_task(key, omega, task)),
        )

    return jax.device_get(everything(jax.random.key(0)))


def test_held_out_textures_are_others_with_periods_in_range() -> None:
    training, held_out = textures()
    rows = {tuple(waves.ravel()) for part in (training, held_out) for waves in part.waves}
    assert len(rows) == len(training.shares) + len(held_out.shares)
    for part in (training, held_out):
        periods = 2 * np.pi / np.linalg.norm(part.waves, axis=-1)
        assert np.clip(periods, *PERIODS) == pytest.approx(periods, rel=1e-5)


def test_a_mask_covers_one_of_the_regions() -> None:
    tasks = jax.jit(jax.vmap(PROBLEM.sample_task))(jax.random.split(jax.random.key(1), 100))
    masks = np.concatenate([tasks.support_masks, tasks.query_masks], axis=1)
    assert set(np.unique(masks)) == {0.0, 1.0}
    share = masks.mean(axis=(2, 3))
    assert share.mean() == pytest.approx(1 / REGIONS, abs=0.02)
    assert share.min() > 0


def test_prototypes_are_masked_means_and_logits_compare_distances(found: Any) -> None:
    task, prototypes, (support, query), logits, evaluation = found
    inside = task.support_masks.reshape(2, 4, 2, 4, 2).mean(axis=(2, 4))
    for prototype, weights in zip(prototypes, (1 - inside, inside), strict=True):
        expected = np.average(support.reshape(-1, 4), axis=0, weights=weights.ravel())
        np.testing.assert_allclose(prototype, expected, rtol=1e-4, atol=1e-5)
    distances = [np.mean((query - prototype) ** 2, axis=-1) for prototype in prototypes]
    coarse = SHARPNESS * (distances[0] - distances[1])
    corners = logits[:, ::7, ::7]  # which lie beyond the outermost places, and have their logits
    np.testing.assert_allclose(corners, coarse[:, ::3, ::3], rtol=1e-3, atol=1e-3)
    chance = 1 / (1 + np.exp(-logits))
    right = np.where(task.query_masks > 0, chance, 1 - chance)
    assert float(evaluation.fitness) == pytest.approx(-np.log(right).mean(), rel=1e-4)
    both, either = (logits > 0) & (task.query_masks > 0), (logits > 0) | (task.query_masks > 0)
    assert float(evaluation.metrics["iou"]) == pytest.approx(both.sum() / either.sum(), rel=1e-5)


def test_nothing_found_where_nothing_is_counts_as_right() -> None:
    nothing = np.zeros((2, 2), bool)
    assert float(iou(nothing, nothing)) == 1.0
    assert float(iou(nothing, ~nothing)) == 0.0


def test_an_odd_size_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"size .* to be an even whole number of at least 8, got 9"):
        FewShotSegmentation(size=9)
