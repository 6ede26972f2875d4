"""A target counts as reached where it is reached on fresh tasks too, and asking costs a bounded part of a search."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, HostProblem, Problem, Search, Space
from evometa.strategies import CMAES, RandomSearch

QUIET: dict[str, Any] = {"progress": False, "devices": 1}


@dataclasses.dataclass(frozen=True)
class Noisy(Problem):
    """|ω|², below 0 by luck alone."""

    noise: float = 1.0

    @property
    def space(self) -> Space:
        return Box((2,), -3.0, 3.0, start=[2.0, 2.0])

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum(omega**2) + (self.noise * jax.random.normal(key) if self.noise else 0.0)


@pytest.mark.parametrize("strategy", [RandomSearch(8), CMAES(8)])
def test_luck_reaches_no_target(strategy: Any) -> None:
    result = Search(Noisy(), strategy, **QUIET).run(generations=200, target=-1.0)
    assert (result.stop_code, result.generations) == ("generations", 200)
    assert result.best_fitness < -1.0
    assert result.validation_evaluations < 0.5 * result.evaluations  # a half of it by validations and selection


@pytest.mark.parametrize("options", [{}, {"validation_tasks": 64}, {"validation_share": 0.0}])
def test_a_target_that_the_center_reaches_ends_the_search(options: dict[str, Any]) -> None:
    result = Search(Noisy(0.3), CMAES(16), **QUIET, **options).run(generations=300, target=0.5)
    assert result.stop_code == "target"
    assert np.sum(np.asarray(result.center_omega) ** 2) < 1.0
    assert options.get("validation_share") == 0.0 or result.center_fitness <= 0.5
    assert result.generations > 1


def test_without_noise_the_first_that_is_as_good_ends_the_search() -> None:
    search = Search(Noisy(0.0), RandomSearch(8), **QUIET)
    result = search.run(generations=100, target=0.5)
    assert result.stop_code == "target"
    assert result.validation_evaluations <= 2
    assert (search.history["best_so_far"][:-1] > 0.5).all()


@dataclasses.dataclass(frozen=True)
class Drawing(HostProblem):
    """Plain Python that draws random numbers without saying how many calls an evaluation needs."""

    @property
    def space(self) -> Space:
        return Box((1,), -1.0, 1.0)

    def evaluate(self, rng: Any, omega: Any) -> float:
        return float(omega[0] ** 2 + rng.normal())


def test_a_plain_problem_that_draws_is_validated_by_several_calls() -> None:
    result = Search(Drawing(), RandomSearch(8), workers=1, progress=False).run(generations=30, target=-1.0)
    assert (result.stop_code, result.selection_tasks) == ("generations", 16)
    assert result.selected_fitness > -0.8
