"""What strategies that breed a population have in common; a population is a pytree whose leaves have a leading axis."""

import jax
import jax.numpy as jnp

from evometa.spaces import Space
from evometa.types import Genotype, Key, Scalar


def draw(key: Key, space: Space, count: int, begin: bool | jax.Array = True) -> Genotype:
    """Return ``count`` random draws from the whole space; in the first generation the initial points come first."""
    key_start, key_sample = jax.random.split(key)
    drawn = jax.vmap(space.sample)(jax.random.split(key_sample, count))
    starts = space.starts
    if starts is None:
        starts = jax.tree.map(lambda leaf: leaf[None], space.start(key_start))

    def put(leaf: jax.Array, given: jax.Array) -> jax.Array:
        first = jnp.asarray(given[:count], leaf.dtype)
        return leaf.at[: len(first)].set(jnp.where(begin, first, leaf[: len(first)]))

    return jax.tree.map(put, drawn, starts)


def draw_one(key: Key, space: Space, number: Scalar) -> Genotype:
    """Return a random draw from the whole space; the first ones, by their number from 0, are the initial points."""
    key_start, key_sample = jax.random.split(key)
    starts = space.starts
    if starts is None:
        starts = jax.tree.map(lambda leaf: leaf[None], space.start(key_start))

    def put(leaf: jax.Array, given: jax.Array) -> jax.Array:
        known = jnp.asarray(given, leaf.dtype)
        return jnp.where(number < len(known), known[jnp.minimum(number, len(known) - 1)], leaf)

    return jax.tree.map(put, space.sample(key_sample), starts)


def resized(rows: Genotype, fresh: Genotype, order: jax.Array | None = None) -> Genotype:
    """Return a population in another size: the first members, then fresh ones where there are too few.

    Args:
        rows: the members, leaves ``[N, ...]``.
        fresh: a whole population of the other size, leaves ``[M, ...]``; its last ones fill the places that are left.
        order: ``[N]``, which members come first; None: as they are.
    """
    if order is not None:
        rows = take(rows, order)
    return jax.tree.map(lambda old, new: jnp.concatenate([old[: len(new)], new[len(old) :]]), rows, fresh)


def take(population: Genotype, index: jax.Array) -> Genotype:
    """Return the members that an index array names."""
    return jax.tree.map(lambda leaf: leaf[index], population)


def tournament(key: Key, fitness: jax.Array, size: int, count: int) -> jax.Array:
    """Return which of ``N`` members win ``count`` tournaments, int32 ``[count]``.

    Args:
        key: random key.
        fitness: ``[N]``, smaller is better.
        size: contestants of each tournament, drawn with replacement; of equals the first drawn wins, so that ties are
            broken at random.
        count: how many tournaments.
    """
    contestants = jax.random.randint(key, (count, size), 0, len(fitness))
    first = jnp.argmin(fitness[contestants], axis=1)
    return contestants[jnp.arange(count), first]
