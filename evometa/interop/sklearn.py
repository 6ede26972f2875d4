"""Estimators of scikit-learn that find formulas: ``SymbolicRegressor`` and ``SymbolicClassifier``."""

import math
import numbers
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from evometa.errors import nearest
from evometa.expressions import latex, python, to_sympy
from evometa.interop.formula_search import (
    Settings,
    Table,
    Values,
    found_formula,
    predicted,
    primitives_of,
    table_of,
    tree_of,
)
from evometa.problems.functions.csv_tables import identifiers
from evometa.problems.functions.formulas import FUNCTIONS
from evometa.problems.functions.scaling import Line, exact_line

USUAL = ("add", "sub", "mul", "div", "sqrt", "log", "square", "sin", "cos")


class _Symbolic(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators have in common."""

    def __init__(
        self,
        *,
        functions: tuple[str, ...] = USUAL,
        max_size: int = 31,
        population_size: int = 500,
        generations: int = 50,
        patience: int = 15,
        parsimony: float = 0.001,
        random_state: Any = None,
    ) -> None:
        self.functions = functions
        self.max_size = max_size
        self.population_size = population_size
        self.generations = generations
        self.patience = patience
        self.parsimony = parsimony
        self.random_state = random_state

    def _names(self) -> tuple[str, ...]:
        """Return the names of the columns as formulas have them."""
        given = getattr(self, "feature_names_in_", [f"x{number}" for number in range(self.n_features_in_)])
        return identifiers(tuple(map(str, given)), FUNCTIONS)

    def _settings(self) -> Settings:
        least = {"max_size": 1, "population_size": 2, "generations": 1, "patience": 1}
        for name, number in least.items():
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < number:
                raise ValueError(
                    f"{type(self).__name__} expects {name} to be a whole number of at least {number}, got {value!r}."
                )
        if not (isinstance(self.parsimony, numbers.Real) and 0 <= self.parsimony < math.inf):
            raise ValueError(
                f"{type(self).__name__} expects parsimony to be a number of at least 0, got {self.parsimony!r}."
            )
        if not len(self.functions):
            raise ValueError(f"{type(self).__name__} expects at least one function, got {self.functions!r}.")
        unknown = [name for name in self.functions if name not in FUNCTIONS]
        if unknown:
            raise ValueError(
                f"{type(self).__name__} expects functions that it knows, got {unknown[0]!r}. "
                f"{nearest(unknown[0], FUNCTIONS)}"
            )
        return Settings(tuple(self.functions), int(self.max_size), int(self.population_size), int(self.patience))

    def _found(self, table: Table, line: Any, seed: int) -> str:
        return found_formula(
            table,
            self._names(),
            self._settings(),
            line,
            parsimony=float(self.parsimony),
            generations=int(self.generations),
            seed=seed,
        )

    def _values(self, text: str, x: Values) -> Values:
        primitives = primitives_of(self._names(), tuple(self.functions))
        return predicted(primitives, tree_of(primitives, text), x.T)

    def _written(self, text: str, how: Any) -> Any:
        primitives = primitives_of(self._names(), tuple(self.functions))
        return how(primitives, tree_of(primitives, text))


class SymbolicRegressor(RegressorMixin, _Symbolic):  # type: ignore[misc]
    """Predict by a formula of the columns, found by genetic programming.

    Formulas are scored by the squared error of the best line through their values (Keijzer 2003), so that the search is
    for a shape; the line is part of the formula that is found. Formulas of the columns of a pandas or polars
    ``DataFrame`` have the columns' names. The search begins anew after some generations without a better formula, and
    ends early where one fits up to rounding. Equal rows are merged, so that weights and repetitions are the same.

    A fit compiles a program the first time; fits to as many columns and about as many rows (up to the next power of
    four) share it.

    Args:
        functions: names of the functions in formulas: add, sub, mul, div, pow, exp, log, sqrt, square, abs, neg, sin,
            cos, tan, tanh, min, max, sign.
        max_size: nodes of a formula, at most, besides the line and the units.
        population_size: formulas in a generation.
        generations: how many, at most.
        patience: generations without a better formula after which the search begins anew.
        parsimony: what a node of a formula costs, in units of the label's variance; more makes formulas shorter.
        random_state: an integer for the same formula every time.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Find a formula.

        Args:
            X: ``[N, A]``, finite numbers.
            y: ``[N]``.
            sample_weight: ``[N]``, what each row weighs in the squared error; rows of weight 0 are left out.
        """
        self._settings()
        x, label = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        table = table_of(x, label.astype(np.float64), weights)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self.formula_ = self._found(table, lambda values: exact_line(values, table.points), seed)
        return self

    def predict(self, X: ArrayLike) -> Values:
        """Return predictions ``[N]`` for ``[N, A]``, computed in double precision."""
        check_is_fitted(self)
        return self._values(self.formula_, validate_data(self, X, dtype=np.float64, reset=False))

    @property
    def formula(self) -> str:
        """The formula as Python, with operators; ``formula_`` is the same as calls, which evometa parses."""
        check_is_fitted(self)
        return str(self._written(self.formula_, python))

    def sympy(self) -> Any:
        """Return the formula as a SymPy expression of real symbols."""
        check_is_fitted(self)
        return self._written(self.formula_, to_sympy)

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        check_is_fitted(self)
        return str(self._written(self.formula_, latex))


class SymbolicClassifier(ClassifierMixin, _Symbolic):  # type: ignore[misc]
    """Classify by formulas of the columns, found by genetic programming.

    For two classes there is one formula, the log-odds of the second one of ``classes_``. For more there is one for each
    class against all others, and the probabilities are scaled to a sum of 1. A formula is searched by how well its
    values tell the class from the others by a straight line (as in :class:`SymbolicRegressor`); logistic regression on
    its values then makes log-odds of it. Other arguments and attributes are those of :class:`SymbolicRegressor`.
    """

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Find a formula for each class, or one where there are two.

        Args:
            X: ``[N, A]``, finite numbers.
            y: ``[N]``, classes of any type.
            sample_weight: ``[N]``, what each row weighs; rows of weight 0 are left out.
        """
        self._settings()
        x, classes = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(classes)
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        self.classes_, index = np.unique(classes, return_inverse=True)
        if len(np.unique(index[weights > 0])) < 2:
            raise ValueError("SymbolicClassifier expects rows of at least 2 classes, got one class.")
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self.formulas_ = [
            self._against_others(x, index == number, weights, seed)
            for number in range(len(self.classes_))
            if number > 0 or len(self.classes_) > 2
        ]
        return self

    def _against_others(self, x: Values, member: NDArray[np.bool_], weights: Values, seed: int) -> str:
        table = table_of(x, member.astype(np.float64), weights)
        return self._found(table, lambda values: _log_odds(values, table), seed)

    def predict_proba(self, X: ArrayLike) -> Values:
        """Return the probability of each class ``[N, classes]`` for ``[N, A]``."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        chances = np.stack([expit(self._values(text, x)) for text in self.formulas_], axis=1)
        if len(self.formulas_) == 1:
            return np.concatenate([1 - chances, chances], axis=1)
        chances = np.maximum(chances, np.finfo(np.float64).tiny)
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row, ``[N]``."""
        best = np.argmax(self.predict_proba(X), axis=1)
        return np.asarray(self.classes_[best])

    @property
    def formula(self) -> Mapping[Any, str]:
        """The log-odds of each class that has a formula, as Python with operators."""
        return self._each(python)

    def sympy(self) -> Mapping[Any, Any]:
        """Return them as SymPy expressions of real symbols."""
        return self._each(to_sympy)

    def latex(self) -> Mapping[Any, str]:
        """Return them as LaTeX."""
        return self._each(latex)

    def _each(self, how: Any) -> dict[Any, Any]:
        check_is_fitted(self)
        named = self.classes_[-len(self.formulas_) :].tolist()
        return {name: self._written(text, how) for name, text in zip(named, self.formulas_, strict=True)}


def _log_odds(values: Values, table: Table) -> Line:
    """Return the line from values ``[N]`` to the log-odds of the label 1."""
    mean = np.average(values, weights=table.weights)
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=table.weights)) or 1.0
    standard = (values - mean)[:, None] / deviation
    model = LogisticRegression(C=10.0).fit(standard, table.label > 0, table.weights * len(table.label))
    slope = model.coef_[0, 0] / deviation
    rounded = float(f"{slope:.9g}")
    return Line(rounded, float(f"{model.intercept_[0] - rounded * mean:.9g}"))
