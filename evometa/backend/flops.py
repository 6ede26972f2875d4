"""Floating-point operations of a JAX function, counted from its jaxpr without running or compiling it."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def flops(function: Callable[..., Any], *args: Any) -> float:
    """Return the number of floating-point operations of one call.

    A multiply-add counts as two operations, any other elementwise operation as one for each element of its result. The
    body of a loop is multiplied by its length if that is known. A loop that ends by a condition counts as often as the
    largest whole number that the condition holds or the loop begins with, such as the limit on the steps of an episode,
    and once where there is none. Of the branches of a conditional, only the most expensive counts.

    Args:
        function: a JAX function.
        args: its arguments, or their shapes as :class:`jax.ShapeDtypeStruct`.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: Any) -> float:
    return sum((_equation(equation) for equation in jaxpr.eqns), 0.0)


def _equation(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    produced = float(sum(math.prod(v.aval.shape) for v in equation.outvars if hasattr(v.aval, "shape")))
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2.0 * produced * float(math.prod(shape[axis] for axis in contracted))
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        return 2.0 * produced * float(math.prod(kernel) / kernel[params["dimension_numbers"].rhs_spec[0]])
    if name == "cond":
        return max(_count(branch.jaxpr) for branch in params["branches"])
    if name == "while":
        begun = equation.invars[params["cond_nconsts"] + params["body_nconsts"] :]
        rounds = max([1, *_whole(begun), *_limits(params["cond_jaxpr"].jaxpr)])
        return rounds * (_count(params["body_jaxpr"].jaxpr) + _count(params["cond_jaxpr"].jaxpr))
    inner = [value for value in params.values() if hasattr(value, "eqns") or hasattr(value, "jaxpr")]
    if inner:
        return float(params.get("length", 1)) * sum(_count(getattr(value, "jaxpr", value)) for value in inner)
    return produced


def _limits(jaxpr: Any) -> list[int]:
    """Return the whole numbers that a condition compares something with."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("lt", "le", "gt", "ge", "ne"):
            found += _whole(equation.invars)
        for value in equation.params.values():
            if hasattr(value, "eqns") or hasattr(value, "jaxpr"):
                found += _limits(getattr(value, "jaxpr", value))
    return found


def _whole(atoms: Any) -> list[int]:
    """Return the values of those atoms that are literal scalar integers."""
    literals = [atom for atom in atoms if hasattr(atom, "val") and not getattr(atom.aval, "shape", ())]
    return [abs(int(atom.val)) for atom in literals if np.issubdtype(atom.aval.dtype, np.integer)]
