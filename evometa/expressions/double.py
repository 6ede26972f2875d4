"""Evaluation of expressions in double precision, whatever JAX's switch, for formulas in the units of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.precision import enable_x64
from evometa.expressions.notation import fold
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree


def in_double_precision(primitives: PrimitiveSet, tree: Tree, arguments: Sequence[Any]) -> Any:
    """Return the value of one expression in double precision.

    Args:
        primitives: the primitive set of the expression.
        tree: the expression.
        arguments: one array for each argument, all of one shape; NumPy arrays keep their precision.

    Returns:
        A NumPy array, float64; where JAX traces the arguments, a traced array.
    """
    with enable_x64(True):
        arrays: Mapping[str, jax.Array] = {
            name: jnp.asarray(value, float) for name, value in zip(primitives.argument_names, arguments, strict=True)
        }

        def call(primitive: Primitive, parts: list[jax.Array]) -> jax.Array:
            return primitive.function(*parts)

        value = fold(primitives, tree, arrays.__getitem__, lambda number: jnp.asarray(number, float), call)
        value = jnp.broadcast_to(value, next(iter(arrays.values())).shape)
    return value if isinstance(value, jax.core.Tracer) else np.asarray(value)
