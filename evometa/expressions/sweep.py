"""Derivatives by a sweep back over a program's instructions: towards any number of arguments and constants at once.

All results are kept, each in a row of its own, and their cotangents are summed from the root down. The rows of
arguments come first, then those of results, then those of constants.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from evometa.expressions.primitives import MOST_INPUTS, Primitive, PrimitiveSet
from evometa.types import Scalar


def results(
    primitives: PrimitiveSet,
    instructions: jax.Array,
    count: Scalar,
    arguments: jax.Array,
    constants: jax.Array,
) -> jax.Array:
    """Return the value of every row, ``[A + N + L, W]``.

    Args:
        primitives: what the codes mean.
        instructions: the code of each, and the rows that it reads, ``[N, 4]``.
        count: how many instructions there are.
        arguments: ``[A, W]``.
        constants: ``[L]``.
    """
    inputs, width = arguments.shape
    blank = jnp.zeros((instructions.shape[0], width), arguments.dtype)
    spread = jnp.broadcast_to(constants[:, None], (constants.shape[0], width))

    def branch(primitive: Primitive) -> Callable[..., jax.Array]:
        def compute(rows: jax.Array, operands: jax.Array) -> jax.Array:
            values = [rows[operands[k]] for k in range(primitive.arity)]
            return jnp.broadcast_to(primitive.function(*values), (width,)).astype(rows.dtype)

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def step(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        number, rows = carry
        result = jax.lax.switch(instructions[number, 0], branches, rows, instructions[number, 1:])
        return number + 1, jax.lax.dynamic_update_index_in_dim(rows, result, inputs + number, 0)

    start = jnp.int32(0), jnp.concatenate([arguments, blank, spread])
    return jax.lax.while_loop(lambda carry: carry[0] < count, step, start)[1]


def back(
    primitives: PrimitiveSet,
    instructions: jax.Array,
    count: Scalar,
    root: Scalar,
    values: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    """Return the cotangent of every row, ``[A + N + L, W]``, from that of the root ``[W]`` and the rows' values."""
    inputs = values.shape[0] - 2 * instructions.shape[0]

    def branch(primitive: Primitive) -> Callable[..., jax.Array]:
        def compute(operands: jax.Array, cotangent: jax.Array) -> jax.Array:
            given = [values[operands[k]] for k in range(primitive.arity)]
            parts = jax.vjp(primitive.function, *given)[1](cotangent) if given else ()
            return jnp.stack([*parts, *[jnp.zeros_like(cotangent)] * (MOST_INPUTS - len(parts))])

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def step(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        number, rows = carry
        parts = jax.lax.switch(instructions[number, 0], branches, instructions[number, 1:], rows[inputs + number])
        # An input that the primitive does not have adds zero to the first row.
        return number - 1, rows.at[instructions[number, 1:]].add(parts)

    start = count - 1, jnp.zeros_like(values).at[root].add(cotangent)
    return jax.lax.while_loop(lambda carry: carry[0] >= 0, step, start)[1]
