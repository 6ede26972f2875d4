"""Orders and subsets of items, with the variation operators that the literature has for them.

====================  =====================================
:class:`Permutation`  in which order all of n items come
:class:`Subset`       which k of n items are taken
====================  =====================================

Papers: Bean, "Genetic algorithms and random keys for sequencing and optimization" (1994); Davis, "Applying adaptive
algorithms to epistatic domains" (1985), order crossover; Larrañaga et al., "Genetic algorithms for the travelling
salesman problem: a review of representations and operators" (1999), the mutations; Radcliffe, "Genetic set
recombination" (1993), for subsets.
"""

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Count, Range
from evometa.spaces.arrays import array_of
from evometa.spaces.base import Block
from evometa.types import Key, Omega

_Items = Annotated[int, Range(least=2, most=2**20)]
"""Genotypes of type float32 tell the places of more items no longer apart."""


class Permutation(Block):
    """All orders of the items 0 to n - 1; ω is int32 ``[n]``, the items from the first to the last.

    A genotype ``[n]`` holds the place of each item as a key between 0 and 1. Mutation reverses a part of the order,
    swaps two items or moves one elsewhere, each in a third of the cases; the crossover is order crossover.

    Args:
        items: n, at least 2.
        start: the order at which a search begins; None draws it.

    Raises:
        ConfigurationError: fewer than two items, or a start that does not hold each item once.
    """

    def __init__(self, items: _Items, *, start: Any = None) -> None:
        super().__init__(items)
        self._start = None if start is None else self.encode(start)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode an order ``[n]`` as a genotype."""
        order = array_of("Permutation", "its start", omega)
        numbers = order.shape == (self.size,) and order.dtype.kind in "iuf"
        if not numbers or sorted(order.tolist()) != list(range(self.size)):
            raise ConfigurationError(
                f"Permutation expects its start to hold each of the items 0 to {self.size - 1} once, got {omega}."
            )
        return (np.argsort(order) + 0.5) / self.size

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype to an order ``[n]``."""
        return jnp.argsort(genotype).astype(jnp.int32)

    def arrange(self, keys: jax.Array) -> jax.Array:
        """Return the keys, spread evenly in the order in which they are."""
        return self._keys(jnp.argsort(jnp.argsort(keys)), keys.dtype)

    def _keys(self, places: jax.Array, dtype: Any) -> jax.Array:
        return (places.astype(dtype) + 0.5) / self.size

    def _places(self, genotype: jax.Array) -> jax.Array:
        """Return the place of each item, int32 ``[n]``."""
        return jnp.floor(genotype * self.size).astype(jnp.int32)

    def move(self, key: Key, genotype: jax.Array) -> jax.Array:
        """Reverse a part of the order, swap two items, or move one elsewhere."""
        key_kind, key_ends, key_distance = jax.random.split(key, 3)
        one = jax.random.randint(key_ends, (), 0, self.size)
        two = (one + jax.random.randint(key_distance, (), 1, self.size)) % self.size
        first, last = jnp.minimum(one, two), jnp.maximum(one, two)
        place = self._places(genotype)
        inside = (first <= place) & (place <= last)
        reversed_ = first + last - place
        swapped = jnp.where((place == first) | (place == last), reversed_, place)
        # The item at one end goes to the other, and those between make room.
        moved = jnp.where(place == one, two, place + jnp.where(one < two, -1, 1))
        kind = jax.random.randint(key_kind, (), 0, 3)
        place = jnp.where(inside, jnp.stack([reversed_, swapped, moved])[kind], place)
        return self._keys(place, genotype.dtype)

    def combine(self, key: Key, first: jax.Array, second: jax.Array) -> jax.Array:
        """Keep a part of the first order in its place; fill in the others in the order of the second, from there on."""
        number = jnp.arange(self.size)
        ends = jax.random.randint(key, (2,), 0, self.size + 1)
        begin, end = jnp.min(ends), jnp.max(ends)
        ours, theirs = self._places(first), self._places(second)
        kept = (begin <= ours) & (ours < end)
        used = (begin <= number) & (number < end)
        # Both lists begin with what is to be filled in, in cyclic order after the part that is kept.
        items = jnp.argsort(jnp.where(kept, self.size + ours, (theirs - end) % self.size))
        places = jnp.argsort(jnp.where(used, self.size + number, (number - end) % self.size))
        return self._keys(jnp.zeros_like(ours).at[items].set(places.astype(ours.dtype)), first.dtype)


class Subset(Block):
    """All subsets of k of the items 0 to n - 1; ω is int32 ``[k]``, the chosen items in ascending order.

    A genotype ``[n]`` is 1 for chosen items and 0 for the others. Mutation exchanges one item; a child has all items
    that both parents have, and draws the rest from those that one of them has. For subsets of any size take
    ``Categorical(2, (n,))``.

    Args:
        items: n, at least 2.
        chosen: k, from 1 to n - 1.
        start: the items at which a search begins; None draws them.

    Raises:
        ConfigurationError: k or n out of range, or a start that is not k different items.
    """

    def __init__(self, items: _Items, chosen: Count, *, start: Any = None) -> None:
        if chosen >= items:
            raise ConfigurationError(
                f"Subset expects to choose fewer items than there are, got {chosen} of {items}; lower chosen."
            )
        super().__init__(items)
        self.chosen = chosen
        self._start = None if start is None else self.encode(start)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode chosen items ``[k]`` as a genotype."""
        items = array_of("Subset", "its start", omega)
        known = np.isin(np.arange(self.size), items if items.dtype.kind in "iuf" else ())
        if items.shape != (self.chosen,) or known.sum() != self.chosen:
            raise ConfigurationError(
                f"Subset expects its start to hold {self.chosen} different items of 0 to {self.size - 1}, got {omega}."
            )
        return known.astype(np.float64)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype to the chosen items ``[k]``."""
        return jnp.sort(self._largest(genotype)).astype(jnp.int32)

    def _largest(self, keys: jax.Array) -> jax.Array:
        return jnp.argsort(-keys)[: self.chosen]

    def arrange(self, keys: jax.Array) -> jax.Array:
        """Choose the items with the largest keys."""
        return jnp.zeros_like(keys).at[self._largest(keys)].set(1.0)

    def move(self, key: Key, genotype: jax.Array) -> jax.Array:
        """Exchange one chosen item for another."""
        lot = jax.random.uniform(key, (self.size,))
        out, into = (jnp.argmax(jnp.where(genotype == value, lot, -1.0)) for value in (1.0, 0.0))
        return genotype.at[out].set(0.0).at[into].set(1.0)

    def combine(self, key: Key, first: jax.Array, second: jax.Array) -> jax.Array:
        """Choose the items that both have, then some of those that one has."""
        lot = jax.random.uniform(key, (self.size,), first.dtype)
        return self.arrange(first + second + lot)
