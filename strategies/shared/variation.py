"""Crossover and mutation: of real coordinates as in the code of NSGA-II's authors, of others by their space.

Papers: Deb & Agrawal, "Simulated binary crossover for continuous search space" (1995); Deb & Agrawal, "A niched-penalty
approach for constraint handling in genetic algorithms" (1999), for both with bounds.
"""

import jax
import jax.numpy as jnp
import numpy as np

from evometa.spaces.base import Coordinates, Space
from evometa.types import Genotype, Key


def simulated_binary_crossover(
    key: Key, bounds: Coordinates, parents: jax.Array, *, rate: float, eta: float
) -> jax.Array:
    """Return the two children of each pair of parents, ``[2 N, D]``: all first children, then all second ones.

    The children lie symmetrically about the middle of their parents, on average as far apart as these, and inside the
    bounds.

    Args:
        key: random key.
        bounds: of the coordinates; infinite where there are none.
        parents: one of each pair, then the other, ``[2, N, D]``.
        rate: chance of a pair to be crossed at all; then each coordinate is, with chance 1/2.
        eta: the larger, the closer the children to their parents.
    """
    key_pair, key_bits = jax.random.split(key)
    _, count, dimension = parents.shape
    # In one row of numbers a CPU computes powers many at a time; with a short last axis, one after the other.
    pairs = parents.reshape(2, -1)
    first, second = pairs
    # One word a coordinate serves three draws: 24 bits are a uniform number, two more are coins.
    bits = jax.random.bits(key_bits, (count, dimension), jnp.uint32).ravel()
    u = ((bits >> 8).astype(jnp.float32) * 2.0**-24).astype(first.dtype)
    crossed = (first != second) & (bits & 1 == 0)
    crossed &= jnp.repeat(jax.random.bernoulli(key_pair, rate, (count,)), dimension)
    side = jnp.where(bits & 2 == 0, 1.0, -1.0).astype(first.dtype)[None] * np.array([[1.0], [-1.0]], first.dtype)
    lower, upper = (_repeated(bound, count, first.dtype) for bound in (bounds.lower, bounds.upper))
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    distance = jnp.where(high > low, high - low, 1.0)
    room = jnp.where(side > 0, upper - high, low - lower)
    alpha = 2.0 - _power(1.0 + 2.0 * room / distance[None], -(eta + 1.0))
    # β: the distance of the children in parts of that of the parents, limited by the distance of the bound.
    u = u[None]
    spread = _power(jnp.where(u * alpha <= 1.0, u * alpha, 1.0 / (2.0 - u * alpha)), 1.0 / (eta + 1.0))
    child = jnp.clip(0.5 * ((low + high)[None] + side * spread * distance[None]), lower[None], upper[None])
    return jnp.where(crossed, child, pairs).reshape(-1, dimension)


def polynomial_mutation(key: Key, bounds: Coordinates, genotypes: jax.Array, *, rate: float, eta: float) -> jax.Array:
    """Return changed copies of genotypes ``[N, D]``, inside the bounds.

    Args:
        key: random key.
        bounds: of the coordinates; where there are none a change is in genotype units, otherwise relative to the range.
        genotypes: ``[N, D]``, inside the bounds.
        rate: chance of each coordinate to change.
        eta: the larger, the smaller the changes; of the size 1 / eta about.
    """
    key_which, key_size = jax.random.split(key)
    x, count = genotypes.ravel(), len(genotypes)  # in one row, as above
    u = jax.random.uniform(key_size, genotypes.shape, jnp.float32).ravel().astype(x.dtype)
    lower, upper = (_repeated(bound, count, x.dtype) for bound in (bounds.lower, bounds.upper))
    bounded = jnp.isfinite(lower) & jnp.isfinite(upper)
    span = jnp.where(bounded, upper - lower, 1.0)
    down = u < 0.5
    room = jnp.where(down, x - lower, upper - x) / span
    room = jnp.where(jnp.isfinite(room), jnp.clip(room, 0.0, 1.0), 1.0)
    share = jnp.where(down, 1.0 - 2.0 * u, 2.0 * u - 1.0)
    size = 1.0 - _power(1.0 - share * (1.0 - _power(1.0 - room, eta + 1.0)), 1.0 / (eta + 1.0))
    # Next to a bound, where 1 - room loses what tells it from 1, the size is that share of the room.
    size = jnp.where(room < 1e-4, share * room, size)
    moved = jnp.clip(x + jnp.where(down, -size, size) * span, lower, upper)
    which = jax.random.bernoulli(key_which, rate, genotypes.shape).ravel()
    return jnp.where(which, moved, x).reshape(genotypes.shape)


def _repeated(bound: np.ndarray, count: int, dtype: np.dtype) -> jax.Array:
    """Return a bound of each coordinate ``[D]``, ``count`` times in a row."""
    return jnp.broadcast_to(jnp.asarray(bound, dtype), (count, len(bound))).ravel()


def _power(base: jax.Array, exponent: float) -> jax.Array:
    """Return a power of numbers ≥ 0, at half the cost of the general operation."""
    return jnp.exp(exponent * jnp.log(base))


def others(
    key: Key, space: Space, first: Genotype, second: Genotype, *, crossover_rate: float, mutation_rate: float
) -> Genotype:
    """Return a child of each pair of parents ``[N, ...]``, bred by the space's own operators.

    Args:
        key: random key.
        space: the space.
        first: the parent of each child that is not crossed.
        second: the other parent.
        crossover_rate: chance of a child to have parts of both.
        mutation_rate: chance of each part to change; at least one does.
    """

    def breed(key: Key, one: Genotype, two: Genotype) -> Genotype:
        key_rate, key_cross, key_mutate = jax.random.split(key, 3)
        crossing = jax.random.bernoulli(key_rate, crossover_rate)
        mixed = space.crossover(key_cross, one, two)
        child = jax.tree.map(lambda a, b: jnp.where(crossing, a, b), mixed, one)
        return space.mutate(key_mutate, child, mutation_rate)

    return jax.vmap(breed)(jax.random.split(key, len(jax.tree.leaves(first)[0])), first, second)
