"""Conversion of expressions to and from DEAP trees (Fortin et al. 2012), so that DEAP's operators can be used."""

import functools
from typing import Any

import numpy as np
from deap import gp

from evometa.errors import ConfigurationError
from evometa.expressions.primitives import PrimitiveSet
from evometa.expressions.tree import Tree, from_nodes, nodes, require_valid


@functools.cache
def primitive_set(primitives: PrimitiveSet) -> gp.PrimitiveSetTyped:
    """Return the same primitives, arguments and types as a DEAP primitive set.

    It has no ephemeral constant: add one of type float to let DEAP draw constants.
    """
    arguments = [python_type(type_) for _, type_ in primitives.arguments]
    made = gp.PrimitiveSetTyped("evometa", arguments, python_type(primitives.returns), prefix="evometa_argument")
    made.renameArguments(**{f"evometa_argument{i}": name for i, name in enumerate(primitives.argument_names)})
    for primitive in primitives.primitives:
        returns = python_type(primitive.returns)
        if primitive.types:
            made.addPrimitive(primitive.function, [python_type(t) for t in primitive.types], returns, primitive.name)
        else:
            made.addTerminal(primitive.function(), returns, primitive.name)
    return made


@functools.cache
def python_type(name: str) -> type:
    """Return the class used for a type in DEAP: float for "real", bool for "bool", otherwise a class of that name."""
    return {"real": float, "bool": bool}.get(name) or type(name, (), {})


def to_deap(primitives: PrimitiveSet, tree: Tree) -> gp.PrimitiveTree:
    """Convert a tree to DEAP's; constants become Python floats of the same value."""
    prefix = nodes(tree)
    require_valid(primitives, prefix)
    mapping = primitive_set(primitives).mapping
    return gp.PrimitiveTree(
        gp.Terminal(value, False, float) if code == primitives.constant else mapping[primitives.names[code]]
        for code, value in prefix
    )


def from_deap(primitives: PrimitiveSet, tree: Any, length: int | None = None) -> Tree:
    """Convert a DEAP tree to arrays; constants are rounded to JAX's default float type.

    Args:
        primitives: the primitive set it was made with, or one with the same names.
        tree: a ``gp.PrimitiveTree``.
        length: the length L of the arrays; None: the tree's size.

    Raises:
        ConfigurationError: a node that is not in the primitive set, or more nodes than ``length``.
    """
    prefix: list[tuple[int, float]] = []
    for node in tree:
        if isinstance(node, gp.Primitive):
            prefix.append((primitives.code(node.name), 0.0))
        elif isinstance(node.value, str):
            prefix.append((primitives.code(node.value), 0.0))
        elif isinstance(node.value, (int, float, np.integer, np.floating)) and not isinstance(node.value, bool):
            prefix.append((primitives.constant, float(node.value)))
        else:
            raise ConfigurationError(f"An expression expects constants that are real numbers, got {node.value!r}.")
    require_valid(primitives, prefix)
    return from_nodes(prefix, length or len(prefix))
