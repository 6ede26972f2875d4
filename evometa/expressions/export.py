"""Export of an expression as the Python source of a function that needs only JAX."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.expressions.notation import fold, number, text
from evometa.expressions.primitives import Primitive, PrimitiveSet, require_name
from evometa.expressions.tree import Tree

LIBRARIES: tuple[tuple[str, Any], ...] = (("jnp", jnp), ("jax.nn", jax.nn), ("jax.lax", jax.lax))
"""Modules whose functions are called by name; the source of all other functions is copied."""


def source(primitives: PrimitiveSet, tree: Tree, name: str = "expression") -> str:
    """Return the source of a module with one function that computes an expression.

    Its parameters are the expression's arguments, JAX or NumPy arrays of one shape, and its gradients are those of the
    expression. JAX's functions are called by name; the source of all other functions is copied into the module.

    Args:
        primitives: the primitive set of the expression.
        tree: the expression.
        name: the function's name.

    Raises:
        ConfigurationError: a primitive that is neither a function of JAX nor defined by ``def``, such as a lambda.
    """
    require_name("An exported function", name)
    helpers: dict[str, str] = {}

    def call(primitive: Primitive, parts: list[str]) -> str:
        if primitive.python:
            return primitive.python.format(*parts)
        return f"{_called(primitive, helpers)}({', '.join(parts)})"

    value = fold(primitives, tree, str, number, call)
    parameters = ", ".join(primitives.argument_names)
    first = primitives.argument_names[0]
    body = textwrap.dedent(
        f'''\
        def {name}({parameters}):
            """{text(primitives, tree)}."""
            return jnp.broadcast_to({value}, jnp.shape({first}))
        '''
    )
    return "\n\n".join(["import jax\nimport jax.numpy as jnp\n", *(f"{helper}\n" for helper in helpers.values()), body])


def _called(primitive: Primitive, helpers: dict[str, str]) -> str:
    """Return the name by which the module calls a primitive's function; add the function's source if it is needed."""
    function: Callable[..., Any] = primitive.function
    name = getattr(function, "__name__", "")
    for library, module in LIBRARIES:
        if name and getattr(module, name, None) is function:
            return f"{library}.{name}"
    try:
        lines = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    except (OSError, TypeError):
        lines = ""
    if not lines.startswith("def "):
        raise ConfigurationError(
            "An exported expression expects functions of JAX, or functions defined by def, whose source can be copied, "
            f"and that of {primitive.name!r} has none; define it by def at the top of a file."
        )
    helpers[name] = lines.rstrip()
    return name
