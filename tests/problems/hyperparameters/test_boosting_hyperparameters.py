"""Gradient boosting as a base learner: the numbers are those of scikit-learn, and the held-out part stays held out."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import jax
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

from evometa import ConfigurationError
from evometa.problems.hyperparameters.boosting_hyperparameters import BoostingHyperparameters, split

DATA_SETS: list[Literal["breast_cancer", "diabetes"]] = ["breast_cancer", "diabetes"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker process; threads that wait for each other on a busy machine take many times as long."""
    with threadpool_limits(1):
        yield


def small(**changes: float) -> dict[str, np.float32]:
    omega = {"learning_rate": 0.2, "trees": 10.4, "leaves": 7.6, "min_samples_leaf": 5, "l2": 0.5}
    return {name: np.float32(value) for name, value in (omega | {"feature_fraction": 1.0} | changes).items()}


def model(data_set: str, min_samples_leaf: int = 5) -> Any:
    kind = HistGradientBoostingClassifier if data_set == "breast_cancer" else HistGradientBoostingRegressor
    return kind(
        learning_rate=float(np.float32(0.2)),
        max_iter=10,
        max_leaf_nodes=8,
        min_samples_leaf=min_samples_leaf,
        l2_regularization=0.5,
        early_stopping=False,
    )


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_held_out_evaluation_is_scikit_learns_own(data_set: Literal["breast_cancer", "diabetes"]) -> None:
    x, y, x_test, y_test = split(data_set)
    fitted = model(data_set).fit(x, y)
    evaluated = BoostingHyperparameters(data_set=data_set).evaluate_test(np.random.default_rng(0), small())
    if data_set == "breast_cancer":
        expected = log_loss(y_test, fitted.predict_proba(x_test))
    else:
        expected = np.mean((fitted.predict(x_test) - y_test) ** 2) / np.var(y)
    assert evaluated.fitness == pytest.approx(expected, rel=1e-9)
    assert evaluated.metrics == {"score": pytest.approx(fitted.score(x_test, y_test), rel=1e-9)}


def test_fitness_is_the_loss_of_the_left_out_folds() -> None:
    x, y, _, _ = split("diabetes")
    # One fold for each example leaves no choice of folds, so that the expected value is independent of the generator.
    rows = slice(None, None, 24)
    predicted = cross_val_predict(model("diabetes", 2), x[rows], y[rows], cv=len(y[rows]))
    expected = np.mean((predicted - y[rows]) ** 2)
    problem = BoostingHyperparameters(data_set="diabetes", folds=len(y[rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "evometa.problems.hyperparameters.boosting_hyperparameters.split",
            lambda name: split(name)._replace(x=x[rows], y=y[rows]),
        )
        evaluated = problem.evaluate(np.random.default_rng(0), small(min_samples_leaf=2))
    assert evaluated.fitness == pytest.approx(expected / np.var(y[rows]), rel=1e-9)


def test_the_generator_decides_folds_and_features_and_nothing_else_does() -> None:
    problem = BoostingHyperparameters()

    def fitness(seed: int) -> Any:
        return problem.evaluate(np.random.default_rng(seed), small(feature_fraction=0.3)).fitness

    assert fitness(1) == fitness(1)
    assert fitness(1) != fitness(2)


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_the_parts_share_no_example(data_set: Literal["breast_cancer", "diabetes"]) -> None:
    parts = split(data_set)
    rows = {row.tobytes() for row in parts.x}
    assert len(parts.x) + len(parts.x_test) == {"breast_cancer": 569, "diabetes": 442}[data_set]
    assert not any(row.tobytes() in rows for row in parts.x_test)


def test_every_corner_of_the_space_can_be_evaluated() -> None:
    problem = dataclasses.replace(BoostingHyperparameters(), folds=2)
    space = problem.space
    assert space.continuous
    lower, upper, *_ = space.coordinates
    for corner in (lower, upper):
        omega = jax.device_get(space.decode(jax.numpy.asarray(corner, "float32"))) | {"trees": np.float32(5)}
        assert np.isfinite(problem.evaluate(np.random.default_rng(0), omega).fitness)


def test_the_search_starts_at_scikit_learns_defaults() -> None:
    space = BoostingHyperparameters().space
    omega = jax.device_get(space.decode(space.start(jax.random.key(0))))
    expected = {"learning_rate": 0.1, "trees": 100, "leaves": 31, "min_samples_leaf": 20, "l2": 1e-3}
    assert {name: float(value) for name, value in omega.items()} == pytest.approx(
        expected | {"feature_fraction": 1.0}, rel=1e-5
    )


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'breast_cancer' or 'diabetes', got 'iris'"):
        BoostingHyperparameters(data_set="iris")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="to be a whole number from 2 to 50, got 1"):
        BoostingHyperparameters(folds=1)
    with pytest.raises(ConfigurationError, match=r"time_limit .* to be a number above 0 or None, got 0.0"):
        BoostingHyperparameters(time_limit=0.0)
