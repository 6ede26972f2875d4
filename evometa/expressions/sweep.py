"""Reverse-mode derivatives of a program, with respect to all of its arguments and constants at once.

The forward pass stores every result in a row of its own; the backward pass goes over the instructions in reverse order
and accumulates their cotangents. The rows are the arguments first, then the results, then the constants.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from evometa.expressions.primitives import MAX_ARITY, Primitive, PrimitiveSet
from evometa.types import Scalar


@functools.partial(jax.jit, static_argnums=0, inline=True)
def results(
    primitives: PrimitiveSet,
    instructions: jax.Array,
    count: Scalar,
    arguments: jax.Array,
    constants: jax.Array,
) -> jax.Array:
    """Run the program forward and return the value of every row, ``[A + N + L, W]``.

    Args:
        primitives: the primitive set of the program.
        instructions: ``[N, 4]``, for each the code and the rows of its operands.
        count: the number of instructions, at most N.
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


@functools.partial(jax.jit, static_argnums=0, inline=True)
def backward(
    primitives: PrimitiveSet,
    instructions: jax.Array,
    count: Scalar,
    root: Scalar,
    values: jax.Array,
    cotangent: jax.Array,
) -> jax.Array:
    """Return the cotangent of every row, ``[A + N + L, W]``.

    Args:
        primitives: the primitive set of the program.
        instructions: ``[N, 4]``, for each the code and the rows of its operands.
        count: the number of instructions, at most N.
        root: the row of the expression's value.
        values: the value of every row, from :func:`results`.
        cotangent: that of the expression's value, ``[W]``.
    """
    inputs = values.shape[0] - 2 * instructions.shape[0]

    def branch(primitive: Primitive) -> Callable[..., jax.Array]:
        def compute(operands: jax.Array, cotangent: jax.Array) -> jax.Array:
            primals = [values[operands[k]] for k in range(primitive.arity)]
            parts = jax.vjp(primitive.function, *primals)[1](cotangent) if primals else ()
            return jnp.stack([*parts, *[jnp.zeros_like(cotangent)] * (MAX_ARITY - len(parts))])

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def step(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        number, rows = carry
        parts = jax.lax.switch(instructions[number, 0], branches, instructions[number, 1:], rows[inputs + number])
        # Operands that the primitive does not have add zero to the first row.
        return number - 1, rows.at[instructions[number, 1:]].add(parts)

    start = count - 1, jnp.zeros_like(values).at[root].add(cotangent)
    return jax.lax.while_loop(lambda carry: carry[0] >= 0, step, start)[1]
