"""The order of instructions: from a tree's codes to the tables of the machine.

Only primitives become instructions; arguments and constants are read where they are used. The input with more
instructions is computed first, so that few results wait at a time: of n instructions of two inputs, no more than
log2(n + 1) do (Sethi & Ullman 1970), and the registers of an expression stay in a core's nearest cache.

Two walks over the places, back to measure the subtrees and forth to number them, in scalars: one piece of machine code
on a CPU, where many trees are ordered one after the other.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from evometa.expressions.machine import Tables
from evometa.expressions.primitives import MOST_INPUTS, NOTHING, PrimitiveSet
from evometa.kernels import one_kernel
from evometa.types import Scalar


@functools.cache
def ordering(primitives: PrimitiveSet) -> Callable[[jax.Array], Tables]:
    """Return the function from the codes ``[L]`` of a valid tree to its instructions."""

    @jax.custom_batching.custom_vmap
    def of_one(op: jax.Array) -> Tables:
        return one_kernel(lambda: _tables(primitives, op))

    @of_one.def_vmap
    def of_many(count: int, batched: list[bool], op: jax.Array) -> tuple[Tables, Tables]:
        one = functools.partial(_tables, primitives)
        on_cpu = jax.default_backend() == "cpu"
        tables = one_kernel(lambda: lax.map(one, op)) if on_cpu else jax.vmap(one)(op)
        return tables, jax.tree.map(lambda _: True, tables)

    return of_one


def _tables(primitives: PrimitiveSet, op: jax.Array) -> Tables:
    length, inputs, functions = op.shape[0], len(primitives.arguments), len(primitives.primitives)
    most, arities = max((p.arity for p in primitives.primitives), default=0), jnp.asarray(primitives.arities)
    size = jnp.sum(op != NOTHING, dtype=jnp.int32)
    nothing = jnp.zeros(length + 1, jnp.int32)  # place L stands for inputs that are not there

    def children(place: Scalar, spans: jax.Array) -> tuple[Scalar, list[Scalar], Scalar]:
        """Return the code of a node, the place of each input, and where its subtree ends."""
        code, end, places = _read(op, place), place + 1, []
        arity = _read(arities, code)
        for k in range(most):
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
        """Return what a parent reads: the row of a result or an argument, or a constant."""
        code = _read(op, jnp.minimum(child, length - 1))
        leaf = jnp.where(code == primitives.constant, constant, code - functions)
        return jnp.where(_read(works, child) > 0, inputs + row, jnp.where(child < length, leaf, 0))

    def number(place: Scalar, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        # The instructions that come before those of each subtree, and the results that wait meanwhile.
        before, waiting, instructions, among_results = carry
        code, places, _ = children(place, spans)
        work = [_read(works, child) for child in places]
        register = _read(waiting, place)
        operands, results = [code, register], [code]
        for k, child in enumerate(places):
            start, row = _read(before, place), register
            for m, other in enumerate(work):
                if m != k:  # of equal ones the left goes first
                    first = other >= work[k] if m < k else other > work[k]
                    start, row = start + jnp.where(first, other, 0), row + (first & (other > 0))
            before, waiting = _write(before, start, child), _write(waiting, row, child)
            operands.append(operand(child, row, ~child))
            results.append(operand(child, start + work[k] - 1, inputs + length + child))
        padding = [jnp.int32(0)] * (MOST_INPUTS - most)
        at = jnp.where(code < functions, _read(before, place) + _read(works, place) - 1, length)
        return (
            before,
            waiting,
            _write(instructions, jnp.stack(operands + padding), at),
            _write(among_results, jnp.stack(results + padding), at),
        )

    spans, works = lax.fori_loop(0, size, measure, (nothing, nothing))
    blank = jnp.zeros((length + 1, 2 + MOST_INPUTS), jnp.int32)
    *_, instructions, among_results = lax.fori_loop(0, size, number, (nothing, nothing, blank, blank[:, 1:]))
    root = jnp.int32(0)
    return Tables(
        instructions=instructions[:length],
        among_results=among_results[:length],
        steps=works[0],
        root=operand(root, root, ~root),
        root_among_results=operand(root, works[0] - 1, inputs + length + root),
    )


def _read(array: jax.Array, place: Scalar) -> Scalar:
    return lax.dynamic_index_in_dim(array, place, keepdims=False)


def _write(array: jax.Array, value: jax.Array, place: Scalar) -> jax.Array:
    return lax.dynamic_update_index_in_dim(array, value, place, 0)
