"""Evaluation of a population of expressions on a stack, one after the other, directly from their trees.

Prefix order read backwards is postfix order, so each node finds its inputs on a stack. All expressions share the rows
for their results, and arguments and constants are read where they are used, so that only primitives cost time. There
are no derivatives here; programs have them (:mod:`program`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from evometa.backend.kernels import one_kernel
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree, sizes
from evometa.types import Scalar


def each(
    primitives: PrimitiveSet, trees: Tree, arguments: tuple[jax.Array, ...], function: Callable[[jax.Array], Any]
) -> Any:
    """Apply a function to the values of each expression.

    Args:
        primitives: the primitive set of the trees.
        trees: ``[P, L]``.
        arguments: one array ``[W]`` for each argument.
        function: from the values ``[W]`` to a pytree of arrays; fast if it is elementwise arithmetic and sums.

    Returns:
        The pytree with a leading axis P.
    """
    return one_kernel(lambda trees, arguments: _each(primitives, trees, arguments, function), trees, arguments)


def _each(
    primitives: PrimitiveSet, trees: Tree, arguments: tuple[jax.Array, ...], function: Callable[[jax.Array], Any]
) -> Any:
    count, length = trees.op.shape
    inputs, width, dtype = len(arguments), arguments[0].shape[0], arguments[0].dtype
    arities, leaves_from = jnp.asarray(primitives.arities), len(primitives.primitives)  # larger codes are leaves
    last = sizes(trees) - 1

    # An operand that is not negative is a row: first the arguments, then one row for each height of the stack. A
    # negative one, ~place, is the constant at that place.
    def value(rows: jax.Array, operand: Scalar, constants: jax.Array) -> jax.Array:
        row = lax.dynamic_index_in_dim(rows, jnp.maximum(operand, 0), keepdims=False)
        return jnp.where(operand < 0, constants[jnp.maximum(~operand, 0)], row)

    def branch(primitive: Primitive) -> Callable[..., jax.Array]:
        def compute(rows: jax.Array, stack: jax.Array, top: Scalar, constants: jax.Array) -> jax.Array:
            operands = [value(rows, stack[top + primitive.arity - 1 - k], constants) for k in range(primitive.arity)]
            return jnp.broadcast_to(primitive.function(*operands), (width,)).astype(dtype)

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def one(number: jax.Array, carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        rows, results = carry
        op, constants = trees.op[number], trees.constant[number].astype(dtype)

        def leaf(state: tuple[Scalar, Scalar, jax.Array]) -> tuple[Scalar, Scalar, jax.Array]:
            place, height, stack = state
            code = op[place]
            operand = jnp.where(code == primitives.constant, ~place, code - leaves_from)
            return place - 1, height + 1, lax.dynamic_update_index_in_dim(stack, operand, height, 0)

        def primitive(state: tuple[Scalar, Scalar, jax.Array, jax.Array]) -> tuple[Any, ...]:
            place, height, stack, rows = state
            code = op[place]
            top = height - arities[code]
            result = lax.switch(code, branches, rows, stack, top, constants)
            rows = lax.dynamic_update_index_in_dim(rows, result, inputs + top, 0)
            # Then push the leaves that precede it, up to the next primitive.
            pushed = place - 1, top + 1, lax.dynamic_update_index_in_dim(stack, inputs + top, top, 0)
            return *lax.while_loop(is_leaf, leaf, pushed), rows

        def is_leaf(state: tuple[Scalar, Scalar, jax.Array]) -> jax.Array:
            return (state[0] >= 0) & (op[state[0]] >= leaves_from)

        start = lax.while_loop(is_leaf, leaf, (last[number], jnp.int32(0), jnp.zeros(length, jnp.int32)))
        *_, stack, rows = lax.while_loop(lambda state: state[0] >= 0, primitive, (*start, rows))

        def write(column: jax.Array, new: jax.Array) -> jax.Array:
            written: jax.Array = lax.dynamic_update_index_in_dim(column, new.astype(column.dtype), number, 0)
            return written

        return rows, jax.tree.map(write, results, function(value(rows, stack[0], constants)))

    rows = jnp.concatenate([jnp.stack(arguments), jnp.zeros((length, width), dtype)])
    empty = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), jax.eval_shape(function, arguments[0]))
    return lax.fori_loop(0, count, one, (rows, empty))[1]
