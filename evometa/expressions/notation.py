"""Expressions as text: nested calls by name, which can be parsed again, and Python with operators."""

import ast
from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree, from_nodes, nodes, require_valid

Part = TypeVar("Part")


def parse(primitives: PrimitiveSet, text: str, length: int | None = None) -> Tree:
    """Parse the text of an expression such as ``add(square(sub(prediction, label)), 0.5)``.

    Args:
        primitives: the primitive set of the expression.
        text: calls of primitives, arguments and numbers.
        length: the length L of the tree's arrays; None: the tree's size.

    Raises:
        ConfigurationError: the text is no such expression, has an unknown name, a wrong number or type of inputs, a
            constant that is not finite, or more nodes than ``length``.
    """
    prefix = prefix_of(primitives, text)
    return from_nodes(prefix, length or len(prefix))


def prefix_of(primitives: PrimitiveSet, text: str) -> list[tuple[int, float]]:
    """Return code and constant of each node of the expression in a text, in prefix order; errors as of :func:`parse`.

    Constants are in double precision, where a tree has those of JAX's default float type.
    """
    try:
        root = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"An expression expects text such as 'add(x, 0.5)', got {text!r}: {error}.") from None
    prefix: list[tuple[int, float]] = []
    _append_nodes(primitives, root, prefix)
    require_valid(primitives, prefix)
    return prefix


def _append_nodes(primitives: PrimitiveSet, node: ast.expr, prefix: list[tuple[int, float]]) -> None:
    sign, inner = 1.0, node
    while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub):
        inner, sign = inner.operand, -sign
    if isinstance(inner, ast.Constant) and isinstance(inner.value, (int, float)) and not isinstance(inner.value, bool):
        prefix.append((primitives.constant, sign * float(inner.value)))
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
    prefix.append((code, 0.0))
    for part in inputs or ():
        _append_nodes(primitives, part, prefix)


def fold(
    primitives: PrimitiveSet,
    tree: Tree,
    argument: Callable[[str], Part],
    constant: Callable[[float], Part],
    call: Callable[[Primitive, list[Part]], Part],
) -> Part:
    """Compute a value for a tree from its leaves up to its root.

    Args:
        primitives: the primitive set of the tree.
        tree: one tree.
        argument: from the name of an argument to its value.
        constant: from a number to its value.
        call: from a primitive and the values of its inputs to its value.

    Returns:
        The value of the root.
    """
    prefix = nodes(tree)
    require_valid(primitives, prefix)
    done: list[Part] = []
    for code, value in reversed(prefix):
        if code == primitives.constant:
            done.append(constant(value))
        elif code >= len(primitives.primitives):
            done.append(argument(primitives.names[code]))
        else:
            primitive = primitives.primitives[code]
            done.append(call(primitive, [done.pop() for _ in primitive.types]))
    return done[0]


def text(primitives: PrimitiveSet, tree: Tree) -> str:
    """Return a tree as text, which :func:`parse` turns into exactly the same tree."""
    return fold(primitives, tree, str, number_in(tree), _call)


def python(primitives: PrimitiveSet, tree: Tree) -> str:
    """Return a tree as Python, with operators for the primitives that have one and no more brackets than needed."""

    def call(primitive: Primitive, parts: list[str]) -> str:
        return primitive.python.format(*parts) if primitive.python else _call(primitive, parts)

    return ast.unparse(ast.parse(fold(primitives, tree, str, number_in(tree), call), mode="eval"))


def number(value: float, dtype: Any = None) -> str:
    """Return the shortest text that identifies a number in a float type, by default that of JAX."""
    return repr(float(str(np.dtype(dtype or jnp.result_type(float)).type(value))))


def number_in(tree: Tree, digits: int | None = None) -> Callable[[float], str]:
    """Return the function that writes the constants of a tree, by default with all the digits of their float type.

    Args:
        tree: the tree.
        digits: significant digits. Constants in double precision keep all of theirs: they may be offsets of data, such
            as a time in seconds, of which only the last digits matter.
    """
    dtype = np.asarray(tree.constant).dtype
    if digits is None or dtype == np.float64:
        return lambda value: number(value, dtype)
    return lambda value: f"{value:.{digits}g}"


def _call(primitive: Primitive, parts: list[str]) -> str:
    return f"{primitive.name}({', '.join(parts)})"
