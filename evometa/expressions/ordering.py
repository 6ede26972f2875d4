"""Compilation of a tree's codes into the instruction tables of the interpreter (:mod:`machine`).

Only primitives become instructions; arguments and constants are read where they are used. Of a node's inputs, the one
with the most instructions is computed first, which keeps few results in registers at a time: at most log2(n + 1) for n
instructions of two inputs each (Sethi & Ullman 1970). So an expression's registers fit into a core's nearest cache.

A backward pass over the tree measures its subtrees and a forward pass numbers its instructions. Both work on scalars:
on a CPU they become one piece of machine code, and the trees of a population are compiled one after the other.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from evometa.backend.kernels import one_kernel
from evometa.expressions.machine import Tables
from evometa.expressions.primitives import MAX_ARITY, PADDING, PrimitiveSet
from evometa.types import Scalar


@functools.cache
def ordering(primitives: PrimitiveSet) -> Callable[[jax.Array], Tables]:
    """Return a function from the codes ``[L]`` of a valid tree to its instruction tables."""

    @jax.custom_batching.custom_vmap
    def of_one(op: jax.Array) -> Tables:
        tables: Tables = one_kernel(functools.partial(_tables, primitives), op)
        return tables

    @of_one.def_vmap
    def of_many(count: int, batched: list[bool], op: jax.Array) -> tuple[Tables, Tables]:
        one = functools.partial(_tables, primitives)
        on_cpu = jax.default_backend() == "cpu"
        tables = one_kernel(functools.partial(lax.map, one), op) if on_cpu else jax.vmap(one)(op)
        return tables, jax.tree.map(lambda _: True, tables)

    return of_one


def _tables(primitives: PrimitiveSet, op: jax.Array) -> Tables:
    length, inputs, functions = op.shape[0], len(primitives.arguments), len(primitives.primitives)
    max_arity, arities = max((p.arity for p in primitives.primitives), default=0), jnp.asarray(primitives.arities)
    size = jnp.sum(op != PADDING, dtype=jnp.int32)
    zeros = jnp.zeros(length + 1, jnp.int32)  # place L is used for inputs that do not exist

    def children(place: Scalar, spans: jax.Array) -> tuple[Scalar, list[Scalar], Scalar]:
        """Return the code of a node, the place of each input, and the end of its subtree."""
        code, end, places = _read(op, place), place + 1, []
        arity = _read(arities, code)
        for k in range(max_arity):
            places.append(jnp.where(k < arity, end, length))
            end = end + _read(spans, places[-1])
        return code, places, end

    def measure(number: Scalar, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        spans, works = carry
        place = size - 1 - number
        code, places, end = children(place, spans)
        work = sum((_read(works, child) for child in places), (code < functions).astype(jnp.int32))
        return _write(spans, end - place, place), _write(works, work, place)

    def operand(child: Scalar, row: Scalar, constant: Scalar) -> Scalar:
        """Return the operand by which a parent reads an input: the row of a result or argument, or a constant."""
        code = _read(op, jnp.minimum(child, length - 1))
        leaf = jnp.where(code == primitives.constant, constant, code - functions)
        return jnp.where(_read(works, child) > 0, inputs + row, jnp.where(child < length, leaf, 0))

    def number(place: Scalar, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        # For each subtree: how many instructions come before its own, and how many results are held meanwhile.
        before, held, instructions, among_results = carry
        code, places, _ = children(place, spans)
        work = [_read(works, child) for child in places]
        register = _read(held, place)
        operands, results = [code, register], [code]
        for k, child in enumerate(places):
            start, row = _read(before, place), register
            for m, other in enumerate(work):
                if m != k:  # of two inputs with equal work, the left one comes first
                    first = other >= work[k] if m < k else other > work[k]
                    start, row = start + jnp.where(first, other, 0), row + (first & (other > 0))
            before, held = _write(before, start, child), _write(held, row, child)
            operands.append(operand(child, row, ~child))
            results.append(operand(child, start + work[k] - 1, inputs + length + child))
        padding = [jnp.int32(0)] * (MAX_ARITY - max_arity)
        at = jnp.where(code < functions, _read(before, place) + _read(works, place) - 1, length)
        return (
            before,
            held,
            _write(instructions, jnp.stack(operands + padding), at),
            _write(among_results, jnp.stack(results + padding), at),
        )

    spans, works = lax.fori_loop(0, size, measure, (zeros, zeros))
    blank = jnp.zeros((length + 1, 2 + MAX_ARITY), jnp.int32)
    *_, instructions, among_results = lax.fori_loop(0, size, number, (zeros, zeros, blank, blank[:, 1:]))
    root = jnp.int32(0)
    return Tables(
        instructions=instructions[:length],
        among_results=among_results[:length],
        steps=works[0],
        root=operand(root, root, ~root),
        root_among_results=operand(root, works[0] - 1, inputs + length + root),
    )


def _read(array: jax.Array, place: Scalar) -> Scalar:
    element: Scalar = lax.dynamic_index_in_dim(array, place, keepdims=False)
    return element


def _write(array: jax.Array, value: jax.Array, place: Scalar) -> jax.Array:
    written: jax.Array = lax.dynamic_update_index_in_dim(array, value, place, 0)
    return written
