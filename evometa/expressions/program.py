"""Programs: a tree turned into instructions, once, before anything is evaluated with it."""

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
    """An expression that can be called: ``program(prediction, label)``, entry by entry on arrays of one shape.

    A pytree of arrays, so that it goes through ``jit``, ``vmap``, ``scan`` and ``grad`` like a network's weights;
    derivatives are with respect to the arguments and the constants, in forward mode only where no primitive of the set
    reduces.
    """

    primitives: PrimitiveSet
    """What the codes mean; static."""
    tables: machine.Tables
    """The instructions."""
    op: jax.Array
    """The codes of the tree, ``[L]``, to be written by."""
    constants: jax.Array
    """The value of each constant at its place in the tree, ``[L]``."""

    @property
    def tree(self) -> Tree:
        """What the program was made from."""
        return Tree(self.op, self.constants)

    def __str__(self) -> str:
        """Return the text of the expression, where its numbers are known and it is one."""
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
        tables = jax.tree.map(jnp.asarray, self.tables)  # numpy's arrays cannot be indexed by what is traced
        constants = jnp.asarray(self.constants, rows[0].dtype)
        return machine.run(self.primitives, tables, constants, rows).reshape(shape)

    def each(self, judge: Callable[[jax.Array], Any], *arguments: jax.Array) -> Any:
        """Return ``judge(values)`` for each expression of a population, with a leading axis P.

        For programs with leading axes ``[P, ...]`` and the same arguments for all; values only, no derivatives. What
        the judge does is arithmetic entry by entry, and sums.

        Raises:
            ConfigurationError: another number of arguments, or unequal shapes.
        """
        rows, shape = self._rows(arguments)
        if jax.default_backend() != "cpu":
            return jax.vmap(lambda program: judge(program(*arguments)))(self)
        return stack.each(self.primitives, self.tree, rows, lambda values: judge(values.reshape(shape)))

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
    """Turn a valid tree into a program."""
    return Program(primitives, ordering(primitives)(tree.op), tree.op, tree.constant)
