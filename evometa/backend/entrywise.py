"""Whether a JAX function computes entry by entry, so that parts of vectors can be computed by themselves."""

from collections.abc import Callable
from typing import Any

import jax


def is_entrywise(function: Callable[..., Any], *given: Any) -> bool:
    """Return whether a function computes each entry of vectors from the same entry of others, and from numbers.

    Args:
        function: from pytrees of vectors ``[N]`` and numbers to a pytree of such.
        given: their shapes.
    """
    shapes = {leaf.shape for leaf in jax.tree.leaves(given) if leaf.ndim}
    return len(shapes) <= 1 and _keeps(jax.make_jaxpr(function)(*given).jaxpr, shapes)


_CALLS = frozenset(("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"))
_ENTRIES = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh broadcast_in_dim cbrt ceil clamp convert_element_type
    copy cos cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max
    min mul ne neg nextafter not or pow rem round rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh
    xor
    """.split()  # noqa: SIM905 - readable as words
)


def _keeps(jaxpr: Any, shapes: set[tuple[int, ...]]) -> bool:
    for equation in jaxpr.eqns:
        found = {value.aval.shape for value in (*equation.invars, *equation.outvars)} - {()}
        name = equation.primitive.name
        if name in _CALLS:
            inner = [getattr(value, "jaxpr", value) for value in equation.params.values() if hasattr(value, "jaxpr")]
            if not inner or not all(_keeps(one, shapes) for one in inner):
                return False
        elif found and (name not in _ENTRIES or not found <= shapes):
            return False
    return True
