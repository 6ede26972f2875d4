"""A start that the user gave is evaluated once, and counts."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Dict, Problem, Search, Space
from evometa.strategies import BIPOPCMAES, CMAES, GeneticAlgorithm, RandomSearch


@dataclasses.dataclass(frozen=True)
class Known(Problem):
    """A bowl whose optimum, with fitness 0, may be given as the start."""

    given: bool = True

    @property
    def space(self) -> Space:
        return Dict({"x": Box((8,), -5.0, 5.0, start=np.zeros(8) if self.given else None)})

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(omega["x"] ** 2)


@pytest.mark.parametrize(
    ("strategy", "extra"), [(CMAES(4), 1), (BIPOPCMAES(4), 1), (RandomSearch(4), 1), (GeneticAlgorithm(4), 0)]
)
def test_a_given_start_is_evaluated_once_and_counts(strategy: Any, extra: int) -> None:
    search = Search(Known(), strategy, seed=1, progress=False)
    result = search.run(generations=2)
    assert result.best_fitness == result.selected_fitness == 0.0
    np.testing.assert_array_equal(result.best_omega["x"], np.zeros(8))
    assert search.history["evaluations"].tolist() == [4 + extra, 8 + extra]
    assert search.history["best_so_far"].tolist() == [0.0, 0.0]
    assert search.run(generations=3).evaluations == 12 + extra


def test_a_start_that_reaches_the_target_ends_the_search_and_without_one_nothing_is_added() -> None:
    result = Search(Known(), CMAES(4), progress=False).run(generations=2, target=0.0)
    assert (result.generations, result.evaluations, result.stop_code) == (0, 1, "target")
    assert Search(Known(given=False), CMAES(4), progress=False).run(generations=1).evaluations == 4
