"""Symbolic regression: a formula that fits given points.

Branch of meta-learning: none; the search is over the learner itself, an expression, without any training. It is the
classic benchmark of genetic programming, with known answers, and a tool for tables of your own.
"""

import dataclasses
import functools
import os
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError, nearest, warn
from evometa.expressions import Expression, PrimitiveSet
from evometa.problem import Evaluation, Problem
from evometa.problems.functions.csv_tables import Columns, identifiers, read_columns
from evometa.problems.functions.fitted_formula import FittedFormula
from evometa.problems.functions.formulas import FORMULAS, FUNCTIONS, Points
from evometa.problems.functions.initial_formulas import searched
from evometa.problems.functions.scaling import Line, best_line, exact_line
from evometa.problems.functions.units import Unit, lost, unit_of
from evometa.settings import Count, Natural, Range
from evometa.types import Key

CSV_FUNCTIONS = ("add", "sub", "mul", "div", "exp", "log", "sqrt", "square", "sin", "cos")
RECOVERED = 1e-8
"""A formula counts as recovered if its error, in units of the label's variance, is below this."""


class Units(NamedTuple):
    """The units in which a search sees a table."""

    columns: tuple[Unit, ...]
    label: Unit


@dataclasses.dataclass(frozen=True)
class SymbolicRegression(Problem):
    """Find a formula for a label from the other columns of a table.

    ω is a formula of the columns, a :class:`FittedFormula`. Printed, exported and called it is the whole formula in the
    units of the table, with slope and intercept. Fitness, to be minimised, is the mean squared error on the points to
    fit, in units of the label's variance there: 1 - R², 1 for the best constant. A formula with a non-finite value at
    any point fails. :meth:`evaluate_test` evaluates on held-out points with the slope and intercept fitted on the
    others.

    A search is in single precision, so it sees the columns and the label of a table in units that this can hold:
    shifted where they vary little around a large value, and multiplied by a power of ten where they are typically below
    0.01 or above 10,000. A warning says what is lost even so.

    Metrics: ``r2``; ``hits``, the fraction of points with an error of at most 0.01 (all of them: a success in Koza's
    and Uy's sense); ``recovered``, 1 if the fitness is below 1e-8, which an approximate formula does not reach, and
    which rounding in single precision does not prevent.

    The built-in targets are ``nguyen-1`` to ``nguyen-10``, ``koza-1`` to ``koza-3`` and ``keijzer-6``, with the usual
    points and functions (see McDermott et al., "Genetic programming needs better benchmarks", 2012; the constant 1 with
    one argument as in Uy et al. 2011). As many other points are held out; for Keijzer-6 the integers up to 120, beyond
    the 50 that are fitted.

    Paper: Koza, "Genetic Programming", 1992.

    Args:
        target: name of a built-in formula.
        csv: path of a CSV file, used instead of a built-in formula.
        label: the column to predict; empty: the last one.
        functions: names of the functions in formulas: ``add``, ``sub``, ``mul``, ``div``, ``pow``, ``exp``, ``log``,
            ``sqrt``, ``square``, ``abs``, ``neg``, ``sin``, ``cos``, ``tan``, ``tanh``, ``min``, ``max``, ``sign``,
            ``less``, ``if_then_else``; empty: the usual ones for the target.
        max_size: maximum number of nodes of a formula.
        linear_scaling: evaluate a + b · ω with the best a and b, in closed form (Keijzer 2003). On by default: the
            search then looks for a shape, independent of the label's units, and no candidate fails for lack of a
            constant factor. To recover an exact formula whose factors can be expressed, switch it off: approximate
            scaled shapes are found early and displace it.
        cases: C, number of blocks into which the points are divided along the first column; their mean squared errors,
            in units of the variance, are the ``objectives`` for lexicase selection; 0: none.
        held_out: fraction of a CSV file's rows that is held out.
        seed: seed of the points, or of the choice of held-out rows.
        columns: the columns that a formula may use; empty: all others. Columns that are not used may hold text.
        weights: a column with the weight of each row in all means, such as 1 / variance of its label; empty: all rows
            weigh the same. Rows of weight 0 are left out.
        header: whether the first line of the file holds the names of the columns.
        drop_missing: leave rows out in which a value is missing.

    Raises:
        ConfigurationError: an unknown target, function or column; a file that is not a table of finite numbers; too few
            rows; a constant label; negative weights; more cases than points.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="none",
        omega="a formula of the columns of a table",
        learner="none",
        paper="Koza 1992",
        recipe=Recipe("GeneticProgramming", {"population_size": 1000}, {"seconds": 30, "target": 1e-8}),
    )

    target: str = "nguyen-1"
    csv: str = ""
    label: str = ""
    functions: tuple[str, ...] = ()
    max_size: Count = 31
    linear_scaling: bool = True
    cases: Natural = 0
    held_out: Annotated[float, Range(above=0, below=1)] = 0.25
    seed: Natural = 0
    columns: tuple[str, ...] = ()
    weights: str = ""
    header: bool = True
    drop_missing: bool = False

    def __post_init__(self) -> None:
        for name, given, known in (("target", (self.target,), FORMULAS), ("functions", self.functions, FUNCTIONS)):
            unknown = [one for one in given if one not in known]
            if unknown:
                raise ConfigurationError(
                    f"SymbolicRegression expects {name} that it knows, got {unknown[0]!r}. {nearest(unknown[0], known)}"
                )
        for name in ("label", "columns", "weights"):
            if getattr(self, name) and not self.csv:
                raise ConfigurationError(
                    f"SymbolicRegression expects {name} only with a csv, whose columns it names, got "
                    f"{getattr(self, name)!r}."
                )
        for points in self.parts:
            if len(np.unique(points.label)) < 2:
                raise ConfigurationError(
                    "SymbolicRegression expects a label that takes at least 2 values among the rows to fit and among "
                    f"those held out, got only {points.label[0]}; give other rows or another held_out."
                )
        count = len(self.parts[0].label)
        if self.cases > count:
            raise ConfigurationError(
                f"SymbolicRegression expects cases of at most the number of points, {count}, got {self.cases}."
            )
        self._warn_of_lost_precision()

    def _warn_of_lost_precision(self) -> None:
        if not self.csv:
            return
        fitted = self.parts[0]
        named = [
            *zip(self._columns.names, fitted.columns, self.units.columns, strict=True),
            (self._columns.label_name, fitted.label, self.units.label),
        ]
        words = [word for name, values, unit in named for word in lost(name, values, unit)]
        if words:
            warn(f"{self.csv}: {'; '.join(words)}.")

    @functools.cached_property
    def _columns(self) -> Columns:
        return read_columns(
            self.csv,
            label=self.label,
            columns=self.columns,
            weights=self.weights,
            header=self.header,
            drop_missing=self.drop_missing,
        )

    @property
    def data_files(self) -> tuple[str, ...]:
        """The CSV file, to which slope and intercept of a formula are fitted; a run directory keeps a copy."""
        return (os.path.expanduser(self.csv),) if self.csv else ()

    @functools.cached_property
    def parts(self) -> tuple[Points, Points]:
        """The points to fit, and the held-out ones, in the units of the table."""
        if not self.csv:
            fitted, other = (FORMULAS[self.target].draw(self.seed, held_out=held_out) for held_out in (False, True))
        else:
            columns, label, weights = self._columns.columns, self._columns.label, self._columns.weights
            rows = np.random.default_rng(self.seed).permutation(len(label))
            cut = min(max(round(self.held_out * len(rows)), 1), len(rows) - 1)
            fitted, other = (
                Points(columns[:, part], label[part], None if weights is None else _shares(weights[part]))
                for part in (rows[cut:], rows[:cut])
            )
        order = np.argsort(fitted.columns[0], kind="stable")
        weights = None if fitted.weights is None else fitted.weights[order]
        return Points(fitted.columns[:, order], fitted.label[order], weights), other

    @functools.cached_property
    def units(self) -> Units:
        """The units in which the search sees the table."""
        fitted = self.parts[0]
        if not self.csv:
            return Units((Unit(),) * len(fitted.columns), Unit())
        return Units(tuple(unit_of(column) for column in fitted.columns), unit_of(fitted.label))

    @functools.cached_property
    def _seen(self) -> tuple[Points, Points]:
        """The points in the units of the search."""
        if all(unit == Unit() for unit in (*self.units.columns, self.units.label)):
            return self.parts
        return tuple(  # type: ignore[return-value]
            Points(
                np.stack(
                    [unit.standardise(column) for unit, column in zip(self.units.columns, part.columns, strict=True)]
                ),
                self.units.label.standardise(part.label),
                part.weights,
            )
            for part in self.parts
        )

    @functools.cached_property
    def primitives(self) -> PrimitiveSet:
        """The columns, functions and constants that a search puts formulas together from."""
        formula = FORMULAS[self.target]
        functions = self.functions or (CSV_FUNCTIONS if self.csv else formula.functions)
        arguments, ephemeral = formula.arguments, formula.ephemeral
        if self.csv:
            arguments, ephemeral = identifiers(self._columns.names, FUNCTIONS), 1.0
        return PrimitiveSet(arguments, tuple(FUNCTIONS[name] for name in functions), ephemeral=ephemeral)

    @functools.cached_property
    def space(self) -> Expression:
        """Formulas of the columns, compared at up to 64 of the points to fit."""
        columns = self._seen[0].columns
        some = np.linspace(0, columns.shape[1] - 1, min(64, columns.shape[1])).astype(int)
        return Expression(
            self.primitives,
            self.max_size,
            points=tuple(columns[:, some]),
            omega=lambda program: FittedFormula(program, self),
            inverse=lambda formula: searched(self, formula),
        )

    def evaluate(self, key: Key, omega: FittedFormula) -> Evaluation:
        """Evaluate a formula on the points to fit."""
        return self._fitted(omega.program(*_arrays(self._seen[0].columns)))

    def evaluate_population(self, key: Key, omegas: FittedFormula) -> Evaluation:
        """Evaluate formulas ``[P, ...]`` on the points to fit."""
        evaluation: Evaluation = omegas.program.each(self._fitted, *_arrays(self._seen[0].columns))
        return evaluation

    def _fitted(self, values: jax.Array) -> Evaluation:
        fitted = self._seen[0]
        errors = _errors(values, self._line(values), fitted)
        return self._evaluation(errors, fitted, self._blocks(errors) if self.cases else None)

    def evaluate_test(self, key: Key, omega: FittedFormula) -> Evaluation:
        """Evaluate a formula on the held-out points, with the scaling fitted on the points to fit."""
        held_out = self._seen[1]
        line = self._line(omega.program(*_arrays(self._seen[0].columns)))
        return self._evaluation(_errors(omega.program(*_arrays(held_out.columns)), line, held_out), held_out)

    def _line(self, values: jax.Array) -> Line:
        """Return the line with the least squared error in the units of the search; 1 and 0 without linear scaling."""
        if not self.linear_scaling:
            return Line(jnp.ones((), values.dtype), jnp.zeros((), values.dtype))
        return best_line(values, self._seen[0])

    def line(self, omega: FittedFormula) -> Line:
        """Return the slope and intercept of one formula from its values to predictions in the units of the table.

        They are computed in double precision and rounded to what makes a difference of 1e-9 of the label's deviation.
        """
        values = omega.values(self._seen[0].columns)
        if not self.linear_scaling or not np.isfinite(values).all():
            unit = self.units.label
            return Line(float(f"{1 / unit.factor:.9g}"), unit.shift)
        return exact_line(values, self.parts[0])

    def _evaluation(self, errors: jax.Array, points: Points, objectives: Any = None) -> Evaluation:
        fitness = points.mean(errors**2)
        with np.errstate(over="ignore"):  # the deviation of labels around 1e300 is infinite in single precision
            near = jnp.abs(errors) * (points.label_deviation / self.units.label.factor) <= 0.01
        hits = points.mean(near.astype(errors.dtype))
        recovered = (fitness < RECOVERED).astype(errors.dtype)
        return Evaluation(fitness, {"r2": 1 - fitness, "hits": hits, "recovered": recovered}, objectives=objectives)

    def _blocks(self, errors: jax.Array) -> jax.Array:
        count = errors.shape[0]
        block = np.arange(count) * self.cases // count
        members: Any = block[None, :] == np.arange(self.cases)[:, None]
        if self._seen[0].weights is not None:
            members = members * self._seen[0].weights
        weights = members / members.sum(axis=1, keepdims=True)
        return jnp.sum(jnp.asarray(weights, errors.dtype) * errors**2, axis=1)


def _arrays(columns: Any) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(column, jnp.result_type(float)) for column in columns)


def _errors(values: jax.Array, line: Line, points: Points) -> jax.Array:
    """Return the errors at points ``[N]``, in standard deviations of the label."""
    predicted = line.slope * values + line.intercept
    return jnp.divide(predicted - jnp.asarray(points.label, values.dtype), points.label_deviation)


def _shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = weights / weights.max()  # first, so that the sum does not overflow
    return np.asarray(shares / shares.sum(), np.float64)
