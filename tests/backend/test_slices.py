import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa.backend import slices
from evometa.backend.chunks import mesh_of
from evometa.backend.entrywise import is_entrywise
from evometa.backend.kernels import running_on

BLOCK = 16


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "BLOCK", BLOCK)
    monkeypatch.setattr(slices, "LEAST_LENGTH", 2 * BLOCK)


def on(devices: int, function: Any, *given: Any) -> Any:
    with running_on(mesh_of(tuple(jax.devices()[:devices]))):
        return jax.jit(function)(*given)


# Whole blocks, a block that two devices share, numbers that two devices do not share evenly, and too few to share.
@pytest.mark.parametrize("length", [4 * BLOCK, 3 * BLOCK + 2, 3 * BLOCK + 1, 2 * BLOCK - 1])
@pytest.mark.parametrize("devices", [1, 2])
def test_every_entry_is_computed_once_at_its_place_in_the_blocks_of_the_whole(length: int, devices: int) -> None:
    over = slices.Sliced(length)
    given = np.arange(length, dtype=np.float32)

    def one(place: Any, shared: Any, vector: Any) -> Any:
        return jnp.full_like(vector, 100.0) * place + jnp.arange(BLOCK), vector + shared

    where, found = on(devices, functools.partial(over.each, one), jnp.float32(0.5), given)
    np.testing.assert_array_equal(where, 100 * (given // BLOCK) + given % BLOCK)
    np.testing.assert_array_equal(found, given + 0.5)


@pytest.mark.parametrize("given", [np.sin(np.arange(49.0)), 3e30 * np.ones(49), np.eye(49)[7] + 1e-3, np.zeros(49)])
def test_norm_and_mean_are_the_same_to_the_bit_on_two_devices_and_those_of_numpy(given: Any) -> None:
    given = given.astype(np.float32)
    over = slices.Sliced(len(given))
    for measure, expected in ((over.norm, np.linalg.norm), (over.mean, np.mean)):
        one, two = (np.asarray(on(devices, measure, given)) for devices in (1, 2))
        assert one == two
        np.testing.assert_allclose(one, expected(given.astype(np.float64)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("optimizer", "alone"),
    [
        (optax.adamw(0.1), True),
        (optax.lion(0.1), True),
        (optax.lamb(0.1), False),
        (optax.clip_by_global_norm(1.0), False),
    ],
)
def test_optimizers_that_look_at_other_entries_are_told_from_those_that_do_not(
    optimizer: optax.GradientTransformation, alone: bool
) -> None:
    vector = jax.ShapeDtypeStruct((7,), jnp.float32)
    assert is_entrywise(optimizer.update, vector, jax.eval_shape(optimizer.init, vector), vector) is alone
    assert not is_entrywise(jnp.cumsum, vector)
