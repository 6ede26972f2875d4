"""DataAugmentation: images are changed as by scipy, and as often as ω says."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from evometa import ConfigurationError
from evometa.problems import DataAugmentation
from evometa.problems.shared.digits import digits
from evometa.problems.shared.networks import cross_entropy
from evometa.problems.training_data.data_augmentation import STRONGEST, change

KEY = jax.random.key(0)
NAMES = list(STRONGEST)
SMALL = DataAugmentation(inner_steps=3, labelled=30, batch_size=16)


def changed(images: Any, /, speckle: Any = None, **amounts: float) -> Any:
    row = np.array([amounts.get(name, 0.0) for name in NAMES], np.float32)
    speckle = np.zeros((1, 64), np.float32) if speckle is None else speckle
    return np.asarray(change(jnp.asarray(images), jnp.tile(row, (len(images), 1)), jnp.asarray(speckle)))


def test_simple_changes_are_exact() -> None:
    images = digits().features[:5]
    square = images.reshape(-1, 8, 8)
    np.testing.assert_allclose(changed(images), images, atol=1e-6)
    right = np.pad(square, ((0, 0), (0, 0), (1, 0)))[:, :, :8]
    np.testing.assert_allclose(changed(images, shift_x=1.0), right.reshape(-1, 64), atol=1e-6)
    down = np.pad(square, ((0, 0), (2, 0), (0, 0)))[:, :8]
    np.testing.assert_allclose(changed(images, shift_y=2.0), down.reshape(-1, 64), atol=1e-6)
    turned = np.rot90(square, k=-1, axes=(1, 2))
    np.testing.assert_allclose(changed(images, rotation=np.pi / 2), turned.reshape(-1, 64), atol=1e-5)
    np.testing.assert_allclose(changed(images, contrast=np.log(2)), 2 * images, rtol=1e-5)
    noise = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    np.testing.assert_allclose(changed(images, noise, noise=0.5), images + 0.5 * noise, rtol=1e-5, atol=1e-6)


def test_a_mixture_of_changes_is_an_affine_map_as_scipy_does_it() -> None:
    image = digits().features[[7]]
    zoom, stretch, angle, shear = 0.2, -0.3, 0.5, 0.4
    ours = changed(image, shift_x=0.7, shift_y=-1.2, rotation=angle, zoom=zoom, stretch=stretch, shear=shear)
    # From new to old, in (y, x) around the middle.
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scale = np.diag([np.exp(-zoom + stretch / 2), np.exp(-zoom - stretch / 2)])
    matrix = scale @ turn + np.array([[0, 0], [shear, 0]])
    middle = np.full(2, 3.5)
    offset = middle - matrix @ middle - np.array([-1.2, 0.7])
    theirs = ndimage.affine_transform(image.reshape(8, 8), matrix, offset, order=1, mode="grid-constant")
    np.testing.assert_allclose(ours.reshape(8, 8), theirs, atol=1e-5)


def test_changes_are_made_as_often_and_as_strongly_as_omega_says() -> None:
    data, task = digits(), jax.jit(SMALL.sample_task)(KEY)
    assert len(np.unique(task.drawn.batches)) <= 30
    assert np.isin(task.drawn.batches, data.training).all()
    rows = task.drawn.batches[1]

    def loss(probability: float, **strengths: float) -> float:
        strength = jnp.array([strengths.get(name, 0.0) for name in NAMES], jnp.float32)
        omega = {"probability": jnp.full(8, probability, jnp.float32), "strength": strength}
        return float(SMALL.training_loss(omega, task.drawn, task.weights, jnp.int32(1)))

    def expected(images: Any) -> float:
        return float(cross_entropy(SMALL.logits(task.weights, jnp.asarray(images)), data.targets[rows]))

    images = data.features[rows]
    assert loss(0.0, shift_x=2.0) == pytest.approx(expected(images), rel=1e-5)
    assert loss(1.0) == pytest.approx(expected(images), rel=1e-5)
    amounts = np.asarray(task.drawn.amounts[1])[:, [NAMES.index("contrast")]]
    assert loss(1.0, contrast=0.5) == pytest.approx(expected(images * np.exp(0.5 * amounts)), rel=1e-5)
    made = np.asarray(task.drawn.chances[1])[:, [NAMES.index("contrast")]] < 0.3
    some = expected(images * np.exp(0.5 * amounts * made))
    assert loss(0.3, contrast=0.5) == pytest.approx(some, rel=1e-5)
    assert 0 < made.sum() < 16


@pytest.mark.parametrize("settings", [{"labelled": 0}, {"batch_size": 0}])
def test_bad_settings_are_refused_in_words(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"to be a whole number of at least 1"):
        DataAugmentation(**settings)
