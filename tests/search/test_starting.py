"""A start that the user gave is evaluated once, and counted."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, Dict, Evaluation, HostProblem, Like, Problem, Search, Space
from evometa.expressions import Tree, text
from evometa.problems import XOR, SymbolicRegression
from evometa.search.starting import encoded
from evometa.strategies import (
    BIPOPCMAES,
    CMAES,
    NEAT,
    AgedEvolution,
    GeneticAlgorithm,
    GeneticProgramming,
    RandomSearch,
)


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


@dataclasses.dataclass(frozen=True)
class Shifted(Problem):
    """A bowl around 1 that fails where the first number is below -4 with the constraint that it is below 3."""

    constrained: bool = False

    @property
    def space(self) -> Space:
        return Box((2,), -5.0, 5.0)

    def evaluate(self, key: Any, omega: Any) -> Any:
        fitness = jnp.where(omega[0] < -4, jnp.nan, jnp.sum((omega - 1) ** 2))
        return Evaluation(fitness, constraints=omega[:1] - 3) if self.constrained else fitness


POINTS = [[-4.5, 0.0], [4.0, 4.0], [1.0, 2.0]]


@pytest.mark.parametrize(("strategy", "extra"), [(GeneticAlgorithm(4), 0), (AgedEvolution(4), 0), (RandomSearch(4), 3)])
def test_initial_points_are_the_first_of_a_population_or_evaluated_before_it(strategy: Any, extra: int) -> None:
    search = Search(Shifted(), strategy, initial=POINTS, progress=False)
    state = search.run(generations=1)
    assert search.history["evaluations"].tolist() == [4 + extra]
    assert search.history["failed"].sum() >= (extra == 0)
    assert state.best_fitness <= 1.0
    if not extra:
        members = jax.tree.leaves(search._run.state.strategy)[0]
        np.testing.assert_allclose(members[:3] * 10.0, POINTS, rtol=1e-5)


@pytest.mark.parametrize("constrained", [False, True])
def test_a_search_distribution_begins_at_the_best_initial_point(constrained: bool) -> None:
    points = [*POINTS, [3.5, 1.0]] if constrained else POINTS
    search = Search(Shifted(constrained), CMAES(4, sigma=1e-6), initial=points, progress=False)
    result = search.run(generations=1)
    assert search.history["evaluations"].tolist() == [4 + len(points)]
    np.testing.assert_allclose(result.best_omega, [1.0, 2.0], atol=1e-3)
    np.testing.assert_allclose(search.history["median"], 1.0, atol=1e-3)


def test_initial_points_keep_to_the_limit_of_evaluations() -> None:
    result = Search(Shifted(), RandomSearch(3), initial=POINTS, finalists=0, progress=False).run(evaluations=6)
    assert (result.generations, result.evaluations) == (0, 2)
    np.testing.assert_allclose(result.best_fitness, 18.0, rtol=1e-5)


def test_a_resumed_run_has_its_initial_points(tmp_path: Path) -> None:
    whole = Search(Shifted(), GeneticAlgorithm(4), initial=np.array(POINTS), progress=False)
    whole.run(generations=3)
    Search(Shifted(), GeneticAlgorithm(4), initial=POINTS, run_directory=tmp_path / "run", progress=False).run(
        generations=1
    )
    resumed = Search.resume(tmp_path / "run", progress=False)
    resumed.run(generations=3)
    np.testing.assert_allclose(resumed.history["best"], whole.history["best"], rtol=1e-6)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    again = Search.resume(tmp_path / "run", progress=False)
    again.run(generations=3)
    np.testing.assert_allclose(again.history["best"], whole.history["best"], rtol=1e-6)
    with pytest.raises(ConfigurationError, match="keeps the run's own initial"):
        Search.resume(tmp_path / "run", initial=POINTS)


def test_draws_stay_those_of_a_space_around_a_template() -> None:
    space = Like(np.full(2, 7.0)).starting_at(np.zeros((3, 2)))
    key = jax.random.key(0)
    np.testing.assert_array_equal(space.sample(key), Like(np.full(2, 7.0)).sample(key))
    assert space.without_start().starts is None


@pytest.mark.parametrize(
    ("initial", "words"),
    [
        ([[0.0, 9.0]], r"initial\[0\] to be an ω of the space: Box expects its start inside"),
        ([[0.0, 0.0], {"x": 1}], r"initial\[1\] to be an ω of the space"),
        ([0.0, 1.0], r"initial\[0\] to be an ω of shape \(2,\), got shape \(\)"),
        ({"x": 1}, "initial as a list of ω, got a dict"),
        (1.0, "initial as a list of ω, got a float"),
        (np.zeros((5, 2)), "at most as many points as the population has candidates, 4, got 5"),
    ],
)
def test_wrong_initial_points_are_refused_in_a_sentence(initial: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Search(Shifted(), CMAES(4), initial=initial)
    with pytest.raises(ConfigurationError, match=words.replace("initial", "start")):
        Search(Shifted(), CMAES(4), start=initial)


@dataclasses.dataclass(frozen=True)
class Host(HostProblem):
    """The same bowl in plain Python."""

    @property
    def space(self) -> Space:
        return Box((2,), -5.0, 5.0)

    def evaluate(self, rng: Any, omega: Any) -> float:
        return float(np.sum((omega - 1) ** 2)) if omega[0] > -4 else float("nan")


def test_initial_points_of_a_plain_python_problem() -> None:
    search = Search(Host(), CMAES(4, sigma=1e-6), initial=POINTS, workers=1, progress=False)
    result = search.run(generations=1)
    assert result.evaluations == 7
    assert search._run.state is not None
    assert np.asarray(search._run.state.best_fitness).dtype == np.float64
    np.testing.assert_allclose(result.best_omega, [1.0, 2.0], atol=1e-3)


def first_members(strategy: Any, space: Any, initial: list[Any]) -> Any:
    begins, key = space.starting_at(encoded(space, initial, strategy.population_size)), jax.random.key(0)
    return jax.jit(lambda: strategy.ask(key, strategy.init(key, begins))[0])()


def test_initial_expressions_are_the_first_members() -> None:
    problem = SymbolicRegression(max_size=7)
    space, (first, second, third) = problem.space, ("add(x, mul(x, x))", "sin(x)", "x")
    given = [first, space.decode(space.encode(second)), space.encode(third)]  # as text, as found, as a tree
    members = first_members(GeneticProgramming(6, proposals=1), space, given)
    found = [text(problem.primitives, Tree(*row)) for row in zip(*members, strict=True)]
    assert found[:3] == [first, second, third]
    for wrong, words in (("nonsense(x)", "nonsense"), (3.0, "as text such as 'add")):
        with pytest.raises(ConfigurationError, match=rf"initial\[0\] to be an ω of the space: .*{words}"):
            Search(problem, GeneticProgramming(6), initial=[wrong])


def test_initial_networks_are_genomes() -> None:
    space = XOR().space
    genome = jax.jit(lambda: space.mutate(jax.random.key(1), space.sample(jax.random.key(0))))()
    members = first_members(NEAT(4), space, [genome])
    for all_, one in zip(members, genome, strict=True):
        np.testing.assert_array_equal(all_[0], one)
    with pytest.raises(ConfigurationError, match="a Genome of the space, such as sample or mutate return"):
        Search(XOR(), NEAT(4), initial=[jax.jit(space.decode)(genome)])
