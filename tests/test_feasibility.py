"""Feasibility first: every strategy keeps constraints, over any space; one that ignores something is warned of."""

import dataclasses
import itertools
import re
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evometa as em
from evometa import Box, Evaluation, InnerTraining, Integer, Problem, Search
from evometa.evaluation.compatibility import vector_lengths, warn_of_ignored
from evometa.expressions import Expression, PrimitiveSet
from evometa.feasibility import penalised, ranked, worst_feasible
from evometa.naming import load
from evometa.objectives import Mean
from evometa.sharing.summary import selected
from evometa.strategies import (
    CMAES,
    PBIL,
    PES,
    AgedEvolution,
    AugmentedLagrangian,
    CMAwM,
    Evosax,
    GeneticAlgorithm,
    GeneticProgramming,
    Gradient,
    OpenAIES,
    RandomSearch,
    Reevaluated,
    Restarts,
)
from evometa.strategy import Feedback

VIOLATIONS = [0.0, 1e-30, 1e-9, 1e-3, 1.0, 1.001, 1e9, 1e38]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_ranked_puts_every_violation_behind_every_fitness(dtype: Any) -> None:
    fitness = jnp.array([6e4, -5.0, 3.0, -6e4, 1.0, 0.0, 9.0, -1.0, jnp.inf], dtype)
    constraints = jnp.array([[v, -1.0] for v in [*VIOLATIONS, jnp.inf]])
    told = ranked(fitness, constraints)
    assert (np.diff(told) > 0).all()  # by the violation alone, whatever the fitness
    assert told[0] == fitness[0] <= worst_feasible(told.dtype) < told[1]
    assert told[8] == np.inf  # failed
    np.testing.assert_array_equal(ranked(told, constraints), told)  # again changes nothing
    assert jnp.isfinite(jnp.sum(jnp.tile(told[:8], 1000)))
    np.testing.assert_array_equal(ranked(fitness, jnp.minimum(constraints, 0.0)), fitness)


def test_penalised_is_the_worst_feasible_fitness_plus_the_violation() -> None:
    constraints = jnp.array([[0.0, 0.0], [-1.0, 0.0], [0.5, 0.25], [3.0, -9.0], [jnp.inf, 0.0]])
    fitness = jnp.array([2.0, -1.0, -7.0, 50.0, jnp.inf])
    np.testing.assert_array_equal(penalised(fitness, constraints), [2.0, -1.0, 2.75, 5.0, np.inf])
    of_none = penalised(fitness, constraints.at[:2].set(1.0))  # from the worst of all
    np.testing.assert_array_equal(of_none, [52.0, 52.0, 50.75, 53.0, np.inf])


class Knapsack(Problem):
    """Three numbers from 0 to 9, the heavier the better, their sum at most 10."""

    space = Integer(0, 9, (3,))

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        return Evaluation(-omega @ jnp.array([1.0, 2.0, 3.0]), constraints=jnp.stack([jnp.sum(omega) - 10.0]))


@pytest.mark.parametrize("strategy", [PBIL(32), CMAwM(16), GeneticAlgorithm(32), AgedEvolution(16, 32)], ids=repr)
def test_integers_keep_a_constraint(strategy: Any) -> None:
    allowed = [x for x in itertools.product(range(10), repeat=3) if sum(x) <= 10]
    search = Search(Knapsack(), strategy, seed=1, progress=False)
    result = search.run(generations=40)
    assert result.best_feasible
    assert result.best_fitness == min(-x - 2 * y - 3 * z for x, y, z in allowed) == -29
    assert np.mean(search.history["feasible"][-10:]) > 0.3  # of all draws 28 % are


@dataclasses.dataclass(frozen=True)
class Line(InnerTraining):
    """A learner that stays where ω puts it, the lower the better, and must not be below 2."""

    num_tasks: int = 1
    inner_steps: int = 2
    objective: em.objectives.Objective = Mean()

    @property
    def space(self) -> Box:
        return Box((1,), start=np.array([3.0]))

    def sample_task(self, key: Any) -> Any:
        return ()

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return omega

    step = lambda self, key, omega, task, learner: learner  # noqa: E731

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner[0]

    def evaluate_learner(self, key: Any, omega: Any, task: Any, learner: Any, fitness: Any) -> Evaluation:
        return Evaluation(fitness, constraints=2.0 - learner)


