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


class Recombination(NamedTuple):
    """How the candidates that did not fail are weighed."""

    gain: jax.Array
    """``[P]``, at least 0, sum 1; 0 for failed candidates."""
    mu_eff: Scalar
    """The variance-effective number of parents, of the weights as ties share them: with it, evolution paths stay
    standard normal under random ranks."""
    trust: Scalar
    """Factor of the learning rates of a covariance: 1 where nobody failed, otherwise less, by as much as there are
    fewer effective parents. The rates are made for a whole population, and the samples of a few would have a
    distribution walk at random."""


def recombination(
    table: NDArray[np.float64] | jax.Array, at: Places, half: float, size: int | Scalar | None = None
) -> Recombination:
    """Weigh the candidates that did not fail as a population of their own.

    Their weights are logarithmic in the rank, as those of the whole population: log(n/2 + half) - log(rank) for n
    candidates, where that is above 0. The weights of the best places of a larger population would hardly tell n
    candidates apart.

    Args:
        table: the weights of the whole population, best first, of sum 1, ``[P]``.
        at: the places.
        half: 1/2 for CMA-ES, 1 for natural evolution strategies.
        size: as for :func:`places`.
    """
    count = len(at.member) if size is None else size
    number = jnp.sum(at.valid, dtype=jnp.int32)
    whole = number == count
    last = number.astype(jnp.result_type(float)) / 2 + half
    # A group that ties has the weight of the middle of its places, as far as these have any.
    parents = jnp.minimum(at.end, jnp.ceil(last).astype(jnp.int32) - 1)
    sharing = jnp.maximum(parents - at.first, 0) / (at.end - at.first)
    left = sharing * (jnp.log(last) - jnp.log((at.first + parents + 1) / 2))
    left = jnp.where(number == 1, 1.0, left).astype(last.dtype)
    shared = jnp.where(at.valid, jnp.where(whole, _share(table, at), left), 0.0)
    gain = _by_member(at, shared / jnp.sum(shared))
    mu_eff = 1 / jnp.sum(gain**2)
    usual = 1 / (table**2).sum()
    return Recombination(gain, mu_eff, jnp.where(whole, 1.0, jnp.minimum(1.0, mu_eff / usual)).astype(last.dtype))


def centered_ranks(at: Places) -> jax.Array:
    """Return ranks ``[P]`` spread evenly over [-0.5, 0.5], the best lowest, in JAX's default float type.

    Failed candidates get 0 and take no part: the others are spread over the whole interval. The ranks sum to zero,
    ties and failures included.
    """
    dtype = jnp.result_type(float)
    top = jnp.sum(at.valid, dtype=jnp.int32) - 1
    rank = (at.first + at.end - 1).astype(dtype) / (2 * jnp.maximum(top, 1)).astype(dtype)
    return _by_member(at, jnp.where(at.valid & (top > 0), rank - 0.5, 0.0))
