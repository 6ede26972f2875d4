"""Export of an expression as the Python source of a function that needs only JAX."""

import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions.notation import fold, number_in, text
from evometa.expressions.primitives import Primitive, PrimitiveSet, require_name
from evometa.expressions.tree import Tree

LIBRARIES: tuple[tuple[str, Any], ...] = (("jnp", jnp), ("jax.nn", jax.nn), ("jax.lax", jax.lax))
"""Modules whose functions are called by name; the source of all other functions is copied."""


def source(primitives: PrimitiveSet, tree: Tree, name: str = "expression") -> str:
    """Return the source of a module with one function that computes an expression.

    Its parameters are the expression's arguments, JAX or NumPy arrays of one shape, and its gradients are those of the
    expression. JAX's functions are called by name; the source of all other functions is copied into the module. An
    expression whose constants are in double precision is computed in it, whatever JAX's switch, and its values are
    NumPy arrays.

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

    fold(primitives, tree, str, str, call)  # finds the helpers
    if name in (*MODULES, *helpers):
        raise ConfigurationError(f"An exported function expects a name that its module does not use, got {name!r}.")
    parameters: dict[str, str] = {}
    for argument in primitives.argument_names:
        parameter = argument
        while parameter in (*MODULES, *helpers) or parameter in parameters.values():
            parameter += "_"
        parameters[argument] = parameter
    value = fold(primitives, tree, parameters.__getitem__, number_in(tree), call)
    double = np.asarray(tree.constant).dtype == np.float64
    template = _DOUBLE if double else _SINGLE
    body = template.format(
        name=name,
        parameters=", ".join(parameters.values()),
        text=text(primitives, tree),
        arrays=", ".join(f"jnp.asarray({parameter}, float)" for parameter in parameters.values()),
        value=value,
        first=next(iter(parameters.values())),
    )
    head = _DOUBLE_IMPORTS if double else "import jax\nimport jax.numpy as jnp\n"
    return "\n\n".join([head, *(f"{helper}\n" for helper in helpers.values()), body])


MODULES = ("jax", "jnp", "np", "enable_x64", "float", "isinstance")
"""Names that an exported module uses itself."""

_SINGLE = '''\
def {name}({parameters}):
    """{text}."""
    return jnp.broadcast_to({value}, jnp.shape({first}))
'''
_DOUBLE_IMPORTS = """\
import jax
import jax.numpy as jnp
import numpy as np

try:
    from jax import enable_x64
except ImportError:  # older versions of JAX
    from jax.experimental import enable_x64
"""
_DOUBLE = '''\
def {name}({parameters}):
    """{text}."""
    with enable_x64(True):  # JAX's default, single precision, may not resolve the data
        ({parameters},) = ({arrays},)
        value = jnp.broadcast_to({value}, jnp.shape({first}))
    return value if isinstance(value, jax.core.Tracer) else np.asarray(value)
'''


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
