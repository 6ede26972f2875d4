"""An expression as a function of its own: Python source that needs JAX alone."""

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
"""Where functions are looked for before their source is."""


def source(primitives: PrimitiveSet, tree: Tree, name: str = "expression") -> str:
    """Return the source of a module with one function that computes an expression.

    Its parameters are the arguments, arrays of one shape. JAX's own functions are called by their names; the source of
    others is taken along. NumPy arrays may be given as well, and gradients are those of the expression.

    Args:
        primitives: what the expression is made of.
        tree: the expression.
        name: the function's name.

    Raises:
        ConfigurationError: a primitive whose source is not that of a function by ``def``, such as a lambda.
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
    """Return the name that a primitive's function has in the module, and add its source where that needs one."""
    function: Callable[..., Any] = primitive.function
    own = getattr(function, "__name__", "")
    for library, module in LIBRARIES:
        if own and getattr(module, own, None) is function:
            return f"{library}.{own}"
    try:
        lines = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    except (OSError, TypeError):
        lines = ""
    if not lines.startswith("def "):
        raise ConfigurationError(
            f"An exported expression expects functions of JAX or such with a source by def, and that of "
            f"{primitive.name!r} has none; define it by def at the top of a file."
        )
    helpers[own] = lines.rstrip()
    return own
