"""NSGA-II: fronts, crowding, breeding between bounds, constraints, and whole searches."""

import dataclasses
import functools
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Evaluation, Problem, Search
from evometa.errors import ConfigurationError
from evometa.pareto import crowding, fronts
from evometa.problems import DTLZ2, ZDT1, Sphere
from evometa.spaces import Box, Categorical, Dict, Integer
from evometa.spaces.base import REAL
from evometa.storage import archive_file, history
from evometa.strategies import NSGA2
from evometa.strategies.shared.variation import polynomial_mutation, simulated_binary_crossover
from evometa.strategy import Feedback
from evometa.testing import check_strategy

QUIET: dict[str, Any] = {"progress": False, "devices": 1}
KEY = jax.random.key(0)


@pytest.mark.usefixtures("x64")
def test_searches_mixed_spaces() -> None:
    space = Dict({"x": Box((2,), low=0.0, high=1.0), "n": Integer(0, 9), "c": Categorical(4)})
    check_strategy(NSGA2(7), space)


def peeled(objectives: np.ndarray, violation: np.ndarray) -> list[int]:
    """Return fronts as the definition says, one candidate at a time."""

    def dominates(i: int, j: int) -> bool:
        if violation[i] != violation[j]:
            return bool(violation[i] < violation[j])
        if violation[i] > 0 or (objectives[i] == objectives[j]).all():
            return i < j
        return bool((objectives[i] <= objectives[j]).all())

    left, front = set(range(len(violation))), [0] * len(violation)
    for number in range(len(violation)):
        free = {j for j in left if not any(dominates(i, j) for i in left)}
        for j in free:
            front[j] = number
        left -= free
    return front


@pytest.mark.parametrize(("count", "objectives"), [(1, 2), (31, 2), (40, 3), (70, 5)])
def test_fronts_are_those_of_the_definition(count: int, objectives: int) -> None:
    # Few different values, so that ties and copies abound; a third violates constraints, some have failed.
    rng = np.random.default_rng(count)
    values = rng.integers(0, 4, (count, objectives)).astype(np.float32)
    violation = np.maximum(rng.integers(-5, 3, count), 0).astype(np.float32)
    failed = rng.random(count) < 0.1
    values[failed], violation[failed] = np.inf, np.inf
    found = jax.jit(fronts, static_argnums=2)(values, violation, count)
    assert found.tolist() == peeled(values, violation)


@pytest.mark.parametrize("enough", [3000, 700])
def test_many_candidates_are_sorted_into_the_same_fronts(enough: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 60, (3000, 2)).astype(np.float32)
    violation = np.maximum(rng.integers(-90, 10, 3000), 0).astype(np.float32)
    failed = rng.random(3000) < 0.05
    values[failed], violation[failed] = np.inf, np.inf
    # A third objective in which all are alike changes nothing, and is not for sorting.
    sort = jax.jit(fronts, static_argnums=2)
    by_bits = sort(np.pad(values, ((0, 0), (0, 1))), violation, enough)
    assert sort(values, violation, enough).tolist() == by_bits.tolist()


def test_fronts_are_left_unnumbered_once_there_are_enough() -> None:
    values = np.stack([np.arange(10.0), np.arange(10.0)], axis=1)
    assert jax.jit(fronts, static_argnums=2)(values, np.zeros(10), 3).tolist() == [0, 1, 2, *[10] * 7]


def test_crowding_by_hand() -> None:
    values = np.array([[0.0, 8.0], [9.0, 9.0], [1.0, 4.0], [4.0, 0.0], [3.0, 2.0], [10.0, 10.0]])
    found = jax.jit(crowding)(values, np.array([0, 1, 0, 0, 0, 6]))
    np.testing.assert_allclose(found, [np.inf, np.inf, 3 / 4 + 6 / 8, np.inf, 3 / 4 + 4 / 8, np.inf])


class Told(NamedTuple):
    """The first candidates, the state after telling evaluations of them, and what follows from it."""

    genotypes: Any
    state: Any
    diagnostics: Any
    children: Any
    asked: Any
    """The state that asked for the children."""


def told(strategy: NSGA2, space: Any, objectives: Any, constraints: Any = None) -> Told:
    @jax.jit
    def generation(values: Any) -> Told:
        genotypes, state = strategy.ask(KEY, strategy.init(KEY, space))
        feedback = Feedback(jnp.sum(values, axis=1), objectives=values, constraints=constraints)
        state = strategy.tell(KEY, state, genotypes, feedback)
        return Told(genotypes, state, strategy.diagnostics(state), *strategy.ask(KEY, state))

    return jax.device_get(generation(np.asarray(objectives, np.float32)))


