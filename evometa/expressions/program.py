"""Programs: a tree turned into instructions, once, before anything is evaluated with it.

Only primitives become instructions; arguments and constants are read where they are used. Places are worked through
from the last to the first, so that in prefix order all inputs of a node are there when its turn comes, and results wait
on a stack whose height is a running sum: no loop, no branch, the same for every tree.
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
from evometa.expressions.tree import Tree, spans


@functools.partial(jax.tree_util.register_dataclass, data_fields=["tables", "constants"], meta_fields=["primitives"])
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
    constants: jax.Array
    """The value of each constant at its place in the tree, ``[L]``."""

    @property
    def tree(self) -> Tree:
        """What the program was made from."""
        return Tree(self.tables.code, self.constants)

    def __str__(self) -> str:
        """Return the text of the expression, where its numbers are known and it is one."""
        code = self.tables.code
        known = not isinstance(code, jax.core.Tracer) and np.ndim(code) == 1
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
    op, length, inputs = tree.op, tree.op.shape[0], len(primitives.arguments)
    place = jnp.arange(length, dtype=jnp.int32)
    computed = (op >= 0) & (op < len(primitives.primitives))
    span = spans(primitives, op)
    arity = jnp.where(computed, jnp.asarray(primitives.arities)[op], 0)
    # The first input of a node is behind it, each further one behind the subtree of the one before.
    children, at = [], place + 1
    for k in range(max(p.arity for p in primitives.primitives)):
        inside = jnp.minimum(at, length - 1)
        children.append(jnp.where(k < arity, inside, place))
        at = inside + span[inside]
    taken = sum(((k < arity) & computed[child]).astype(jnp.int32) for k, child in enumerate(children))
    # Results that wait when a node's own has been put on the stack, and instructions before it.
    waiting = jax.lax.cumsum(computed.astype(jnp.int32) - taken, reverse=True)
    number = jax.lax.cumsum(computed.astype(jnp.int32), reverse=True) - 1
    constant, argument = op == primitives.constant, op - len(primitives.primitives)
    operand = jnp.where(computed, inputs + waiting - 1, jnp.where(constant, ~place, argument))
    result = jnp.where(computed, inputs + number, jnp.where(constant, inputs + length + place, argument))

    def read_as(own: jax.Array) -> jax.Array:
        """Return what each node reads ``[L, 3]``, from what each node is to its parent."""
        columns = [jnp.where(k < arity, own[child], 0) for k, child in enumerate(children)]
        return jnp.stack([*columns, *[jnp.zeros_like(own)] * (MOST_INPUTS - len(columns))], axis=1)

    tables = machine.Tables(
        order=jnp.zeros_like(place).at[jnp.where(computed, number, length)].set(place, mode="drop"),
        code=op,
        register=waiting - 1,
        operands=read_as(operand),
        among_results=read_as(result),
        steps=jnp.sum(computed, dtype=jnp.int32),
        root=operand[0],
        root_among_results=result[0],
    )
    return Program(primitives, tables, tree.constant)
