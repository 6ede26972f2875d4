"""The hypervolume of a set of points (Zitzler & Thiele 1998), exact for two and three objectives."""

import jax
import jax.numpy as jnp
from jax import lax

from evometa.types import Scalar

MOST_OBJECTIVES = 3
"""Beyond, the exact hypervolume costs too much to be computed in every generation."""


def hypervolume(points: jax.Array, reference: jax.Array) -> Scalar:
    """Return the volume that points dominate up to a reference point; objectives are minimised.

    Two objectives: one sweep along the sorted front, O(N log N). Three: points enter in the order of the third
    objective, and the area that the points so far dominate in the other two is a slice of the volume, O(N²).

    Args:
        points: ``[N, M]``, M 2 or 3; dominated ones and those beyond the reference point add nothing.
        reference: ``[M]``.
    """
    inside = jnp.all(points < reference[None], axis=1)
    x, y, *more = jnp.unstack(jnp.where(inside[:, None], points, reference), axis=1)
    if not more:
        x, y = lax.sort((x, y), num_keys=1)
        return jnp.sum(_widths(x, reference[0]) * (reference[1] - lax.cummin(y)))
    x, y, z = lax.sort((x, y, more[0]), num_keys=1)
    width, position = _widths(x, reference[0]), lax.iota(jnp.int32, len(x))
    z, entered = lax.sort((z, position), num_keys=1)
    heights = _widths(z, reference[2])

    def enter(carry: tuple[jax.Array, Scalar], slab: tuple[Scalar, Scalar]) -> tuple[tuple[jax.Array, Scalar], None]:
        floor, volume = carry
        member, height = slab
        floor = jnp.where(position >= member, jnp.minimum(floor, y[member]), floor)
        return (floor, volume + height * jnp.sum(width * (reference[1] - floor))), None

    nothing = jnp.full_like(y, reference[1]), jnp.zeros((), y.dtype)
    return lax.scan(enter, nothing, (entered, heights))[0][1]


def _widths(ascending: jax.Array, end: Scalar) -> jax.Array:
    """Return the distance from each of the sorted numbers ``[N]`` to the next, and from the last one to the end."""
    return jnp.append(ascending[1:], end) - ascending
