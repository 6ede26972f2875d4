"""Conversion of expressions to SymPy, for symbolic calculation, and to LaTeX."""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from evometa.expressions.notation import fold, number_in
from evometa.expressions.primitives import Primitive, PrimitiveSet
from evometa.expressions.tree import Tree

# SymPy is imported where it is used: its import takes as long as that of all the rest of evometa.

SHARED = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "sign")
"""Functions of JAX that SymPy knows by the same name."""
DIGITS = 4
"""Significant digits of constants in LaTeX."""


def to_sympy(primitives: PrimitiveSet, tree: Tree) -> Any:
    """Convert an expression to SymPy, for ``sympy.diff``, ``sympy.simplify``, ``sympy.lambdify`` and so on.

    Arguments become real symbols with their names. A primitive becomes the result of its ``symbolic`` on its inputs.
    Without ``symbolic`` it becomes SymPy's function of the same name, if it is one of JAX's elementary functions, and
    otherwise an undefined function; a primitive without inputs becomes a symbol.

    Protected functions become the functions that they protect, such as log|a|, with the same value wherever the
    protection has no effect. SymPy may reorder and combine terms.

    Args:
        primitives: the primitive set of the expression.
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

    write = number_in(tree)

    def constant(value: float) -> Any:
        return sympy.Integer(int(value)) if value.is_integer() and abs(value) < 2**53 else sympy.Float(write(value))

    return fold(primitives, tree, argument, constant, call)


def latex(primitives: PrimitiveSet, tree: Tree, *, simplify: bool = False) -> str:
    """Return an expression as LaTeX, converted by :func:`to_sympy`, with four digits of its constants.

    Constants in double precision keep all their digits, as in a formula in the units of a table.

    Args:
        primitives: the primitive set of the expression.
        tree: the expression.
        simplify: let SymPy search for a shorter form, which may take seconds.
    """
    import sympy

    formula = to_sympy(primitives, tree)
    if simplify:
        formula = sympy.simplify(formula)
    if np.asarray(tree.constant).dtype != np.float64:
        formula = formula.xreplace({number: sympy.Float(number, DIGITS) for number in formula.atoms(sympy.Float)})
    return str(sympy.latex(formula, symbol_names={symbol: _latex_name(str(symbol)) for symbol in formula.free_symbols}))


@functools.cache
def _latex_name(name: str) -> str:
    r"""Return a name in LaTeX: letters like x or x_1 and Greek letters as SymPy writes them, words as ``\mathrm``."""
    import sympy

    default = str(sympy.latex(sympy.Symbol(name)))
    if re.fullmatch(r"[A-Za-z]_?\d*", name) or re.fullmatch(r"\\[a-z]+(_\{\d+\})?", default):
        return default
    return rf"\mathrm{{{name}}}".replace("_", r"\_")
