"""A problem in plain Python: tune scikit-learn's support vector machine in worker processes.

python examples/own_host_problem.py
"""

import dataclasses
from typing import Any

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import evometa as em


@dataclasses.dataclass(frozen=True)
class SupportVectors(em.HostProblem):
    """Maximise the cross-validated accuracy on the wine data over C and γ (gamma)."""

    direction = "maximize"

    folds: int = 4

    @property
    def space(self) -> em.Space:
        """Two positive numbers, searched on a logarithmic scale."""
        return em.Dict({"C": em.Box((), 1e-2, 1e3, log=True), "gamma": em.Box((), 1e-5, 1e1, log=True)})

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        """Return the accuracy; the folds are the same for all candidates of a generation."""
        model = make_pipeline(StandardScaler(), SVC(C=float(omega["C"]), gamma=float(omega["gamma"])))
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=int(rng.integers(2**31)))
        x, y = load_wine(return_X_y=True)
        return float(np.mean(cross_val_score(model, x, y, cv=folds)))


def main(generations: int = 10, population_size: int = 16) -> em.Result:
    """Search, and print the result."""
    strategy = em.strategies.CMAES(population_size=population_size)
    result = em.Search(SupportVectors(time_limit=60.0), strategy, seed=0).run(generations=generations)
    omega = result.best_omega
    print(f"accuracy {result.best_fitness:.3f} with C={omega['C']:.3g}, gamma={omega['gamma']:.3g}")
    return result


if __name__ == "__main__":  # worker processes import this file: without this line each would start the search again
    main()
