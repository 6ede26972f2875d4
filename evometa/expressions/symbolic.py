"""Expressions in SymPy, to calculate with them, and LaTeX by way of it."""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from evometa.expressions.notation import fold, number
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree

# SymPy is imported where it is used: it takes as long as all the rest of evometa.

SHARED = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "sign")
"""Functions of JAX that SymPy knows by the same name."""
DIGITS = 4
"""Of constants in LaTeX."""


def to_sympy(primitives: PrimitiveSet, tree: Tree) -> Any:
    """Return an expression as SymPy's: ``sympy.diff``, ``sympy.simplify`` or ``sympy.lambdify`` take it from there.

    Arguments are real symbols of their names. A primitive becomes what its ``symbolic`` makes of its inputs. Without
    one it is SymPy's function of the same name, if it is one of JAX's elementary functions, or else an undefined one;
    without inputs, a symbol.
    Protected functions become those they protect, such as log|a|: the same value wherever nothing is protected.
    SymPy puts terms in an order of its own, and takes together what is alike.

    Args:
        primitives: what the expression is made of.
        tree: the expression.
    """
    import sympy

    types = dict(primitives.arguments)
    known: dict[Callable[..., Any], Any] = {getattr(jnp, name): getattr(sympy, name) for name in SHARED}

    def call(primitive: Primitive, parts: list[Any]) -> Any:
        function = primitive.symbolic or known.get(primitive.function) or sympy.Function(primitive.name)
        return function(*parts) if parts else sympy.Symbol(primitive.name, real=True)

    def argument(name: str) -> Any:
        return sympy.Symbol(name, real=True) if types[name] != "bool" else sympy.Symbol(name)

    return fold(primitives, tree, argument, _constant, call)


def _constant(value: float) -> Any:
    import sympy

    return sympy.Integer(int(value)) if value.is_integer() else sympy.Float(number(value))


def latex(primitives: PrimitiveSet, tree: Tree, *, simplify: bool = False) -> str:
    """Write a tree as LaTeX, by way of :func:`to_sympy`, constants with four digits.

    Args:
        primitives: what the expression is made of.
        tree: the expression.
        simplify: let SymPy look for a shorter form, which may take seconds.
    """
    import sympy

    found = to_sympy(primitives, tree)
    if simplify:
        found = sympy.simplify(found)
    found = found.xreplace({one: sympy.Float(one, DIGITS) for one in found.atoms(sympy.Float)})
    return str(sympy.latex(found, symbol_names={one: _name(str(one)) for one in found.free_symbols}))


@functools.cache
def _name(name: str) -> str:
    """Return a word upright; letters, with a number or not, and the names of Greek ones are SymPy's own."""
    import sympy

    own = str(sympy.latex(sympy.Symbol(name)))
    if re.fullmatch(r"[A-Za-z]_?\d*", name) or re.fullmatch(r"\\[a-z]+(_\{\d+\})?", own):
        return own
    return rf"\mathrm{{{name}}}".replace("_", r"\_")
