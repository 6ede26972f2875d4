"""What strategies do with generations in which every candidate failed."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from evometa.types import Scalar

State = TypeVar("State")

WIDEST = 16
"""The largest factor by which a distribution is widened, and the largest by which it is narrowed."""


def another_width(width: jax.Array, first: float | Scalar) -> jax.Array:
    """Return the next step size to try for a distribution from which no candidate has succeeded yet.

    The distribution may be too narrow, around a point near which all candidates fail, or too wide. So the first width
    is multiplied by 2, 1/2, 4, 1/4, 8, 1/8, 16, 1/16 in turn, and then by 1 again.

    Args:
        width: the present step size, or one for each coordinate.
        first: the first one.
    """
    factor = width / first
    following = jnp.where(factor > 1, 1 / factor, jnp.where(factor <= 1 / WIDEST, 1.0, 2 / factor))
    return (following * first).astype(width.dtype)


def elsewhere(state: State, first: float | Scalar) -> State:
    """Return the state of a distribution after a population in which every candidate failed.

    While no candidate has succeeded, the next population is drawn with another step size; later with the same one,
    since candidates near there have succeeded.

    Args:
        state: the state that asked for the population, a NamedTuple with ``sigma`` and ``generation``.
        first: the first step size.
    """
    now: Any = state
    moved: State = now._replace(sigma=jnp.where(now.generation == 0, another_width(now.sigma, first), now.sigma))
    return moved
