"""Ranks with ties, the fitness shaping of every strategy here.

Ranks are taken in the full precision of the fitness. Candidates of equal fitness get the average of the
weights of their ranks, so that the order of storage never matters; failed candidates (``+inf``) tie last.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from evometa.types import Scalar


class Places(NamedTuple):
    """The candidates in order, best first, and the groups that tie; int32 ``[P]`` each unless said otherwise."""

    member: jax.Array
    """Which candidate is at each position."""
    first: jax.Array
    """First position of the group that ties with this one."""
    end: jax.Array
    """One after its last position."""
    valid: jax.Array
    """Whether the candidate has not failed, bool; the valid ones come first."""


def places(fitness: jax.Array, size: int | Scalar | None = None) -> Places:
    """Sort a fitness ``[P]``, smaller is better, no NaN.

    Ties are found among the sorted values only. Comparing the fitness with itself would cost less for small P, but XLA
    may compute a fused operand once for each side with different rounding, so that a value differs from itself.

    Args:
        fitness: ``[P]``; +inf for failed candidates, and for what pads the population.
        size: how many candidates the population has, the first ones; the others are padding, come after failed
            candidates and tie only with each other. None: all.
    """
    position = lax.iota(jnp.int32, len(fitness))
    ordered, member = lax.sort((fitness, position), num_keys=1)
    opens = jnp.concatenate([jnp.ones((1,), bool), ordered[1:] != ordered[:-1]])
    if size is not None:
        opens |= position == size  # the sort is stable: failed candidates stand before the padding
    first = lax.cummax(jnp.where(opens, position, 0))
    ends = jnp.concatenate([jnp.where(opens, position, len(fitness))[1:], jnp.full((1,), len(fitness), jnp.int32)])
    return Places(member, first, lax.cummin(ends, reverse=True), jnp.isfinite(ordered))


def _by_member(at: Places, values: jax.Array) -> jax.Array:
    return jnp.zeros_like(values).at[at.member].set(values, unique_indices=True)


def _share(table: NDArray[np.float64] | jax.Array, at: Places) -> jax.Array:
    dtype = jnp.result_type(float)
    if isinstance(table, jax.Array):
        earned = jnp.concatenate([jnp.zeros((1,), dtype), jnp.cumsum(table)])
    else:
        earned = jnp.asarray(np.concatenate([[0.0], np.cumsum(table)]), dtype)
    return (earned[at.end] - earned[at.first]) / (at.end - at.first).astype(dtype)


def shares(table: NDArray[np.float64] | jax.Array, at: Places) -> jax.Array:
    """Return the weight of each candidate: ``table[0]`` for the best, ``table[1]`` for the second; ties share.

    The result ``[P]`` has JAX's default float type and the sum of the table.
    """
    return _by_member(at, _share(table, at))


def gains(table: NDArray[np.float64] | jax.Array, at: Places) -> jax.Array:
    """Return recombination weights ``[P]`` of sum 1: :func:`shares`, with 0 for failed candidates."""
    shared = jnp.where(at.valid, _share(table, at), 0.0)
    return _by_member(at, shared / jnp.sum(shared))


def centered_ranks(at: Places) -> jax.Array:
    """Return ranks ``[P]`` spread evenly over [-0.5, 0.5], the best lowest, in JAX's default float type.

    Failed candidates get 0 and take no part: the others are spread over the whole interval. The ranks sum to zero,
    ties and failures included.
    """
    dtype = jnp.result_type(float)
    top = jnp.sum(at.valid, dtype=jnp.int32) - 1
    rank = (at.first + at.end - 1).astype(dtype) / (2 * jnp.maximum(top, 1)).astype(dtype)
    return _by_member(at, jnp.where(at.valid & (top > 0), rank - 0.5, 0.0))
