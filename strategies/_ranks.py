"""Ranks with ties: what every strategy here makes of the fitness.

Ranks are taken in the full precision of the fitness. Candidates of equal fitness share their places, and with them the
average of what those places earn, so that the order of storage never matters; failed candidates (``+inf``) tie last.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

# Counting over all pairs takes O(P²) vector operations, and below this size still less time than XLA's sort on a CPU.
_COUNT_UP_TO = 256


def places(fitness: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return how many candidates are better than each, and how many are equal to it (itself included).

    Args:
        fitness: ``[P]``, smaller is better, no NaN.

    Returns:
        Two int32 arrays ``[P]``: ``better`` in 0..P-1 and ``equal`` in 1..P.
    """
    if len(fitness) <= _COUNT_UP_TO:
        better = jnp.sum(fitness[None, :] < fitness[:, None], axis=1, dtype=jnp.int32)
        equal = jnp.sum(fitness[None, :] == fitness[:, None], axis=1, dtype=jnp.int32)
        return better, equal
    ordered = jnp.sort(fitness)
    better = jnp.searchsorted(ordered, fitness, side="left").astype(jnp.int32)
    return better, jnp.searchsorted(ordered, fitness, side="right").astype(jnp.int32) - better


def shares(
    table: NDArray[np.float64], better: jax.Array, equal: jax.Array, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Return what each candidate earns when the best earns ``table[0]``, the second ``table[1]``, and ties share.

    Args:
        table: ``[P]``, the earnings of the places, best first.
        better: as from :func:`places`.
        equal: as from :func:`places`.
        dtype: float type of the result.

    Returns:
        ``[P]``, with the sum of the table.
    """
    earned = jnp.asarray(np.concatenate([[0.0], np.cumsum(table)]), dtype)
    return (earned[better + equal] - earned[better]) / equal.astype(dtype)


def gains(
    table: NDArray[np.float64], fitness: jax.Array, better: jax.Array, equal: jax.Array, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Return recombination weights ``[P]`` of sum 1: :func:`shares`, with nothing for failed candidates."""
    shared = jnp.where(jnp.isfinite(fitness), shares(table, better, equal, dtype), 0.0)
    return shared / jnp.sum(shared)


def centered_ranks(fitness: jax.Array) -> jax.Array:
    """Return ranks ``[P]`` spread evenly over [-0.5, 0.5], the best lowest, in JAX's default float type.

    Failed candidates (``+inf``) get 0 and take no part: the others are spread over the whole interval. The ranks sum
    to zero, ties and failures included.
    """
    dtype = jnp.result_type(float)
    better, equal = places(fitness)
    valid = jnp.isfinite(fitness)
    top = jnp.sum(valid, dtype=jnp.int32) - 1
    rank = better.astype(dtype) + (equal - 1).astype(dtype) / 2
    return jnp.where(valid, rank / jnp.maximum(top, 1).astype(dtype) - jnp.where(top > 0, 0.5, 0.0), 0.0)
