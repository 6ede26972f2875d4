"""Expressions as ω: genetic programming on arrays, with a whole population of formulas in one compiled program.

A formula is a tree over a typed primitive set (:mod:`primitives`), stored as arrays in prefix order (:mod:`tree`). The
space :class:`Expression` samples, mutates and crosses over trees (:mod:`growth`, :mod:`variation`), and decodes a tree
into a :class:`Program`: instructions for an interpreter that evaluates and differentiates them (:mod:`program`,
:mod:`machine`)::

    from evometa.expressions import Expression, PrimitiveSet

    primitives = PrimitiveSet(("prediction", "label")).add("sin", jnp.sin)
    space = Expression(primitives, max_size=31, start="square(sub(prediction, label))")

Trees are parsed from and written as text and Python (:mod:`notation`), converted to SymPy and LaTeX
(:mod:`symbolic`), converted to and from DEAP trees (:mod:`deap`), and exported as functions that need only JAX
(:mod:`export`).
"""

from evometa.expressions.deap import from_deap, primitive_set, to_deap
from evometa.expressions.export import source
from evometa.expressions.notation import parse, python, text
from evometa.expressions.primitives import LOSS_PRIMITIVES, REDUCTIONS, Primitive, PrimitiveSet
from evometa.expressions.program import Program, compile_tree
from evometa.expressions.space import Expression
from evometa.expressions.symbolic import latex, to_sympy
from evometa.expressions.tree import Tree, check_tree

__all__ = [
    "LOSS_PRIMITIVES",
    "REDUCTIONS",
    "Expression",
    "Primitive",
    "PrimitiveSet",
    "Program",
    "Tree",
    "check_tree",
    "compile_tree",
    "from_deap",
    "latex",
    "parse",
    "primitive_set",
    "python",
    "source",
    "text",
    "to_deap",
    "to_sympy",
]
