"""The sphere with linear projections has the values of pyribs's benchmark, its measures scaled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import LinearProjection

KEY = jax.random.key(0)


def reference(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Compute fitness and measures as the paper defines them."""
    worst = len(x) * (5.12 + 2.048) ** 2
    fitness = 100 * (worst - ((x - 2.048) ** 2).sum()) / worst
    clipped = np.array([v if abs(v) <= 5.12 else 5.12 / v for v in x])
    return fitness, np.array([clipped[: len(x) // 2].sum(), clipped[len(x) // 2 :].sum()])


@pytest.mark.parametrize("dimension", [2, 5, 20])
def test_values(dimension: int) -> None:
    points = np.random.default_rng(0).uniform(-9, 9, (20, dimension)).astype(np.float32)
    found = jax.vmap(LinearProjection(dimension).evaluate, in_axes=(None, 0))(KEY, jnp.asarray(points))
    for i, point in enumerate(points):
        fitness, sums = reference(point.astype(float))
        np.testing.assert_allclose(found.fitness[i], fitness, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found.measures[i], 0.5 + sums / (dimension * 5.12), atol=1e-5)


def test_ends_of_both_scales() -> None:
    problem = LinearProjection(4)
    best, corner = (problem.evaluate(KEY, jnp.full(4, value)) for value in (2.048, -5.12))
    np.testing.assert_allclose([best.fitness, corner.fitness], [100, 0], atol=1e-4)
    np.testing.assert_allclose(corner.measures, [0, 0], atol=1e-6)
    np.testing.assert_allclose(problem.evaluate(KEY, jnp.full(4, 5.12)).measures, [1, 1], atol=1e-6)
    assert (problem.space.start(KEY) == 0).all()


def test_bad_settings() -> None:
    with pytest.raises(ConfigurationError, match="to be a whole number of at least 2, got 1"):
        LinearProjection(1)
