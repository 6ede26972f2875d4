"""Speciation: species of similar candidates, and how many children each may have; at most K species."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Genotype, Scalar

Distance = Callable[[Genotype, Genotype], Scalar]


class Species(NamedTuple):
    """The species; a place without members is free."""

    representatives: Genotype
    """``[K, ...]``: who else belongs to a species is measured by."""
    size: jax.Array
    """``[K]`` int32, members."""
    best: jax.Array
    """``[K]``, the best fitness of all generations, to be minimised."""
    age: jax.Array
    """``[K]`` int32, generations since that was found."""
    share: jax.Array
    """``[K]``, of the next generation; sums to 1."""


def empty_species(one: Genotype, count: int) -> Species:
    """Return ``count`` free places for species; representatives have the form of ``one`` genotype."""
    blank = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), one)
    zeros = jnp.zeros(count, jnp.int32)
    infinity = jnp.full(count, jnp.inf, jnp.result_type(float))
    return Species(blank, zeros, infinity, zeros, jnp.zeros_like(infinity))


def assign(distance: Distance, species: Species, members: Genotype, threshold: float) -> tuple[jax.Array, Species]:
    """Return which species each member belongs to, int32 ``[P]``, and the species, including new ones.

    A member joins the first species whose representative is nearer than the threshold, or founds one in a free place;
    if there is none, it joins the nearest species.
    """

    def join(carry: tuple[Genotype, jax.Array], member: Genotype) -> tuple[tuple[Genotype, jax.Array], jax.Array]:
        representatives, taken = carry
        apart = jnp.where(taken, jax.vmap(distance, in_axes=(0, None))(representatives, member), jnp.inf)
        near = apart < threshold
        founds = ~near.any() & ~taken.all()
        own = jnp.where(near.any(), jnp.argmax(near), jnp.where(founds, jnp.argmin(taken), jnp.argmin(apart)))
        place = founds & (jnp.arange(len(taken)) == own)
        representatives = jax.tree.map(
            lambda all_, one: jnp.where(place.reshape(-1, *[1] * one.ndim), one, all_), representatives, member
        )
        return (representatives, taken | place), own.astype(jnp.int32)

    (representatives, taken), own = jax.lax.scan(join, (species.representatives, species.size > 0), members)
    new = taken & (species.size == 0)
    return own, species._replace(
        representatives=representatives,
        best=jnp.where(new, jnp.inf, species.best),
        age=jnp.where(new, 0, species.age),
    )


def allot_shares(species: Species, own: jax.Array, fitness: jax.Array, patience: int, refocus: Scalar) -> Species:
    """Return the species after a generation, with the share of each in the next one.

    Explicit fitness sharing: children in proportion to the mean worth of the members, from 0 for the worst of the
    generation to 1 for the best. A species that has not improved for more than ``patience`` generations has none, and
    with ``refocus`` only the two best have any; the one that found the best so far always has some.
    """
    count = len(species.size)
    belongs = own[:, None] == jnp.arange(count)
    size = jnp.sum(belongs, axis=0, dtype=jnp.int32)
    found = jnp.min(jnp.where(belongs, fitness[:, None], jnp.inf), axis=0)
    best = jnp.minimum(species.best, found)
    age = jnp.where(found < species.best, 0, species.age + 1)
    alive = size > 0
    rank = jnp.argsort(jnp.argsort(jnp.where(alive, best, jnp.inf)))
    allowed = alive & (age <= patience)
    allowed = jnp.where(refocus, alive & (rank <= 1), allowed)
    allowed = jnp.where(allowed.any(), allowed, alive & (rank == 0))
    mean = (jnp.where(belongs, _worth(fitness)[:, None], 0.0).sum(axis=0) / jnp.maximum(size, 1)) * allowed
    # Where no species is better than another, all may have children.
    share = jnp.where(mean.sum() > 0, mean, allowed * size.astype(mean.dtype))
    return species._replace(size=size, best=best, age=age, share=share / share.sum())


def _worth(fitness: jax.Array) -> jax.Array:
    """Return the fitness of each scaled to 0 for the worst and failed ones, and 1 for the best."""
    sound = jnp.isfinite(fitness)
    half = jnp.where(sound, fitness, 0.0) / 2  # so that no difference is infinite
    worst, best = (end(jnp.where(sound, half, -sign * jnp.inf)) for end, sign in ((jnp.max, 1), (jnp.min, -1)))
    span = jnp.where(worst > best, worst - best, 1.0)
    return jnp.where(sound, (worst - half) / span, 0.0)
