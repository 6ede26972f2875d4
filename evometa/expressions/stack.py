"""The values of a whole population of expressions, one after the other, straight from their trees.

Prefix order read from its end is postfix order: each node finds its inputs on a stack. Results lie in rows that all
expressions share, and an argument or a constant is read where it is used, so that only primitives cost anything. No
derivatives here; programs have them (:mod:`program`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree, sizes
from evometa.kernels import one_kernel
from evometa.types import Scalar


def each(
    primitives: PrimitiveSet, trees: Tree, arguments: tuple[jax.Array, ...], judge: Callable[[jax.Array], Any]
) -> Any:
    """Return what a function says of the values of each expression.

    Args:
        primitives: what the codes mean.
        trees: ``[P, L]``.
        arguments: one array ``[W]`` for each argument.
        judge: from the values ``[W]`` to a pytree of arrays; arithmetic entry by entry, and sums.

    Returns:
        The pytree, with a leading axis P.
    """
    return one_kernel(lambda: _each(primitives, trees, arguments, judge))


def _each(
    primitives: PrimitiveSet, trees: Tree, arguments: tuple[jax.Array, ...], judge: Callable[[jax.Array], Any]
) -> Any:
    count, length = trees.op.shape
    inputs, width, dtype = len(arguments), arguments[0].shape[0], arguments[0].dtype
    codes, functions = jnp.asarray(primitives.arities), len(primitives.primitives)
    last = sizes(trees) - 1

    # An operand is a row where it is not negative, of an argument or, behind these, of a height of the stack; otherwise
    # ~place of a constant.
    def value(rows: jax.Array, operand: Scalar, constants: jax.Array) -> jax.Array:
        row = lax.dynamic_index_in_dim(rows, jnp.maximum(operand, 0), keepdims=False)
        return jnp.where(operand < 0, constants[jnp.maximum(~operand, 0)], row)

    def branch(primitive: Primitive) -> Callable[..., jax.Array]:
        def compute(rows: jax.Array, stack: jax.Array, top: Scalar, constants: jax.Array) -> jax.Array:
            given = [value(rows, stack[top + primitive.arity - 1 - k], constants) for k in range(primitive.arity)]
            return jnp.broadcast_to(primitive.function(*given), (width,)).astype(dtype)

        return compute

    branches = [branch(primitive) for primitive in primitives.primitives]

    def one(number: jax.Array, carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        rows, results = carry
        op, constants = trees.op[number], trees.constant[number].astype(dtype)

        def leaf(state: tuple[Scalar, Scalar, jax.Array]) -> tuple[Scalar, Scalar, jax.Array]:
            place, height, stack = state
            code = op[place]
            operand = jnp.where(code == primitives.constant, ~place, code - functions)
            return place - 1, height + 1, stack.at[height].set(operand)

        def primitive(state: tuple[Scalar, Scalar, jax.Array, jax.Array]) -> tuple[Any, ...]:
            place, height, stack, rows = state
            code = op[place]
            top = height - codes[code]
            found = lax.switch(code, branches, rows, stack, top, constants)
            rows = lax.dynamic_update_index_in_dim(rows, found, inputs + top, 0)
            # Then the leaves before it, up to the next primitive.
            begun = place - 1, top + 1, stack.at[top].set(inputs + top)
            return *lax.while_loop(is_leaf, leaf, begun), rows

        def is_leaf(state: tuple[Scalar, Scalar, jax.Array]) -> jax.Array:
            return (state[0] >= 0) & (op[state[0]] >= functions)

        begun = lax.while_loop(is_leaf, leaf, (last[number], jnp.int32(0), jnp.zeros(length, jnp.int32)))
        *_, stack, rows = lax.while_loop(lambda state: state[0] >= 0, primitive, (*begun, rows))
        judged = judge(value(rows, stack[0], constants))
        return rows, jax.tree.map(lambda all_, new: all_.at[number].set(new), results, judged)

    rows = jnp.concatenate([jnp.stack(arguments), jnp.zeros((length, width), dtype)])
    empty = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), jax.eval_shape(judge, arguments[0]))
    return lax.fori_loop(0, count, one, (rows, empty))[1]
