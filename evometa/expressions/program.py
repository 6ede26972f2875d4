"""Programs: a tree turned into instructions, once, before anything is evaluated with it.

Only primitives become instructions; arguments and constants are read where they are used. The input with more
instructions is computed first, so that few results wait at a time: of n instructions of two inputs, no more than
log2(n + 1) do (Sethi & Ullman 1970), and the registers of an expression stay in a core's nearest cache.

A subtree is a run of places, and what a node gives to all of an input's subtree is added where that begins and taken
away where it ends; one running sum does it for all nodes. No loop, no branch, the same for every tree.
"""

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
from evometa.expressions.primitives import MOST_INPUTS, PrimitiveSet
from evometa.expressions.tree import Tree, spans


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
    op, length, inputs = tree.op, tree.op.shape[0], len(primitives.arguments)
    place = jnp.arange(length, dtype=jnp.int32)
    computed = (op >= 0) & (op < len(primitives.primitives))
    span = jnp.where(op >= 0, spans(primitives, op), 0)
    arity = jnp.where(computed, jnp.asarray(primitives.arities)[op], 0)
    # The instructions in the subtree at each place; at place L, where a subtree may end, there is nothing.
    done = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(computed, dtype=jnp.int32)])
    work = jnp.append(done[place + span] - done[:-1], 0)
    # The first input of a node is behind it, each further one behind the subtree of the one before.
    bounds = [place + 1]
    for _ in range(max(p.arity for p in primitives.primitives)):
        bounds.append(bounds[-1] + jnp.append(span, 0)[bounds[-1]])
    children = bounds[:-1]
    works = [jnp.where(k < arity, work[child], 0) for k, child in enumerate(children)]
    # What a child's subtree waits for: instructions of siblings before it, and results of these that wait meanwhile.
    # Of siblings, the one with more work goes first; of equal ones the left. Both numbers are carried in one.
    given = jnp.zeros(length + 1, jnp.int32)
    for k, child in enumerate(children):
        first = [w > works[k] if m > k else w >= works[k] for m, w in enumerate(works)]
        waits = sum(jnp.where(first[m], w * _MOST + (w > 0), 0) for m, w in enumerate(works) if m != k)
        waits = jnp.where(k < arity, waits, 0)
        given = given.at[child].add(waits).at[bounds[k + 1]].add(-waits)
    waits = jnp.cumsum(given[:-1], dtype=jnp.int32)
    number, register = waits // _MOST + work[:-1] - 1, waits % _MOST
    constant, argument = op == primitives.constant, op - len(primitives.primitives)
    operand = jnp.where(computed, inputs + register, jnp.where(constant, ~place, argument))
    result = jnp.where(computed, inputs + number, jnp.where(constant, inputs + length + place, argument))

    def in_order(*columns: jax.Array) -> jax.Array:
        rows = jnp.stack(columns, axis=1)  # what is no instruction falls off the end
        return jnp.zeros_like(rows).at[jnp.where(computed, number, length)].set(rows, mode="drop")

    def read_as(own: jax.Array) -> list[jax.Array]:
        """Return what each node reads, from what each node is to its parent."""
        columns = [jnp.where(k < arity, own[jnp.minimum(child, length - 1)], 0) for k, child in enumerate(children)]
        return [*columns, *[jnp.zeros_like(own)] * (MOST_INPUTS - len(columns))]

    tables = machine.Tables(
        instructions=in_order(op, register, *read_as(operand)),
        among_results=in_order(op, *read_as(result)),
        steps=done[-1],
        root=operand[0],
        root_among_results=result[0],
    )
    return Program(primitives, tables, op, tree.constant)


_MOST = 1 << 8
"""More results than ever wait: two numbers are carried in one, and the smaller is below this."""
