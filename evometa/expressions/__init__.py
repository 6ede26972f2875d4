"""Expressions as ω: genetic programming on arrays, a population of formulas in one compiled program.

A formula is a tree over a typed set of primitives (:mod:`primitives`), kept in arrays in prefix order (:mod:`tree`).
The space :class:`Expression` draws, mutates and crosses trees (:mod:`growth`, :mod:`variation`), and decodes one into
a :class:`Program`, instructions for a machine that evaluates and differentiates it (:mod:`program`, :mod:`machine`)::

    from evometa.expressions import Expression, PrimitiveSet

    primitives = PrimitiveSet(("prediction", "label")).add("sin", jnp.sin)
    space = Expression(primitives, max_size=31, start="square(sub(prediction, label))")

Trees are read and written as text and Python (:mod:`notation`), turned into SymPy's and LaTeX (:mod:`symbolic`),
exchanged with DEAP (:mod:`deap`), and exported as functions that need JAX alone (:mod:`export`).
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
