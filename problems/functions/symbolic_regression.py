"""Symbolic regression: a formula that fits given points.

Branch of meta-learning: none; the search is over the learner itself, an expression, without any training. It is the
classic benchmark of genetic programming, with known answers, and a tool for tables of your own.
"""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError, nearest
from evometa.expressions import Expression, PrimitiveSet, Program
from evometa.problem import Evaluation, Problem
from evometa.problems.functions.csv_tables import column_of, identifiers, read_table
from evometa.problems.functions.formulas import FORMULAS, FUNCTIONS, Points
from evometa.types import Key, Scalar

CSV_FUNCTIONS = ("add", "sub", "mul", "div", "exp", "log", "sqrt", "square", "sin", "cos")
RECOVERED = 1e-8
"""A formula counts as recovered if its error, in units of the label's variance, is below this."""


class Line(NamedTuple):
    """The linear scaling that turns an expression's values into predictions."""

    slope: Scalar
    intercept: Scalar


@dataclasses.dataclass(frozen=True)
class SymbolicRegression(Problem):
    """Find a formula for a label from the other columns of a table.

    ω is an expression of the columns. Fitness, to be minimised, is the mean squared error on the points to fit, in
    units of the label's variance there: 1 - R², 1 for the best constant. A formula with a non-finite value at any
    point fails. :meth:`evaluate_test` evaluates on held-out points with the slope and intercept fitted on the others.

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
        csv: path of a CSV file with a header and a number in every cell, used instead of a built-in formula.
        label: the column to predict; empty: the last one.
        functions: names of the functions in formulas: ``add``, ``sub``, ``mul``, ``div``, ``exp``, ``log``, ``sqrt``,
            ``square``, ``sin``, ``cos``, ``neg``, ``tanh``, ``min``, ``max``, ``sign``, ``less``, ``if_then_else``;
            empty: the usual ones for the target.
        max_size: maximum number of nodes of a formula.
        linear_scaling: evaluate a + b · ω with the best a and b, in closed form (Keijzer 2003). On by default: the
            search then looks for a shape, independent of the label's units, and no candidate fails for lack of a
            constant factor. To recover an exact formula whose factors can be expressed, switch it off: approximate
            scaled shapes are found early and displace it.
        cases: C, number of blocks into which the points are divided along the first column; their mean squared errors,
            in units of the variance, are the ``objectives`` for lexicase selection; 0: none.
        held_out: fraction of a CSV file's rows that is held out.
        seed: seed of the points, or of the choice of held-out rows.

    Raises:
        ConfigurationError: an unknown target, function or label; a file that is not a table of finite numbers; too few
            rows; a constant label; more cases than points.
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
    max_size: int = 31
    linear_scaling: bool = True
    cases: int = 0
    held_out: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        for name, given, known in (("target", (self.target,), FORMULAS), ("functions", self.functions, FUNCTIONS)):
            unknown = [one for one in given if one not in known]
            if unknown:
                raise ConfigurationError(
                    f"SymbolicRegression expects {name} that it knows, got {unknown[0]!r}. {nearest(unknown[0], known)}"
                )
        if not 0 < self.held_out < 1 or self.seed < 0:
            raise ConfigurationError(
                "SymbolicRegression expects held_out between 0 and 1 and seed >= 0, "
                f"got held_out={self.held_out} and seed={self.seed}."
            )
        if self.label and not self.csv:
            raise ConfigurationError("SymbolicRegression expects a label only with a csv, whose column it names.")
        for points in self.parts:
            if not np.ptp(points.label) > 0:
                raise ConfigurationError(
                    "SymbolicRegression expects a label that takes at least 2 values among the rows to fit and among "
                    f"those held out, got only {points.label[0]}; give other rows or another held_out."
                )
        count = len(self.parts[0].label)
        if not 0 <= self.cases <= count:
            raise ConfigurationError(
                f"SymbolicRegression expects cases from 0 to the number of points, {count}, got {self.cases}."
            )

    @functools.cached_property
    def parts(self) -> tuple[Points, Points]:
        """The points to fit, and the held-out ones."""
        if not self.csv:
            fitted, other = (FORMULAS[self.target].draw(self.seed, held_out=held_out) for held_out in (False, True))
        else:
            table = read_table(self.csv)
            place = column_of(table, self.label) if self.label else len(table.names) - 1
            rows = np.random.default_rng(self.seed).permutation(len(table.values))
            cut = min(max(round(self.held_out * len(rows)), 1), len(rows) - 1)
            columns, label = np.delete(table.values, place, axis=1).T, table.values[:, place]
            fitted, other = (Points(columns[:, part], label[part]) for part in (rows[cut:], rows[:cut]))
        order = np.argsort(fitted.columns[0], kind="stable")
        return Points(fitted.columns[:, order], fitted.label[order]), other

    @functools.cached_property
    def primitives(self) -> PrimitiveSet:
        """The columns, functions and constants that formulas consist of."""
        formula = FORMULAS[self.target]
        functions = self.functions or (CSV_FUNCTIONS if self.csv else formula.functions)
        arguments, ephemeral = formula.arguments, formula.ephemeral
        if self.csv:
            table = read_table(self.csv)
            place = column_of(table, self.label) if self.label else len(table.names) - 1
            names = table.names[:place] + table.names[place + 1 :]
            arguments, ephemeral = identifiers(names, set(FUNCTIONS)), 1.0
        return PrimitiveSet(arguments, tuple(FUNCTIONS[name] for name in functions), ephemeral=ephemeral)

    @functools.cached_property
    def space(self) -> Expression:
        """Expressions of the columns, compared at up to 64 of the points to fit."""
        columns = self.parts[0].columns
        some = np.linspace(0, columns.shape[1] - 1, min(64, columns.shape[1])).astype(int)
        return Expression(self.primitives, self.max_size, points=tuple(columns[:, some]))

    def evaluate(self, key: Key, omega: Program) -> Evaluation:
        """Evaluate a formula on the points to fit."""
        return self._fitted(omega(*_arrays(self.parts[0].columns)))

    def evaluate_population(self, key: Key, omegas: Program) -> Evaluation:
        """Evaluate formulas ``[P, ...]`` on the points to fit."""
        evaluation: Evaluation = omegas.each(self._fitted, *_arrays(self.parts[0].columns))
        return evaluation

    def _fitted(self, values: jax.Array) -> Evaluation:
        fitted = self.parts[0]
        errors = _errors(values, self._line(values), fitted)
        return self._evaluation(errors, fitted, self._blocks(errors) if self.cases else None)

    def evaluate_test(self, key: Key, omega: Program) -> Evaluation:
        """Evaluate a formula on the held-out points, with the scaling fitted on the points to fit."""
        held_out = self.parts[1]
        return self._evaluation(_errors(omega(*_arrays(held_out.columns)), self.line(omega), held_out), held_out)

    def line(self, omega: Program) -> Line:
        """Return the slope and intercept with the least squared error; 1 and 0 without linear scaling."""
        return self._line(omega(*_arrays(self.parts[0].columns)))

    def _line(self, values: jax.Array) -> Line:
        if not self.linear_scaling:
            return Line(jnp.ones((), values.dtype), jnp.zeros((), values.dtype))
        label = self.parts[0].label
        mean = jnp.mean(values)
        centred = values - mean
        variance = jnp.mean(centred**2)
        # Values that vary only by rounding are constant.
        varies = variance > (8 * jnp.finfo(values.dtype).eps) ** 2 * mean**2
        covariance = jnp.mean(centred * jnp.asarray(label - label.mean(), values.dtype))
        slope = jnp.where(varies, covariance / jnp.where(varies, variance, 1.0), 0.0)
        return Line(slope, label.mean() - slope * mean)

    def _evaluation(self, errors: jax.Array, points: Points, objectives: Any = None) -> Evaluation:
        fitness = jnp.mean(errors**2)
        hits = jnp.mean(jnp.abs(errors) * points.label.std() <= 0.01, dtype=errors.dtype)
        recovered = (fitness < RECOVERED).astype(errors.dtype)
        return Evaluation(fitness, {"r2": 1 - fitness, "hits": hits, "recovered": recovered}, objectives=objectives)

    def _blocks(self, errors: jax.Array) -> jax.Array:
        count = errors.shape[0]
        block = np.arange(count) * self.cases // count
        members = block[None, :] == np.arange(self.cases)[:, None]
        weights = members / members.sum(axis=1, keepdims=True)
        return jnp.sum(jnp.asarray(weights, errors.dtype) * errors**2, axis=1)


def _arrays(columns: Any) -> tuple[jax.Array, ...]:
    return tuple(jnp.asarray(column, jnp.result_type(float)) for column in columns)


def _errors(values: jax.Array, line: Line, points: Points) -> jax.Array:
    """Return the errors at points ``[N]``, in standard deviations of the label."""
    predicted = line.slope * values + line.intercept
    return jnp.divide(predicted - jnp.asarray(points.label, values.dtype), points.label.std())
