"""Floating-point operations of a JAX function, counted from its jaxpr without running or compiling it."""

import math
from collections.abc import Callable
from typing import Any

import jax

from evometa.backend.jaxprs import Equation, Flat, Known, flat, inner_jaxprs
from evometa.backend.loop_lengths import rounds

CUBIC = {"cholesky": 1 / 3, "lu": 2 / 3, "triangular_solve": 1.0, "qr": 4 / 3, "geqrf": 4 / 3, "eigh": 9.0, "svd": 22.0}
"""Operations of factorisations, in the number of elements times the shorter side."""


def flops(function: Callable[..., Any], *args: Any) -> float:
    """Return the number of floating-point operations of one call.

    A multiply-add counts as two operations, a factorisation by the cube of its size, a reduction as one operation for
    each element that goes in, and any other operation as one for each element of its result. The body of a loop is
    multiplied by its length if that is known. A loop that ends by a condition counts as often as its counter can go on,
    such as up to the limit on the steps of an episode, and once where no constant limits it. Of the branches of a
    conditional, only the most expensive counts.

    Args:
        function: a JAX function.
        args: its arguments, or their shapes as :class:`jax.ShapeDtypeStruct`.
    """
    return _inside(jax.make_jaxpr(function)(*args), {})


def _inside(jaxpr: Any, known: Known, inputs: list[Any] | None = None) -> float:
    """Count a jaxpr; ``inputs`` stand for its last inputs, of the others nothing is known."""
    count, given = len(getattr(jaxpr, "jaxpr", jaxpr).invars), inputs or []
    return _count(flat(jaxpr, [object() for _ in range(count - len(given))] + given, known))


def _count(jaxpr: Flat) -> float:
    return sum((_equation(equation, jaxpr.known) for equation in jaxpr.equations), 0.0)


def _equation(equation: Equation, known: Known) -> float:
    name, params = equation.name, equation.params
    produced = float(sum(math.prod(shape) for shape in equation.shapes))
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2.0 * produced * float(math.prod(equation.operands[0][axis] for axis in contracted))
    if name == "conv_general_dilated":
        kernel = equation.operands[1]
        return 2.0 * produced * float(math.prod(kernel) / kernel[params["dimension_numbers"].rhs_spec[0]])
    if name == "cond":
        return max(_inside(branch, known, equation.inputs[1:]) for branch in params["branches"])
    if name == "while":
        length, condition, body = rounds(equation, known)
        return length * (_count(body) + _count(condition))
    if name == "scan":
        return float(params["length"]) * sum(_inside(inner, {}) for inner in inner_jaxprs(params))
    if name in CUBIC:
        shape = equation.operands[-1]
        return CUBIC[name] * math.prod(shape) * min(equation.operands[0][-2:])
    if name.startswith(("reduce_", "arg")) or name == "sort":
        return float(sum(math.prod(shape) for shape in equation.operands))
    inner = list(inner_jaxprs(params))
    if inner:
        return _times(params) * sum(_inside(one, {}) for one in inner)
    return produced


def _times(params: dict[str, Any]) -> float:
    """Return how often an equation runs the jaxpr in it: for a Pallas kernel, once at each place of its grid."""
    grid = getattr(params.get("grid_mapping"), "grid", ())
    return float(math.prod(size for size in grid if isinstance(size, int)))
