"""Formulas as estimators of scikit-learn: its own checks, and what is ours."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from evometa.interop.formula_search import _programs
from evometa.interop.sklearn import SymbolicClassifier, SymbolicRegressor

SMALL: dict[str, Any] = {
    "functions": ("add", "mul", "square"),
    "max_size": 7,
    "population_size": 16,
    "generations": 20,
    "random_state": 0,
}


@parametrize_with_checks([SymbolicRegressor(**SMALL), SymbolicClassifier(**SMALL)])
def test_keeps_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def table(columns: int, rows: int = 60) -> Any:
    return np.random.default_rng(columns).normal(size=(rows, columns))


def test_finds_a_formula_in_the_units_of_named_columns() -> None:
    x = table(2)
    seconds = 1.7e9 + np.round(100 * x[:, 1])  # of which single precision keeps nothing
    frame = pd.DataFrame({"the load": x[:, 0], "time": seconds})
    for label, at, value in (
        (0.02 * (seconds - 1.7e9) - 1.0, {"time": 1_700_000_050.0}, 0.0),
        (3.0 * x[:, 0] ** 2 - 1.0, {"the_load": 2.0}, 11.0),
    ):
        model = SymbolicRegressor(**SMALL).fit(frame, label)
        assert np.allclose(model.predict(frame), label, rtol=0, atol=1e-5)
        assert model.score(frame, label) > 1 - 1e-9
        symbols = {sympy.Symbol(name, real=True): number for name, number in at.items()}
        assert float(model.sympy().evalf(30, subs=symbols)) == pytest.approx(value, abs=1e-4)
        assert eval(model.formula, {**at, "square": np.square}) == pytest.approx(value, abs=1e-4)
        assert clone(model).fit(frame, label).formula == model.formula
    assert r"\mathrm{the\_load}" in model.latex()


def test_rows_without_weight_do_not_count_and_constants_are_formulas() -> None:
    x = table(2)
    label = x[:, 0] * x[:, 1]
    spoilt, weights = label.copy(), np.ones(len(x))
    spoilt[::7], weights[::7] = 50.0, 0.0
    model = SymbolicRegressor(**SMALL).fit(x, spoilt, sample_weight=weights)
    assert np.allclose(model.predict(x), label, atol=1e-5)
    assert SymbolicRegressor(**SMALL).fit(x, np.full(len(x), 2.5)).formula == "2.5"


def test_nodes_have_a_price() -> None:
    x = table(2)
    label = x[:, 0] + 0.3 * x[:, 0] * x[:, 1]
    short, long = (SymbolicRegressor(**SMALL, parsimony=price).fit(x, label) for price in (1.0, 0.0))
    assert "x1" not in short.formula
    assert short.formula.count("x0") == 1
    assert long.score(x, label) > short.score(x, label)


def test_tables_of_about_one_size_share_a_program() -> None:
    model = SymbolicRegressor(**SMALL).fit(table(3), table(3)[:, 0])
    _, _, advance = _programs(8, model._settings())
    before = _programs.cache_info().misses, advance._cache_size()  # type: ignore[attr-defined]
    model.fit(table(4, 100), table(4, 100)[:, 3])
    assert (_programs.cache_info().misses, advance._cache_size()) == before  # type: ignore[attr-defined]
    assert np.allclose(model.predict(table(4)), table(4)[:, 3], atol=1e-5)


def test_two_classes_have_one_formula_of_log_odds() -> None:
    x = table(2, 120)
    chance = expit(6 * (x[:, 0] ** 2 - 1.0))
    label = np.where(np.random.default_rng(0).uniform(size=len(x)) < chance, "far", "close")
    model = SymbolicClassifier(**SMALL).fit(x, label)
    assert model.classes_.tolist() == ["close", "far"]
    assert list(model.formula) == ["far"]
    odds = eval(model.formula["far"], {"x0": x[:, 0], "x1": x[:, 1], "square": np.square})
    assert np.allclose(model.predict_proba(x)[:, 1], expit(odds))
    assert np.abs(model.predict_proba(x)[:, 1] - chance).mean() < 0.1
    assert model.score(x, label) > 0.85
    assert set(model.sympy()) == set(model.latex()) == {"far"}


def test_more_classes_have_a_formula_each() -> None:
    x = table(2, 120)
    label = np.digitize(x[:, 0] + x[:, 1], [-0.8, 0.8])
    model = SymbolicClassifier(**SMALL).fit(x, label)
    assert list(model.formula) == [0, 1, 2]
    assert model.score(x, label) > 0.9
    assert np.allclose(model.predict_proba(x).sum(axis=1), 1.0)


def test_what_does_not_fit_is_refused_in_words() -> None:
    x, y = table(2), table(2)[:, 0]
    for wrong, words in (
        ({"functions": ()}, "expects at least one function"),
        ({"functions": ("add", "sine")}, "expects functions that it knows, got 'sine'. Nearest: sin"),
        ({"population_size": 1}, "expects population_size to be a whole number of at least 2, got 1"),
        ({"parsimony": -1.0}, "expects parsimony to be a number of at least 0, got -1.0"),
        ({"generations": 2.5}, "expects generations to be a whole number of at least 1, got 2.5"),
    ):
        with pytest.raises(ValueError, match=words):
            SymbolicRegressor(**(SMALL | wrong)).fit(x, y)
    with pytest.raises(ValueError, match="rows of at least 2 classes"):
        SymbolicClassifier(**SMALL).fit(x, np.zeros(len(x)))
