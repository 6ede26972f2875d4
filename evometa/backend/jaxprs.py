"""Jaxprs as flat lists of equations, with the largest values that follow from constants."""

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.extend.core
import numpy as np

Atom = Any
"""An input or output of an equation: a literal, or an object that stands for one variable."""
Known = dict[Atom, float]
"""The largest element of a value, where constants in the program bound it."""

SAME = frozenset(("convert_element_type", "broadcast_in_dim", "squeeze", "reshape", "copy", "copy_p", "reduce_max"))
"""Primitives whose largest element is that of their input."""
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
}


class Equation(NamedTuple):
    """An equation of a jaxpr, or of a function that it calls."""

    name: str
    params: dict[str, Any]
    inputs: list[Atom]
    outputs: list[Atom]
    shapes: list[tuple[int, ...]]
    """Of the outputs."""
    operands: list[tuple[int, ...]]
    """Shapes of the inputs."""


class Flat(NamedTuple):
    """A jaxpr with the functions that it calls written out."""

    equations: list[Equation]
    outputs: list[Atom]
    known: Known
    """What is known of inputs, constants and results."""


def flat(jaxpr: Any, inputs: list[Atom], known: Known) -> Flat:
    """Write the functions out that a jaxpr calls, and find what is known of its values.

    Args:
        jaxpr: a ``Jaxpr`` or ``ClosedJaxpr``.
        inputs: what stands for its inputs.
        known: what is known of these.
    """
    equations: list[Equation] = []
    known = dict(known)
    outputs = _write_out(jaxpr, inputs, equations, known)
    return Flat(equations, outputs, known)


def largest(atom: Atom, known: Known) -> float | None:
    """Return the largest element of a value, None if unknown."""
    if isinstance(atom, jax.extend.core.Literal):
        return _number(atom.val)
    return known.get(atom)


def inner_jaxprs(params: dict[str, Any]) -> Iterator[Any]:
    """Yield the jaxprs among the parameters of an equation."""
    for value in params.values():
        if hasattr(value, "eqns") or hasattr(value, "jaxpr"):
            yield value


def _write_out(closed: Any, inputs: list[Atom], equations: list[Equation], known: Known) -> list[Atom]:
    jaxpr = getattr(closed, "jaxpr", closed)
    scope: dict[Any, Atom] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, value in zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=False):
        number = _number(value)
        if number is not None:
            known[scope.setdefault(variable, object())] = number

    def atom(variable: Any) -> Atom:
        return variable if isinstance(variable, jax.extend.core.Literal) else scope.setdefault(variable, object())

    for equation in jaxpr.eqns:
        given = [atom(variable) for variable in equation.invars]
        called = _called(equation)
        if called is not None:
            made = _write_out(called, given, equations, known)
        else:
            made = [object() for _ in equation.outvars]
            shapes, operands = ([_shape(v) for v in some] for some in (equation.outvars, equation.invars))
            one = Equation(equation.primitive.name, equation.params, given, made, shapes, operands)
            equations.append(one)
            bound = _bound(one, known)
            if bound is not None:
                known[made[0]] = bound
        scope.update(zip(equation.outvars, made, strict=True))
    return [atom(variable) for variable in jaxpr.outvars]


def _called(equation: Any) -> Any:
    """Return the jaxpr of an equation that only calls a function, such as a jitted or a custom-derivative one."""
    inner = list(inner_jaxprs(equation.params))
    if len(inner) != 1 or equation.primitive.name in ("scan", "while"):
        return None
    jaxpr = getattr(inner[0], "jaxpr", inner[0])
    same = [_shape(v) for v in jaxpr.invars] == [_shape(v) for v in equation.invars]
    return inner[0] if same and len(jaxpr.outvars) == len(equation.outvars) else None


def _bound(equation: Equation, known: Known) -> float | None:
    """Return the largest element of the result, as far as constants say."""
    given = [largest(atom, known) for atom in equation.inputs]
    some = [value for value in given if value is not None]
    if equation.name in SAME:
        return given[0]
    if equation.name == "min":
        return min(some, default=None)
    if equation.name == "clamp":
        return given[2]
    if equation.name == "select_n":
        return max((value for value in given[1:] if value is not None), default=None)
    if len(some) < len(given):
        return None
    if equation.name == "max":
        return max(some)
    return _ARITHMETIC[equation.name](*some) if equation.name in _ARITHMETIC else None


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(getattr(variable.aval, "shape", ()))


def _number(value: Any) -> float | None:
    if np.size(value) != 1 or isinstance(value, jax.core.Tracer):
        return None
    kind = getattr(getattr(value, "dtype", np.dtype(type(value))), "kind", "")
    return float(np.asarray(value).item()) if kind in ("i", "u", "f") else None
