"""Hyperparameters of gradient boosting: a learner that cannot be differentiated.

Branch of meta-learning: hyperparameter optimisation, here of a learner whose training is a sequence of discrete splits.
No gradient passes through it, and evolution needs none.
"""

import dataclasses
import functools
import math
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.problem import Evaluation, HostProblem
from evometa.settings import Range
from evometa.spaces import Box, Dict
from evometa.types import Omega

# scikit-learn is imported inside functions: importing it takes a second, which listing the problems should not cost.

MOST_TREES = 150
MOST_LEAVES = 32


class Split(NamedTuple):
    """A data set split in two: ``[N, F]`` features and ``[N]`` targets for the search, and the same held out."""

    x: NDArray[np.float64]
    y: NDArray[Any]
    x_test: NDArray[np.float64]
    y_test: NDArray[Any]


@dataclasses.dataclass(frozen=True)
class BoostingHyperparameters(HostProblem):
    """Tune scikit-learn's histogram gradient boosting by cross-validation.

    ω is a dict of six real numbers, so that strategies for real vectors can search it; ``trees``, ``leaves`` and
    ``min_samples_leaf`` are rounded to integers when the model is built. A search starts at scikit-learn's defaults
    (with the lower bound of ``l2`` instead of 0). The folds, and the features considered at each split, are drawn anew
    in each generation, the same for all candidates, so that a search cannot overfit one set of folds.

    Fitness, to be minimised, comes from the predictions for the left-out folds of the training part (70 %): log-loss
    in nats for ``breast_cancer`` (569 examples, 30 features), squared error in units of the target's variance in the
    training part for ``diabetes`` (442 examples, 10 features). The metric ``score`` is scikit-learn's score:
    the accuracy, or R². ``evaluate_test`` trains on the whole training part and evaluates on the remaining 30 %, which
    the search never sees.

    Paper: Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics, 2001.

    Args:
        data_set: a data set bundled with scikit-learn.
        folds: number of folds of the cross-validation, at least 2.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="hyperparameters",
        omega="six hyperparameters of boosting",
        learner="scikit-learn's gradient boosting",
        paper="Friedman 2001",
        recipe=Recipe("CMAES", {"population_size": 12}, {"seconds": 60}),
    )

    metric_names: ClassVar[tuple[str, ...]] = ("score",)

    data_set: Literal["breast_cancer", "diabetes"] = "breast_cancer"
    folds: Annotated[int, Range(least=2, most=50)] = 3

    @property
    def space(self) -> Dict:
        """Six numbers, all but ``feature_fraction`` on a logarithmic scale."""
        return Dict(
            {
                "learning_rate": Box(low=0.005, high=1.0, log=True, start=0.1),
                "trees": Box(low=5, high=MOST_TREES, log=True, start=100),
                "leaves": Box(low=2, high=MOST_LEAVES, log=True, start=31),
                "min_samples_leaf": Box(low=1, high=60, log=True, start=20),
                "l2": Box(low=1e-3, high=100.0, log=True, start=1e-3),
                "feature_fraction": Box(low=0.1, high=1.0, start=1.0),
            }
        )

    def evaluate(self, rng: np.random.Generator, omega: Omega) -> Evaluation:
        """Return the cross-validated loss on the training part, with its score."""
        from sklearn.model_selection import KFold, StratifiedKFold

        x, y, _, _ = split(self.data_set)
        kind = StratifiedKFold if self.data_set == "breast_cancer" else KFold
        folds = kind(self.folds, shuffle=True, random_state=_seed(rng)).split(x, y)
        seed = _seed(rng)
        predicted = np.empty(len(y))
        for train, left_out in folds:
            predicted[left_out] = self._predict(omega, seed, x[train], y[train], x[left_out])
        return self._score(y, predicted)

    def evaluate_test(self, rng: np.random.Generator, omega: Omega) -> Evaluation:
        """Return the loss on the held-out part after training on the whole training part."""
        x, y, x_test, y_test = split(self.data_set)
        return self._score(y_test, self._predict(omega, _seed(rng), x, y, x_test))

    def _predict(
        self, omega: Omega, seed: int, x: NDArray[np.float64], y: NDArray[Any], x_new: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return, for each new example, the probability of class 1 or the target."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        settings = {
            "learning_rate": float(omega["learning_rate"]),
            "max_iter": round(float(omega["trees"])),
            "max_leaf_nodes": round(float(omega["leaves"])),
            "min_samples_leaf": round(float(omega["min_samples_leaf"])),
            "l2_regularization": float(omega["l2"]),
            "max_features": min(1.0, float(omega["feature_fraction"])),
            "early_stopping": False,
            "random_state": seed,
        }
        if self.data_set == "breast_cancer":
            probabilities = HistGradientBoostingClassifier(**settings).fit(x, y).predict_proba(x_new)
            return np.asarray(probabilities[:, 1], np.float64)
        return np.asarray(HistGradientBoostingRegressor(**settings).fit(x, y).predict(x_new), np.float64)

    def _score(self, y: NDArray[Any], predicted: NDArray[np.float64]) -> Evaluation:
        if self.data_set == "breast_cancer":
            right = np.where(y == 1, predicted, 1.0 - predicted)
            # A confident mistake costs 16 nats at most; a probability rounded to 0 would cost infinitely many.
            loss = -np.mean(np.log(np.maximum(right, math.exp(-16.0))))
            return Evaluation(float(loss), {"score": float(np.mean(right > 0.5))})
        error = np.mean((predicted - y) ** 2)
        return Evaluation(float(error / np.var(split(self.data_set).y)), {"score": float(1.0 - error / np.var(y))})


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


@functools.cache
def split(data_set: Literal["breast_cancer", "diabetes"]) -> Split:
    """Load a data set and split it, always in the same way."""
    from sklearn.datasets import load_breast_cancer, load_diabetes
    from sklearn.model_selection import train_test_split

    classes = data_set == "breast_cancer"
    x, y = (load_breast_cancer if classes else load_diabetes)(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y if classes else None)
    return Split(x, y, x_test, y_test)
