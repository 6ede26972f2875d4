"""The hypervolume, counted by unit cubes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.strategies.multi_objective.hypervolume import hypervolume

measure = jax.jit(hypervolume)


def cubes(points: np.ndarray, reference: int) -> int:
    """Count the unit cubes below the reference point that some point of whole numbers dominates."""
    corners = np.array(list(itertools.product(range(reference), repeat=points.shape[1])))
    return int((corners[:, None] >= points).all(axis=2).any(axis=1).sum())


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_counts_every_cube_once(objectives: int, seed: int) -> None:
    # Ties, copies, dominated points and points beyond the reference point are all among these.
    points = np.random.default_rng(seed).integers(0, 8, (12, objectives))
    assert measure(jnp.asarray(points, float), jnp.full(objectives, 6.0)) == cubes(points, 6)


def test_a_front_of_known_volume() -> None:
    x = np.linspace(0, 1, 2001)
    found = measure(jnp.asarray(np.stack([x, 1 - np.sqrt(x)], axis=1)), jnp.array([1.1, 1.1]))
    np.testing.assert_allclose(found, 0.1 + 0.1 + 0.01 + 2 / 3, atol=2e-3)


@pytest.mark.parametrize("beyond", [1.0, 2.0, np.inf])
def test_what_is_beyond_the_reference_point_adds_nothing(beyond: float) -> None:
    points = jnp.array([[0.5, 0.5, 0.5], [0.0, 0.0, beyond], [beyond, 0.0, 0.0]])
    assert measure(points, jnp.ones(3)) == 0.125
    assert measure(points[1:], jnp.ones(3)) == 0.0
