"""The whole formula that symbolic regression finds: in the units of the table, with slope and intercept."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.expressions import LOSS_PRIMITIVES, PrimitiveSet, Program, Tree, text
from evometa.expressions.double import in_double_precision
from evometa.expressions.notation import number
from evometa.expressions.tree import nodes
from evometa.problems.functions.scaling import Line
from evometa.problems.functions.units import Unit

if TYPE_CHECKING:
    from evometa.problems.functions.symbolic_regression import SymbolicRegression

Node = tuple[str, float]
"""The name of a node, or "" and the value of a constant."""


@functools.partial(jax.tree_util.register_dataclass, data_fields=["program"], meta_fields=["problem"])
@dataclasses.dataclass(frozen=True)
class FittedFormula:
    """A formula of the columns of a table: ``formula(*columns)`` predicts the label, all in the units of the table.

    It is a pytree of the arrays of its program, like which a search treats it. Slope, intercept and units belong to the
    problem, from whose points to fit they are computed when the formula is printed, exported or called. For that, all
    functions of :mod:`evometa.expressions` take ``formula.primitives`` and ``formula.tree``.
    """

    program: Program
    """What was searched: from columns in units that single precision holds to values that are still to be scaled."""
    problem: "SymbolicRegression"
    """The problem, a static part of the pytree."""

    @property
    def primitives(self) -> PrimitiveSet:
        """The primitive set of :attr:`tree`: that of the search, with what units, slope and intercept need."""
        return with_arithmetic(self.problem.primitives)

    @functools.cached_property
    def tree(self) -> Tree:
        """The whole formula, with constants in double precision."""
        line = self.problem.line(self)
        return whole_tree(self.problem.primitives, self.problem.units.columns, self.program.tree, line)

    def __str__(self) -> str:
        """Return the text of the whole formula; "a formula" for a traced one or a population."""
        known = not isinstance(self.program.op, jax.core.Tracer) and np.ndim(self.program.op) == 1
        return text(self.primitives, self.tree) if known else "a formula"

    def __call__(self, *columns: Any) -> Any:
        """Return predictions of the label, computed in double precision.

        Args:
            columns: one array for each argument, all of one shape.

        Returns:
            A NumPy array of that shape, float64; where JAX traces the columns, a traced array.
        """
        return in_double_precision(self.primitives, self.tree, columns)

    def values(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what was searched on columns in the search's own units ``[A, N]``, in double precision ``[N]``."""
        tree = self.program.tree
        return np.asarray(in_double_precision(self.problem.primitives, tree, list(columns)))


def whole_tree(given: PrimitiveSet, units: Sequence[Unit], searched: Tree, line: Line) -> Tree:
    """Return a whole formula, in the units of a table and with constants in double precision.

    Its primitives are those that :func:`with_arithmetic` returns.

    Args:
        given: the primitive set of what was searched.
        units: those in which the search saw the columns.
        searched: what was searched.
        line: from its values to the label.
    """
    primitives = with_arithmetic(given)
    found = plus(times(line.slope, _in_table_units(given, units, searched)), line.intercept)
    if line.slope == 0:
        found = [("", line.intercept)]
    codes = [primitives.code(name) if name else primitives.constant for name, _ in found]
    return Tree(np.array(codes, np.int32), np.array([value for _, value in found]))  # type: ignore[arg-type]


def _in_table_units(given: PrimitiveSet, units: Sequence[Unit], searched: Tree) -> list[Node]:
    """Return what was searched as a function of the columns in the units of the table."""
    columns = dict(zip(given.argument_names, units, strict=True))
    found: list[Node] = []
    for code, value in nodes(searched):
        if code == given.constant:
            # The shortest number that is this constant in its float type.
            found.append(("", float(number(value, np.asarray(searched.constant).dtype))))
            continue
        name = given.names[code]
        unit = columns.get(name, Unit())
        found += times(unit.factor, plus([(name, 0.0)], -unit.shift))
    return found


def with_arithmetic(given: PrimitiveSet) -> PrimitiveSet:
    """Return a primitive set with ``add``, ``sub`` and ``mul``, after its own primitives."""
    known = {primitive.name for primitive in given.primitives}
    more = [one for one in LOSS_PRIMITIVES if one.name in ("add", "sub", "mul") and one.name not in known]
    return dataclasses.replace(given, primitives=(*given.primitives, *more))


def plus(tree: list[Node], constant: float) -> list[Node]:
    """Return a formula and a constant added to it; where it is negative, its size is subtracted."""
    if constant == 0:
        return tree
    return [("sub" if constant < 0 else "add", 0.0), *tree, ("", abs(constant))]


def times(factor: float, tree: list[Node]) -> list[Node]:
    """Return a constant times a formula."""
    return tree if factor == 1 else [("mul", 0.0), ("", factor), *tree]


def in_words(tree: list[Node]) -> str:
    """Return a formula of sums and products as text."""
    done: list[str] = []
    for name, value in reversed(tree):
        arity = 2 if name in ("add", "sub", "mul") else 0
        parts = ", ".join(done.pop() for _ in range(arity))
        done.append(f"{name}({parts})" if arity else name or number(value, np.float64))
    return done[0]