@pytest.mark.parametrize(
    "strategy",
    [
        PES(8, sigma=0.1, learning_rate=0.1, unroll_length=1),
        OpenAIES(8, sigma=0.1, learning_rate=0.1, shaping="pair_difference"),
        Evosax("PSO", 8),
        Reevaluated(CMAES(8), times=2),
        Restarts(CMAES(8), patience=9),
    ],
    ids=repr,
)
def test_strategies_of_every_kind_stay_where_a_constraint_is_kept(strategy: Any) -> None:
    search = Search(Line(), strategy, seed=0, progress=False, finalists=0)
    result = search.run(generations=60)
    assert 2.0 <= result.best_omega[0] < 2.2 or type(strategy) is PES  # whose learners come from earlier ω
    assert result.best_feasible
    if result.center_omega is not None:
        assert result.center_omega[0] == pytest.approx(2.0, abs=0.3)


class Forbidden(Problem):
    """No ω is feasible; -1 violates the constraint least."""

    space = Box((1,), -3.0, 3.0)

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        return Evaluation(omega[0], {"omega": omega[0]}, constraints=1.0 + jnp.abs(omega + 1.0))


def test_where_nothing_is_feasible_the_least_violation_is_the_best(tmp_path: Path) -> None:
    search = Search(Forbidden(), CMAES(8), run_directory=tmp_path, progress=False)
    result = search.run(generations=60)
    assert result.best_omega[0] == pytest.approx(-1.0, abs=1e-3)
    assert result.selected_omega[0] == pytest.approx(-1.0, abs=1e-3)
    assert (result.best_feasible, result.selected_feasible) == (False, False)
    assert np.isnan(result.best_fitness)
    assert np.isnan(search.history["best_so_far"]).all()
    assert search.history["best/omega"][-1] == pytest.approx(-1.0, abs=1e-2)
    assert ("constraints", "violated by every candidate; best_omega violates them least") in selected(tmp_path)
    assert em.load_result(tmp_path).best_feasible is False


def test_patience_counts_candidates_that_keep_the_constraints() -> None:
    strategy = Restarts(AugmentedLagrangian(CMAES(4)), patience=50)
    state = strategy.init(jax.random.key(0), Box((2,)))
    genotypes, state = strategy.ask(jax.random.key(1), state)
    for fitness, constraint, idle in ((-9.0, 1.0, 0), (5.0, -1.0, 0), (-8.0, 0.5, 1), (4.0, 0.0, 0)):
        told = Feedback(fitness + jnp.arange(5.0), constraints=jnp.full((5, 1), constraint))
        state = jax.jit(strategy.tell)(jax.random.key(2), state, genotypes, told)
        assert int(state.idle) == idle
    with pytest.raises(em.ConfigurationError, match="leaves the constraints to it"):
        AugmentedLagrangian(AugmentedLagrangian(CMAES(4)))


def test_formulas_that_violate_a_constraint_are_no_parents_and_on_no_front() -> None:
    strategy = GeneticProgramming(4, cases=2, proposals=1, tuned=0, elites=1)
    space = Expression(PrimitiveSet(), max_size=5)

    @jax.jit
    def generation() -> Any:
        genotypes, state = strategy.ask(jax.random.key(1), strategy.init(jax.random.key(0), space))
        fitness = ranked(jnp.array([1.0, 2.0, 3.0, 4.0]), constraint := jnp.array([[1.0], [2.0], [0.0], [-1.0]]))
        objectives = jnp.tile(jnp.arange(4.0)[:, None], (1, 2))
        return strategy.tell(jax.random.key(2), state, genotypes, Feedback(fitness, objectives, constraint))

    state = jax.device_get(generation())
    np.testing.assert_array_equal(state.cases[:, 0], [2.0, 3.0, np.inf, np.inf])
    assert state.best_fitness.min() == 3.0
    assert np.isin(state.best_fitness, [3.0, 4.0, np.inf]).all()


def test_what_a_strategy_ignores_is_warned_of() -> None:
    projection = em.problems.LinearProjection()
    for strategy, problem, words in (
        (
            CMAES(4),
            projection,
            "CMAES makes no use of the measures that LinearProjection returns; use MAPElites or CMAME",
        ),
        (Restarts(CMAES(4)), em.problems.ZDT1(), "makes no use of the objectives that ZDT1 returns; use NSGA2"),
        (Gradient(1), Line(), "Gradient follows the fitness alone and does not steer by the constraints that Line"),
    ):
        with pytest.warns(em.IgnoredFeedbackWarning, match=re.escape(words)):
            Search(problem, strategy, progress=False)
    toys: Any = load(f"{Path(__file__).parent / 'toys.py'}:Fence")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for problem in (Line(), toys()):
            assert vector_lengths(problem) == {"constraints": 1}
            warn_of_ignored(RandomSearch(4), problem)