def test_constraints_come_first_and_the_archive_holds_what_is_allowed() -> None:
    constraints = np.array([[-1.0, 0.0], [2.0, -9.0], [0.5, 0.5], [-1.0, -1.0]], np.float32)
    objectives = [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0], [1.0, 3.0]]
    genotypes, state, diagnostics, *_ = told(NSGA2(4), Box((3,), 0, 1), objectives, constraints)
    archive = NSGA2(4).archive(state)
    assert sorted(np.asarray(archive.genotypes[archive.occupied]).tolist()) == sorted(genotypes[[0, 3]].tolist())
    assert state.violation.tolist() == [0, 0, 1, 2]
    assert diagnostics["front"] == 2
    # Up to the worst of the first generation, (2, 3): nothing of the two held ones is strictly below it but 0 · 1.
    assert diagnostics["hypervolume"] == 0


def test_the_reference_point_is_the_worst_of_the_first_generation_or_given() -> None:
    objectives = [[1.0, 2.0], [3.0, 1.0], [np.inf, np.inf], [2.0, 2.0]]
    state = told(NSGA2(4), Box((3,), 0, 1), objectives).state
    assert state.reference.tolist() == [3.0, 2.0]
    worse = Feedback(np.ones(4, np.float32), objectives=np.full((4, 2), 9.0, np.float32))
    again = jax.jit(NSGA2(4).tell)(KEY, state, state.parents, worse)
    assert again.reference.tolist() == [3.0, 2.0]
    given = NSGA2(4, reference_point=(4.0, 4.0))
    assert told(given, Box((3,), 0, 1), objectives).diagnostics["hypervolume"] == 3 * 2 + 1 * 1


def test_more_than_three_objectives_have_no_hypervolume() -> None:
    strategy = NSGA2(4, objectives=4)
    assert list(told(strategy, Box((3,), 0, 1), np.ones((4, 4))).diagnostics) == ["front"]


def test_of_equals_the_newer_ones_survive() -> None:
    *_, children, state = told(NSGA2(6), Box((3,), 0, 1), np.ones((6, 2)))
    equal = Feedback(np.ones(6, np.float32), objectives=np.ones((6, 2), np.float32))
    state = jax.jit(NSGA2(6).tell)(KEY, state, children, equal)
    assert sorted(state.parents.tolist()) == sorted(children.tolist())
    assert sorted(state.front.tolist()) == list(range(6))


@pytest.mark.parametrize("bounds", [(None, None), (-0.2, 1.2)])
def test_crossover_keeps_the_middle_of_the_parents_and_the_bounds(bounds: tuple[Any, Any]) -> None:
    count = 4000
    space = Box((3,), *bounds)
    unit = 1.0 if bounds[0] is None else bounds[1] - bounds[0]
    first, second = np.zeros((count, 3), np.float32), np.full((count, 3), 1 / unit, np.float32)

    @functools.partial(jax.jit, static_argnums=1)
    def crossed_over(parents: Any, rate: float) -> Any:
        return simulated_binary_crossover(KEY, space.coordinates, parents, rate=rate, eta=2.0)

    children = np.asarray(crossed_over(np.stack([first, second]), 0.8))
    one, two = children[:count], children[count:]
    lower, upper = space.coordinates.lower, space.coordinates.upper
    assert (one >= lower - 1e-6).all()
    assert (one <= upper + 1e-6).all()
    crossed = one != first
    assert abs(crossed.mean() - 0.8 / 2) < 0.02
    # Everything is symmetric about the middle, also the bounds.
    np.testing.assert_allclose((one + two)[crossed], 1 / unit, atol=1e-5)
    assert abs(one[crossed].mean() - 0.5 / unit) < 0.02
    inside = ((one > 0) & (one < 1 / unit))[crossed]
    assert abs(inside.mean() - 0.5) < 0.03 or bounds[0] is not None  # contracting as often as expanding
    assert not np.any(crossed_over(np.stack([first, first]), 1.0))


@pytest.mark.parametrize("bounds", [(None, None), (2.0, 6.0)])
def test_mutation_changes_as_often_and_as_much_as_asked(bounds: tuple[Any, Any]) -> None:
    space = Box((10,), *bounds)
    before = jax.jit(jax.vmap(space.sample))(jax.random.split(KEY, 3000))
    after = jax.jit(lambda given: polynomial_mutation(KEY, space.coordinates, given, rate=0.2, eta=20.0))(before)
    change = np.asarray(after) - np.asarray(before)
    changed = change != 0
    assert abs(changed.mean() - 0.2) < 0.01
    assert (np.asarray(after) >= space.coordinates.lower).all()
    assert (np.asarray(after) <= space.coordinates.upper).all()
    # Without bounds E|δ| = 1 - E[(2u)^(1/21)] = 1 / 22.
    assert abs(np.abs(change[changed]).mean() - 1 / 22) < 0.005
    assert abs(change[changed].mean()) < 0.003


