"""Formulas that a search begins with: from the units of the table, in which they are written, into those of the search.

A formula is printed with a column as ``factor · (x - shift)`` where the search sees that instead of ``x``
(:mod:`evometa.problems.functions.units`). So is it to be written: computed from ``x`` itself in single precision, it
would be another one.
"""

from typing import TYPE_CHECKING, Any

from evometa.errors import ConfigurationError
from evometa.expressions import Tree
from evometa.expressions.notation import prefix_of
from evometa.expressions.tree import from_nodes
from evometa.problems.functions.fitted_formula import FittedFormula, Node, in_words, plus, times, with_arithmetic
from evometa.problems.functions.units import Unit

if TYPE_CHECKING:
    from evometa.problems.functions.symbolic_regression import SymbolicRegression


def searched(problem: "SymbolicRegression", given: Any) -> Any:
    """Return what a search looks for in place of a formula: of one that was found, or of text in the table's units.

    Anything else, such as a tree of the search, is returned as it is.

    Raises:
        ConfigurationError: text that is no formula, or has a column other than the search sees it.
    """
    if isinstance(given, FittedFormula):
        if given.problem.units == problem.units and given.problem.primitives == problem.primitives:
            return given.program
        given = str(given)
    return _in_search_units(problem, given) if isinstance(given, str) else given


def _in_search_units(problem: "SymbolicRegression", text: str) -> Tree:
    known = with_arithmetic(problem.primitives)
    given = [("" if code == known.constant else known.names[code], value) for code, value in prefix_of(known, text)]
    if not problem.linear_scaling:
        given = _without_label_unit(given, problem.units.label)
    units = dict(zip(problem.primitives.argument_names, problem.units.columns, strict=True))
    seen = {name: times(unit.factor, plus([(name, 0.0)], -unit.shift)) for name, unit in units.items()}
    found: list[Node] = []
    while given:
        name = next((name for name, part in seen.items() if given[: len(part)] == part), None)
        if name is None and given[0][0] in seen:
            column, part = given[0][0], seen[given[0][0]]
            raise ConfigurationError(
                f"SymbolicRegression expects {column!r} in a formula as the search sees it in single precision, "
                f"{in_words(part)}, got {column!r} by itself in {text!r}; write that in its place."
            )
        found.append(given[0] if name is None else (name, 0.0))
        given = given[1 if name is None else len(seen[name]) :]
    primitives = problem.primitives
    prefix = [(primitives.code(name) if name else primitives.constant, value) for name, value in found]
    return from_nodes(prefix, len(prefix))


def _without_label_unit(given: list[Node], unit: Unit) -> list[Node]:
    """Return a formula of the label in its unit; without linear scaling nothing else brings it there."""
    around = plus(times(float(f"{1 / unit.factor:.9g}"), [("...", 0.0)]), unit.shift)
    at = around.index(("...", 0.0))
    before, after = around[:at], around[at + 1 :]
    if given[:at] != before or given[len(given) - len(after) :] != after:
        raise ConfigurationError(
            "SymbolicRegression expects a formula for the label as a search without linear scaling sees it in single "
            f"precision, {in_words(around)}; write it so."
        )
    return given[at : len(given) - len(after)]
