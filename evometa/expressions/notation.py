"""Expressions as text: calls by name that can be read back, and Python with operators."""

import ast
from collections.abc import Callable
from typing import TypeVar

import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree, from_nodes, nodes, require_valid

Part = TypeVar("Part")


def parse(primitives: PrimitiveSet, text: str, length: int | None = None) -> Tree:
    """Read an expression such as ``add(square(sub(prediction, label)), 0.5)``.

    Args:
        primitives: what its names mean.
        text: calls of primitives, arguments and numbers.
        length: the length L of the tree's arrays; None: just its size.

    Raises:
        ConfigurationError: text that is no such expression, an unknown name, a wrong number of inputs or type, a
            constant that is not finite, or more nodes than ``length``.
    """
    try:
        root = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"An expression expects text such as 'add(x, 0.5)', got {text!r}: {error}.") from None
    found: list[tuple[int, float]] = []
    _read(primitives, root, found)
    require_valid(primitives, found)
    return from_nodes(found, length or len(found))


def _read(primitives: PrimitiveSet, node: ast.expr, found: list[tuple[int, float]]) -> None:
    sign, inner = 1.0, node
    while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub):
        inner, sign = inner.operand, -sign
    if isinstance(inner, ast.Constant) and isinstance(inner.value, (int, float)) and not isinstance(inner.value, bool):
        found.append((primitives.constant, sign * float(inner.value)))
        return
    name, inputs = (node.func, node.args) if isinstance(node, ast.Call) else (node, None)
    if not isinstance(name, ast.Name) or (isinstance(node, ast.Call) and node.keywords):
        raise ConfigurationError(
            f"An expression expects calls of primitives by name, arguments and numbers, got {ast.unparse(node)!r}."
        )
    code = primitives.code(name.id)
    if (inputs is not None) != (code < len(primitives.primitives)) or len(inputs or ()) != primitives.arities[code]:
        raise ConfigurationError(
            f"{name.id!r} expects {primitives.arities[code]} inputs, got {len(inputs or ())} in {ast.unparse(node)!r}."
        )
    found.append((code, 0.0))
    for part in inputs or ():
        _read(primitives, part, found)


def fold(
    primitives: PrimitiveSet,
    tree: Tree,
    argument: Callable[[str], Part],
    constant: Callable[[float], Part],
    call: Callable[[Primitive, list[Part]], Part],
) -> Part:
    """Combine a tree from its leaves up to its root.

    Args:
        primitives: what the codes mean.
        tree: one tree.
        argument: from the name of an argument.
        constant: from a number.
        call: from a primitive and what its inputs became.
    """
    given = nodes(tree)
    require_valid(primitives, given)
    done: list[Part] = []
    for code, value in reversed(given):
        if code == primitives.constant:
            done.append(constant(value))
        elif code >= len(primitives.primitives):
            done.append(argument(primitives.names[code]))
        else:
            primitive = primitives.primitives[code]
            done.append(call(primitive, [done.pop() for _ in primitive.types]))
    return done[0]


def text(primitives: PrimitiveSet, tree: Tree) -> str:
    """Write a tree as text that :func:`parse` reads back to the same bits."""
    return fold(primitives, tree, str, number, _call)


def python(primitives: PrimitiveSet, tree: Tree) -> str:
    """Write a tree as Python, with operators where its primitives have them, and no bracket more than needed."""

    def call(primitive: Primitive, parts: list[str]) -> str:
        return primitive.python.format(*parts) if primitive.python else _call(primitive, parts)

    return ast.unparse(ast.parse(fold(primitives, tree, str, number, call), mode="eval"))


def number(value: float) -> str:
    """Return the shortest text of a number in JAX's default float type."""
    return repr(float(str(np.dtype(jnp.result_type(float)).type(value))))


def _call(primitive: Primitive, parts: list[str]) -> str:
    return f"{primitive.name}({', '.join(parts)})"