def test_children_keep_their_kind() -> None:
    space = Dict({"x": Box((3,), low=-1.0, high=1.0), "n": Integer(-5, 5, (3,)), "c": Categorical(3, (3,))})
    strategy = NSGA2(31)
    _, state, _, children, _ = told(strategy, space, np.random.default_rng(0).random((31, 2)))
    np.testing.assert_array_equal(children, jax.jit(jax.vmap(space.repair))(children))
    discrete = space.coordinates.kind != REAL
    parents = state.parents
    assert (children[:, ~discrete][:, None] != parents[:, ~discrete]).any()
    assert (children[:, discrete][:, None] != parents[:, discrete]).any(axis=2).all(axis=1).any()


def test_finds_the_front_of_zdt1() -> None:
    strategy = NSGA2(40, reference_point=(1.1, 1.1))
    search = Search(ZDT1(dimension=10), strategy, **QUIET)
    result = search.run(generations=150)
    assert search.history["strategy/hypervolume"][-1] > 0.86  # of 0.8766
    assert result.archive is not None
    assert result.archive.objectives is not None
    assert len(result.archive.fitness) > 35
    distance = result.archive.objectives[:, 1] - 1 + np.sqrt(result.archive.objectives[:, 0])
    assert distance.max() < 0.02
    np.testing.assert_allclose(result.archive.fitness, result.archive.objectives.sum(axis=1), rtol=1e-5)


@dataclasses.dataclass(frozen=True)
class Budget(Problem):
    """Maximise both of two numbers whose squares may not exceed 1 in sum."""

    direction = "maximize"

    @property
    def space(self) -> Box:
        return Box((2,), -3.0, 3.0)

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        return Evaluation(jnp.sum(omega), objectives=omega, constraints=jnp.array([jnp.sum(omega**2) - 1]))


def test_follows_the_edge_of_what_is_allowed() -> None:
    search = Search(Budget(), NSGA2(40, reference_point=(0.0, 0.0)), **QUIET)
    result = search.run(generations=100)
    assert result.archive is not None
    assert result.archive.objectives is not None
    radius = np.linalg.norm(result.archive.objectives, axis=1)
    assert radius.max() <= 1
    assert radius.min() > 0.98
    assert result.best_fitness <= np.sqrt(2)
    assert search.history["strategy/hypervolume"][-1] > 0.96 * np.pi / 4
    assert search.history["feasible"][0] < 0.3 < search.history["feasible"][-1]


def test_an_interrupted_search_ends_as_a_whole_one_and_leaves_its_front(tmp_path: Path) -> None:
    problem, strategy = DTLZ2(dimension=5), NSGA2(12, objectives=3)
    search = Search(problem, strategy, run_directory=tmp_path / "whole", **QUIET)
    search.run(generations=4)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    whole = search.run(generations=9)
    Search.resume(tmp_path / "cut", **QUIET).run(generations=9)
    for name in ("history.csv", "archive.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    assert whole.archive is not None
    np.testing.assert_array_equal(archive_file.read(tmp_path / "cut").objectives, whole.archive.objectives)
    volume = history.read(tmp_path / "cut")["strategy/hypervolume"]
    assert volume[-1] > 1.5 * volume[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        ({"objectives": 1}, "to be a whole number of at least 2, got 1"),
        ({"reference_point": (1.0,)}, "a reference_point of 2 numbers, one for each objective, got (1.0,)"),
        ({"crossover_rate": 1.1}, "to be a number from 0 to 1, got 1.1"),
        ({"mutation_rate": -0.1}, "to be a number from 0 to 1 or None, got -0.1"),
        ({"crossover_eta": 0.0}, "to be a number above 0, got 0.0"),
        ({"mutation_eta": -1.0}, "to be a number above 0, got -1.0"),
    ],
)
def test_refuses_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        NSGA2(**settings)


def test_refuses_problems_with_other_objectives() -> None:
    words = "NSGA2 expects 2 objectives, as its objectives say, and is given 3; change objectives, or the problem's"
    with pytest.raises(ConfigurationError, match=words):
        Search(DTLZ2(), NSGA2())
    with pytest.raises(ConfigurationError, match="NSGA2 requires objectives, and Sphere gives none"):
        Search(Sphere(), NSGA2())
    with pytest.raises(ConfigurationError, match="is given none"):
        jax.eval_shape(lambda: told_nothing(NSGA2(4)))


def told_nothing(strategy: NSGA2) -> Any:
    genotypes, state = strategy.ask(KEY, strategy.init(KEY, Box((2,))))
    return strategy.tell(KEY, state, genotypes, Feedback(jnp.zeros(4)))
