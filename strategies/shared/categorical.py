"""A categorical distribution for each coordinate: what strategies for integers and categories learn.

An integer is treated as a category: each of its values is a choice of its own. Coordinates with fewer choices than the
widest one are padded with choices of probability 0. Letters: K, the most choices of any coordinate.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.spaces.base import CATEGORY, INTEGER, Space, VectorSpace
from evometa.strategy import Strategy
from evometa.types import Key, Scalar

MOST_CHANCES = 2**22
"""Numbers in the largest table of chances, 16 MiB of float32."""


def refuse_unless_discrete(strategy: Strategy[Any], space: Space) -> str | None:
    """Return why a strategy for choices cannot search a space, or None when it can."""
    if isinstance(space, VectorSpace) and np.all(np.isin(space.coordinates.kind, (INTEGER, CATEGORY))):
        most = np.max(space.coordinates.upper - space.coordinates.lower + 1)
        if space.size * most <= MOST_CHANCES:
            return None
        return (
            f"{type(strategy).__name__} keeps a chance for each value of each coordinate, {MOST_CHANCES} at most, and "
            f"the widest of {space.size} has {most:.0f} values; use CMAwM or GeneticAlgorithm, or search fewer."
        )
    return (
        f"{type(strategy).__name__} searches integers and categories only (Integer, Categorical, Dict of these), "
        f"and {type(space).__name__} holds real numbers or structures; use GeneticAlgorithm or AgedEvolution, which "
        "search any space."
    )


def available(space: VectorSpace) -> NDArray[np.bool_]:
    """Return which of the K choices each coordinate has, ``[D, K]``."""
    count = (space.coordinates.upper - space.coordinates.lower + 1).astype(np.int64)
    return np.asarray(np.arange(count.max()) < count[:, None])


def sample(key: Key, space: VectorSpace, log_probability: jax.Array, count: int) -> jax.Array:
    """Draw ``count`` genotypes ``[count, D]`` from log-probabilities ``[D, K]``, normalised or not."""
    choice = jax.random.categorical(key, log_probability, shape=(count, space.size))
    return _genotype(space, choice)


def mode(space: VectorSpace, log_probability: jax.Array) -> jax.Array:
    """Return the most probable genotype ``[D]``."""
    return _genotype(space, jnp.argmax(log_probability, axis=1))


def _genotype(space: VectorSpace, choice: jax.Array) -> jax.Array:
    dtype = jnp.result_type(float)
    return choice.astype(dtype) + jnp.broadcast_to(jnp.asarray(space.coordinates.lower, dtype), choice.shape)


def frequencies(space: VectorSpace, weights: jax.Array, genotypes: jax.Array) -> jax.Array:
    """Return the weight of each choice, ``[D, K]``: the sum over the candidates ``[P, D]`` that have it."""
    choice = jnp.round(genotypes - jnp.asarray(space.coordinates.lower, genotypes.dtype)[None]).astype(jnp.int32)
    table = jnp.zeros(available(space).shape, weights.dtype)
    return table.at[jnp.arange(space.size), choice].add(weights[:, None])


def entropy(probability: jax.Array) -> Scalar:
    """Return the entropy of probabilities ``[D, K]`` in nats, averaged over coordinates; 0 when all are 0 or 1."""
    return jnp.mean(jnp.sum(jax.scipy.special.entr(probability), axis=1))
