"""What strategies that breed a population share; a population is a pytree whose leaves have a leading axis."""

import jax
import jax.numpy as jnp

from evometa.spaces import Space
from evometa.types import Genotype, Key


def draw(key: Key, space: Space, count: int, begin: bool | jax.Array = True) -> Genotype:
    """Return ``count`` draws from the whole space, at the beginning of a search with its starts in the first places."""
    key_start, key_sample = jax.random.split(key)
    drawn = jax.vmap(space.sample)(jax.random.split(key_sample, count))
    starts = space.starts
    if starts is None:
        starts = jax.tree.map(lambda leaf: leaf[None], space.start(key_start))

    def put(leaf: jax.Array, given: jax.Array) -> jax.Array:
        first = jnp.asarray(given[:count], leaf.dtype)
        return leaf.at[: len(first)].set(jnp.where(begin, first, leaf[: len(first)]))

    return jax.tree.map(put, drawn, starts)


def resized(rows: Genotype, fresh: Genotype, order: jax.Array | None = None) -> Genotype:
    """Return as many members as another population has: the first ones, then fresh ones where there are too few.

    Args:
        rows: the members, leaves ``[N, ...]``.
        fresh: a whole population of the other size, leaves ``[M, ...]``; its last ones fill up.
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
        size: contestants of each tournament, drawn with replacement; of the best ones the first drawn wins, so that
            ties fall to chance.
        count: how many tournaments.
    """
    contestants = jax.random.randint(key, (count, size), 0, len(fitness))
    first = jnp.argmin(fitness[contestants], axis=1)
    return contestants[jnp.arange(count), first]
