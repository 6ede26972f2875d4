"""Programs: a tree turned into instructions, once, before anything is evaluated with it.

Only primitives become instructions; arguments and constants are read where they are used. The input with more
instructions is computed first, so that few results wait at a time: of n instructions of two inputs, no more than
log2(n + 1) do (Sethi & Ullman 1970), and the registers of an expression stay in a core's nearest cache.

The order, the registers and the operands are sums over a node's ancestors and siblings, written as such: no loop, no
branch, the same for every tree, and a population is turned at once.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions import machine
from evometa.expressions.notation import text
from evometa.expressions.primitives import MOST_INPUTS, PrimitiveSet
from evometa.expressions.tree import Tree, structure


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
        shapes = [jnp.shape(argument) for argument in arguments]
        if len(shapes) != len(self.primitives.arguments) or len(set(shapes)) != 1:
            raise ConfigurationError(
                f"An expression expects an array for each of {self.primitives.argument_names}, all of one shape, "
                f"got the shapes {shapes}; broadcast them first."
            )
        dtype = jnp.result_type(*arguments, 0.0)
        rows = tuple(jnp.asarray(argument, dtype).reshape(-1) for argument in arguments)
        tables = jax.tree.map(jnp.asarray, self.tables)  # numpy's arrays cannot be indexed by what is traced
        return machine.run(self.primitives, tables, jnp.asarray(self.constants, dtype), rows).reshape(shapes[0])


def compile_tree(primitives: PrimitiveSet, tree: Tree) -> Program:
    """Turn a valid tree into a program."""
    length = tree.op.shape[0]
    place = jnp.arange(length, dtype=jnp.int32)
    kinship = structure(primitives, tree.op)
    computed = kinship.used & (tree.op < len(primitives.primitives))
    within = kinship.within
    work = jnp.sum(within & computed[None, :], axis=1, dtype=jnp.int32)
    # Of siblings, the one with more work goes first; of equal ones the left.
    siblings = kinship.used[:, None] & kinship.used[None, :] & (kinship.parent[:, None] == kinship.parent[None, :])
    earlier = (work[:, None] > work[None, :]) | ((work[:, None] == work[None, :]) & (place[:, None] < place[None, :]))
    before = siblings & earlier & computed[:, None]
    held = jnp.sum(before, axis=0, dtype=jnp.int32)
    delay = jnp.sum(jnp.where(before, work[:, None], 0), axis=0, dtype=jnp.int32)

    def along_ancestors(own: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(within, own[:, None], 0), axis=0, dtype=jnp.int32)

    register = along_ancestors(held)
    number = along_ancestors(delay) + work - 1
    inputs, argument = len(primitives.arguments), tree.op - len(primitives.primitives)
    constant = tree.op == primitives.constant
    slots = jnp.arange(MOST_INPUTS)
    child = (kinship.parent[None, :] == place[:, None])[:, None, :] & (kinship.slot == slots[:, None])[None]
    child = child & kinship.used
    where = jnp.where(computed, number, length)  # what is no instruction falls off the end

    def read_as(own: jax.Array) -> jax.Array:
        """Return what each instruction reads ``[N, 3]``, from what each node is to its parent."""
        return in_order(jnp.sum(jnp.where(child, own, 0), axis=2, dtype=jnp.int32))

    def in_order(rows: jax.Array) -> jax.Array:
        return jnp.zeros_like(rows).at[where].set(rows, mode="drop")

    operand = jnp.where(computed, inputs + register, jnp.where(constant, ~place, argument))
    result = jnp.where(computed, inputs + number, jnp.where(constant, inputs + length + place, argument))
    tables = machine.Tables(
        code=in_order(tree.op),
        register=in_order(register),
        operands=read_as(operand),
        among_results=read_as(result),
        steps=jnp.sum(computed, dtype=jnp.int32),
        root=operand[0],
        root_among_results=result[0],
    )
    return Program(primitives, tables, tree.op, tree.constant)
