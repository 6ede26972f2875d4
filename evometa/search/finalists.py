"""The final selection: the best candidates of a search, kept to be evaluated again on fresh tasks at its end.

The best fitness of a noisy search is the luckiest as much as the best. So the search keeps several candidates, each
the best of its generation, and once it is over evaluates them all on tasks that none of them has seen.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Genotype, Scalar


class Finalists(NamedTuple):
    """The best of the generations' winners, in no order; all different."""

    genotypes: Genotype
    """``[K, ...]``."""
    fitness: jax.Array
    """``[K]``, to be minimised; +inf where there is none yet."""


def no_finalists(genotype: Genotype, count: int) -> Finalists:
    """Return ``count`` empty places for genotypes like the given one."""
    empty = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), genotype)
    return Finalists(empty, jnp.full((count,), jnp.inf))


def enter(finalists: Finalists, genotype: Genotype, fitness: Scalar) -> Finalists:
    """Return the finalists after a winner took the worst place, if it is better and not one of them already."""
    count = len(finalists.fitness)
    same = [
        jnp.all(known == one, axis=tuple(range(1, known.ndim)))
        for known, one in zip(jax.tree.leaves(finalists.genotypes), jax.tree.leaves(genotype), strict=True)
    ]
    known = jnp.any(jnp.all(jnp.stack(same), axis=0) & jnp.isfinite(finalists.fitness))
    worst = jnp.argmax(finalists.fitness)
    taken = (jnp.arange(count) == worst) & (fitness < finalists.fitness[worst]) & ~known

    def put(all_: jax.Array, one: jax.Array) -> jax.Array:
        return jnp.where(taken.reshape(count, *[1] * one.ndim), one, all_)

    return Finalists(
        jax.tree.map(put, finalists.genotypes, genotype),
        put(finalists.fitness, fitness.astype(finalists.fitness.dtype)),
    )
