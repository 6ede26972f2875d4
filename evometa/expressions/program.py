"""Programs: callable expressions, compiled from trees once before they are evaluated."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions import machine, stack
from evometa.expressions.notation import text
from evometa.expressions.ordering import ordering
from evometa.expressions.primitives import PrimitiveSet
from evometa.expressions.tree import Tree


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["tables", "op", "constants"], meta_fields=["primitives"]
)
@dataclasses.dataclass(frozen=True)
class Program:
    """A callable expression: ``program(prediction, label)`` is elementwise on arrays of one shape.

    A program is a pytree of arrays, so it goes through ``jit``, ``vmap``, ``scan`` and ``grad`` like a network's
    weights. It can be differentiated with respect to arguments and constants; forward-mode differentiation
    (``jax.jvp``) needs a primitive set without reductions.
    """

    primitives: PrimitiveSet
    """The primitive set, a static part of the pytree."""
    tables: machine.Tables
    """The instructions."""
    op: jax.Array
    """The codes of the tree, ``[L]``, from which its text is made."""
    constants: jax.Array
    """The value of each constant, ``[L]``, at its place in the tree."""

    @property
    def tree(self) -> Tree:
        """The tree that the program was compiled from."""
        return Tree(self.op, self.constants)

    def __str__(self) -> str:
        """Return the text of the expression; "an expression" for a traced one or a population."""
        known = not isinstance(self.op, jax.core.Tracer) and np.ndim(self.op) == 1
        return text(self.primitives, self.tree) if known else "an expression"

    def __call__(self, *arguments: jax.Array) -> jax.Array:
        """Return the value of the expression, in the shape and type of its arguments.

        Args:
            arguments: one array for each argument of the primitive set, in order, all of one shape.

        Raises:
            ConfigurationError: another number of arguments, or unequal shapes.
        """
        rows, shape = self._rows(arguments)
        tables = jax.tree.map(jnp.asarray, self.tables)  # NumPy arrays cannot be indexed by traced values
        constants = jnp.asarray(self.constants, rows[0].dtype)
        return machine.run(self.primitives, tables, constants, rows).reshape(shape)

    def each(self, function: Callable[[jax.Array], Any], *arguments: jax.Array) -> Any:
        """Return ``function(values)`` for each expression of a population ``[P, ...]``, all on the same arguments.

        This has no derivatives.

        Args:
            function: from the values of an expression to a pytree of arrays; fast if it is elementwise arithmetic and
                sums.
            arguments: one array for each argument of the primitive set, in order, all of one shape.

        Returns:
            The pytree with a leading axis P.

        Raises:
            ConfigurationError: another number of arguments, or unequal shapes.
        """
        rows, shape = self._rows(arguments)
        if jax.default_backend() != "cpu":
            return jax.vmap(lambda program: function(program(*arguments)))(self)
        return stack.each(self.primitives, self.tree, rows, lambda values: function(values.reshape(shape)))

    def _rows(self, arguments: tuple[jax.Array, ...]) -> tuple[tuple[jax.Array, ...], tuple[int, ...]]:
        shapes = [jnp.shape(argument) for argument in arguments]
        if len(shapes) != len(self.primitives.arguments) or len(set(shapes)) != 1:
            raise ConfigurationError(
                f"An expression expects an array for each of {self.primitives.argument_names}, all of one shape, "
                f"got the shapes {shapes}; broadcast them first."
            )
        dtype = jnp.result_type(*arguments, 0.0)
        return tuple(jnp.asarray(argument, dtype).reshape(-1) for argument in arguments), shapes[0]


def compile_tree(primitives: PrimitiveSet, tree: Tree) -> Program:
    """Compile a valid tree to a program."""
    return Program(primitives, ordering(primitives)(tree.op), tree.op, tree.constant)
