"""Long vectors over several devices: each holds, draws and updates a slice of D numbers, to the same bits on any.

What is computed entry by entry is computed in blocks of a fixed length, which begin at the same entries whatever the
number of devices: in a loop whose body is the same program everywhere. A block in which one slice ends and another
begins is computed for both, and each device keeps its own entries. Noise has a key for each block. Sums, which would
depend on their order, are sums of whole numbers.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from evometa.backend.chunks import MEMBERS
from evometa.backend.kernels import mesh_to_split_over
from evometa.types import Key, Scalar

LEAST_LENGTH = 2**18
"""Numbers in a vector from which on it is computed by blocks, and may be split."""
BLOCK = 2**14
"""Numbers in a block: its temporaries stay in a core's cache."""
DIGITS = 16
"""Bits of the whole numbers that a sum is taken in: those of a block add up to less than 2³¹."""

Place = jax.Array | None
"""Which block, an int32 scalar; None where a vector is computed as a whole."""
Each = Callable[[Place, Any, Any], Any]
"""From a place, what all entries share, and vectors there, a pytree, to a pytree of vectors, entry by entry."""


class Vectors(abc.ABC):
    """How a strategy computes with its vectors ``[D]``.

    Args:
        length: D.
    """

    def __init__(self, length: int) -> None:
        self.length = length

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Numbers that :meth:`each` computes at a time."""

    @abc.abstractmethod
    def key(self, key: Key, place: Place) -> Key:
        """Return the key of what is drawn at a place."""

    @abc.abstractmethod
    def each(self, function: Each, shared: Any, vectors: Any) -> Any:
        """Return ``function(place, shared, vectors)``, vectors ``[D]``."""

    @abc.abstractmethod
    def largest(self, function: Each, shared: Any, vectors: Any) -> Any:
        """Return the largest entry of each vector that a function gives, and at least 0."""

    @abc.abstractmethod
    def norm(self, vector: jax.Array) -> Scalar:
        """Return the Euclidean norm."""

    @abc.abstractmethod
    def mean(self, vector: jax.Array) -> Scalar:
        """Return the mean."""

    @abc.abstractmethod
    def whole(self, tree: Any) -> Any:
        """Return vectors as every device has the whole of them."""


class Whole(Vectors):
    """Every device has the whole of each vector, and computes it at once."""

    @property
    def size(self) -> int:  # noqa: D102 - as the base class says
        return self.length

    def key(self, key: Key, place: Place) -> Key:  # noqa: D102
        return key

    def each(self, function: Each, shared: Any, vectors: Any) -> Any:  # noqa: D102
        return function(None, shared, vectors)

    def largest(self, function: Each, shared: Any, vectors: Any) -> Any:  # noqa: D102
        return jax.tree.map(lambda found: jnp.max(found, initial=0), function(None, shared, vectors))

    def norm(self, vector: jax.Array) -> Scalar:  # noqa: D102
        length: Scalar = jnp.linalg.norm(vector)
        return length

    def mean(self, vector: jax.Array) -> Scalar:  # noqa: D102
        return jnp.mean(vector)

    def whole(self, tree: Any) -> Any:  # noqa: D102
        return tree


class Sliced(Vectors):
    """Each device has a slice of every vector, and computes it block by block."""

    @property
    def size(self) -> int:  # noqa: D102
        return BLOCK

    def key(self, key: Key, place: Place) -> Key:  # noqa: D102
        return key if place is None else jax.random.fold_in(key, place)

    def each(self, function: Each, shared: Any, vectors: Any) -> Any:  # noqa: D102
        def work(part: _Part, shared: Any, vectors: Any) -> Any:
            shapes = jax.eval_shape(function, jnp.int32(0), shared, jax.tree.map(lambda v: v[:BLOCK], vectors))
            empty = jax.tree.map(lambda shape: jnp.zeros((part.length,), shape.dtype), shapes)

            def visit(number: jax.Array, results: Any) -> Any:
                found = part.at(number, function, shared, vectors)
                return jax.tree.map(lambda whole, block: part.write(whole, number, block), results, found)

            return part.walk(visit, empty)

        return self._split(work, shared, vectors, PartitionSpec(MEMBERS))

    def largest(self, function: Each, shared: Any, vectors: Any) -> Any:  # noqa: D102
        def work(part: _Part, shared: Any, vectors: Any) -> Any:
            shapes = jax.eval_shape(function, jnp.int32(0), shared, jax.tree.map(lambda v: v[:BLOCK], vectors))

            def visit(number: jax.Array, results: Any) -> Any:
                here = part.holds(number)
                found = part.at(number, function, shared, vectors)
                return jax.tree.map(
                    lambda most, block: jnp.maximum(most, jnp.max(jnp.where(here, block, jnp.zeros_like(block)))),
                    results,
                    found,
                )

            most = part.walk(visit, jax.tree.map(lambda shape: jnp.zeros((), shape.dtype), shapes))
            return jax.tree.map(lambda one: jax.lax.pmax(one, MEMBERS), most) if part.split else most

        return self._split(work, shared, vectors, PartitionSpec())

    def norm(self, vector: jax.Array) -> Scalar:  # noqa: D102
        scale = _scale(self.largest(lambda _, __, v: jnp.abs(v), (), vector))
        return scale * jnp.sqrt(self._total(lambda _, scale, v: (v / scale) ** 2, scale, vector))

    def mean(self, vector: jax.Array) -> Scalar:  # noqa: D102
        scale = _scale(self.largest(lambda _, __, v: jnp.abs(v), (), vector))
        half = self._total(lambda _, scale, v: (v / scale + 1) / 2, scale, vector) / self.length
        return scale * (2 * half - 1)

    def whole(self, tree: Any) -> Any:  # noqa: D102
        mesh = mesh_to_split_over()
        if mesh is not None:
            tree = jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec()))
        return jax.lax.optimization_barrier(tree)

    def _total(self, function: Each, shared: Any, vectors: Any) -> Scalar:
        """Return the sum of a vector of numbers in [0, 1]."""
        dtype = jax.tree.leaves(vectors)[0].dtype
        limbs = 1 + -(-jnp.finfo(dtype).nmant // DIGITS)

        def work(part: _Part, shared: Any, vectors: Any) -> Any:
            def visit(number: jax.Array, sums: jax.Array) -> jax.Array:
                found = part.at(number, function, shared, vectors)
                rest = jnp.where(part.holds(number), found, jnp.zeros_like(found))
                digits = []
                for _ in range(limbs):
                    rest = rest * 2.0**DIGITS
                    digits.append(jnp.sum(jnp.floor(rest).astype(jnp.int32), dtype=jnp.int32))
                    rest = rest - jnp.floor(rest)
                return sums.at[number].set(jnp.stack(digits))

            sums = part.walk(visit, jnp.zeros((-(-self.length // BLOCK), limbs), jnp.int32))
            return jax.lax.psum(sums, MEMBERS) if part.split else sums

        sums = jax.lax.optimization_barrier(self._split(work, shared, vectors, PartitionSpec()))
        weights = 2.0 ** -(DIGITS * jnp.arange(1, limbs + 1, dtype=dtype))
        return jnp.sum(jax.lax.optimization_barrier(jnp.sum(sums.astype(dtype), axis=0)) * weights)

    def _split(self, work: Callable[..., Any], shared: Any, vectors: Any, specs: PartitionSpec) -> Any:
        """Return what ``work`` makes of each device's slices: of vectors, or of numbers that are the same on all."""
        mesh = mesh_to_split_over()
        if mesh is None:
            return work(_Part(0, self.length, self.length, split=False), shared, vectors)
        if self.length < mesh.size * BLOCK:  # too short: every device computes all of it
            whole = PartitionSpec()

            def everything(shared: Any, vectors: Any) -> Any:
                return work(_Part(0, self.length, self.length, split=False), shared, vectors)

            return jax.shard_map(everything, mesh=mesh, in_specs=whole, out_specs=whole, check_vma=False)(
                shared, vectors
            )
        share = -(-self.length // mesh.size)
        missing = share * mesh.size - self.length
        padded = jax.tree.map(lambda vector: jnp.pad(vector, (0, missing)), vectors) if missing else vectors

        def own(shared: Any, vectors: Any) -> Any:
            return work(_Part(jax.lax.axis_index(MEMBERS) * share, share, self.length, split=True), shared, vectors)

        found = jax.shard_map(
            own, mesh=mesh, in_specs=(PartitionSpec(), PartitionSpec(MEMBERS)), out_specs=specs, check_vma=False
        )(shared, padded)
        cut = missing and len(specs)
        return jax.tree.map(lambda vector: vector[: self.length], found) if cut else found


def vectors_of(length: int, *, split: bool) -> Vectors:
    """Return how to compute with vectors ``[D]`` of a length: by slices where asked for and where they are long."""
    return Sliced(length) if split and length >= LEAST_LENGTH else Whole(length)


class _Part(NamedTuple):
    """The slice of a vector that one device has."""

    start: int | jax.Array
    """Its first entry."""
    length: int
    """Its entries."""
    total: int
    """Those of the vector; a slice may reach beyond."""
    split: bool
    """Whether other devices have others."""

    def walk(self, visit: Callable[[jax.Array, Any], Any], results: Any) -> Any:
        """Carry results through the blocks that the slice has a part of; the compiler does not know how many."""
        first = jnp.int32(self.start) // BLOCK
        end = (jnp.int32(self.start) + self.length - 1) // BLOCK + 1
        end = jnp.minimum(end, -(-self.total // BLOCK))
        first, end = jax.lax.optimization_barrier((first, end))
        return jax.lax.fori_loop(first, end, visit, results)

    def at(self, number: jax.Array, function: Each, shared: Any, vectors: Any) -> Any:
        """Return what a function gives for a block; barriers and branches keep what is around it out of its program."""
        blocks = jax.tree.map(lambda vector: self._read(vector, number), vectors)
        shared, blocks = jax.lax.optimization_barrier((shared, blocks))
        return jax.lax.optimization_barrier(function(number, shared, blocks))

    def holds(self, number: jax.Array) -> jax.Array:
        """Return which entries of a block are in the slice, bool ``[BLOCK]``."""
        entry = number * BLOCK + jnp.arange(BLOCK, dtype=jnp.int32)
        return (entry >= self.start) & (entry < jnp.minimum(self.start + self.length, self.total))

    def _window(self, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return where a window ``[BLOCK]`` on the slice lies, and by how much a block begins after it."""
        begins = number * BLOCK - self.start
        at = jnp.clip(begins, 0, self.length - BLOCK)
        return at, begins - at

    def _read(self, vector: jax.Array, number: jax.Array) -> jax.Array:
        at, shift = self._window(number)
        window = jax.lax.dynamic_slice(vector, (at,), (BLOCK,))
        moved: jax.Array = jax.lax.cond(shift == 0, lambda here: here, lambda here: jnp.roll(here, -shift), window)
        return moved

    def write(self, vector: jax.Array, number: jax.Array, block: jax.Array) -> jax.Array:
        """Return the slice with its entries of a block."""
        at, shift = self._window(number)

        def part(block: jax.Array, old: jax.Array) -> jax.Array:
            entry = jnp.arange(BLOCK, dtype=jnp.int32) - shift
            return jnp.where((entry >= 0) & (entry < BLOCK), jnp.roll(block, shift), old)

        old = jax.lax.dynamic_slice(vector, (at,), (BLOCK,))
        new = jax.lax.cond(shift == 0, lambda block, _: block, part, block, old)
        return jax.lax.dynamic_update_slice(vector, new, (at,))


def _scale(largest: Scalar) -> Scalar:
    return jnp.where(largest > 0, largest, 1.0).astype(largest.dtype)
