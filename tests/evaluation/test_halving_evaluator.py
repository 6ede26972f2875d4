"""Successive halving: who is trained further, at what cost, and that it changes nothing for those who are."""

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Evaluation, Halving, Mean, Result, Search
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.evaluation.halving_evaluator import HalvingEvaluator
from evometa.evaluation.population_evaluator import Evaluated
from evometa.naming import load
from evometa.search.generation import SearchState, tell
from evometa.search.planning import plan
from evometa.spaces import Box
from evometa.strategies import CMAES, NSGA2, PBT, MAPElites, OpenAIES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Gains, Goals, HoldsAKey, Lines, Waves = (
    load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Gains", "Goals", "HoldsAKey", "Lines", "Waves")
)
KEY = jax.random.key(5)
THREE = Halving(rungs=3, reduction=3)


def evaluated(problem: Any, genotypes: Any, halving: Halving = THREE, *, by_objectives: bool = False) -> Evaluated:
    devices = tuple(jax.local_devices()[:1])
    evaluator = HalvingEvaluator(problem, problem.space, 0, 1, devices, halving=halving, by_objectives=by_objectives)
    found: Evaluated = jax.jit(lambda all_: evaluator.evaluate(KEY, KEY, (), all_))(genotypes)
    return found


@pytest.mark.bits
@pytest.mark.parametrize(("pairs", "chunk", "devices", "steps"), [(0, 2, 2, 4), (2, 1, 1, 9)])
def test_who_is_trained_to_the_end_has_the_fitness_of_full_evaluation(
    pairs: int, chunk: int, devices: int, steps: int
) -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=steps)
    halving = Halving(rungs=3, reduction=3 if steps == 9 else 2)  # rungs of one step too
    where = (problem, problem.space, pairs, chunk, tuple(jax.local_devices()[:devices]))
    genotypes = jax.jit(jax.vmap(problem.space.sample))(jax.random.split(KEY, 10))
    found = jax.jit(lambda: HalvingEvaluator(*where, halving=halving).evaluate(KEY, KEY, (), genotypes))()
    whole = np.asarray(found.stopped_at) == 0
    assert whole.sum() == halving.counts(10)[-1]
    full = jax.jit(FullEvaluator(*where).population)(KEY, genotypes)
    for one, other in zip(jax.tree.leaves(found.evaluation), jax.tree.leaves(full), strict=True):
        assert np.asarray(one)[whole].tobytes() == np.asarray(other)[whole].tobytes()


# The losses after 2, 4 and 9 steps are ω₀ + ω₁ s; from step ω₂ on they are NaN.
CURVES = np.array(
    [
        [5.0, -0.6, 0],  # 3.8, 2.6, -0.4
        [4.1, 0.0, 0],  # 4.1, 4.1: stopped at the second rung
        [3.0, 1.0, 0],  # 5: stopped at the first
        [9.0, -9.0, 3],  # -9: the best there, and fails
        [7.0, 0.0, 0],
        [6.0, 0.0, 0],
        [0.0, 0.0, 1],  # fails before
        [8.0, -2.0, 0],  # 4, 0, -10
    ],
    np.float32,
)


@pytest.mark.parametrize(("problem", "sign"), [(Lines(), 1), (Gains(), -1)])
def test_the_best_of_each_rung_are_trained_further(problem: Any, sign: int) -> None:
    found = evaluated(problem, CURVES, Halving(rungs=3, reduction=2))  # of 8, 4 and 2 candidates
    steps = np.array([9, 4, 2, 4, 2, 2, 2, 9])
    np.testing.assert_array_equal(found.stopped_at, steps % 9)
    np.testing.assert_array_equal(found.evaluation.metrics["steps"], steps)
    expected = CURVES[:, 0] + CURVES[:, 1] * steps
    expected[[3, 6]] = np.nan
    np.testing.assert_allclose(sign * found.evaluation.fitness, expected, rtol=1e-5, atol=1e-5)


def test_candidates_that_fail_later_leave_the_others_ranked() -> None:
    curves = np.zeros((4, 3), np.float32)
    curves[:, 0] = [1.0, 2.0, 3.0, 4.0]
    curves[0, 2] = 9
    found = evaluated(Lines(), curves, Halving(rungs=2, reduction=4))
    state, fitness, record = _told(found, curves)
    assert (int(record["stopped"]), np.isnan(fitness).tolist()) == (3, [True, False, False, False])
    assert not np.isfinite(state.best_fitness)  # none that was stopped is the best
    assert np.isnan(record["best_so_far"])
    curves[:, 2] = 1
    _, fitness, record = _told(evaluated(Lines(), curves, Halving(rungs=2, reduction=4)), curves)
    assert (int(record["stopped"]), np.isnan(fitness).all()) == (0, True)


def _told(found: Evaluated, genotypes: Any) -> Any:
    strategy, space = RandomSearch(len(genotypes)), Box((3,))
    state = SearchState(strategy.init(KEY, space), jnp.zeros(3), jnp.float32(jnp.inf))
    return jax.jit(lambda found: tell(strategy, 1.0, KEY, state, jnp.asarray(genotypes), found))(found)


def test_a_stopped_candidate_is_never_the_best_however_good_it_looked() -> None:
    curves = np.array([[0.0, 1.0, 0.0], [0.5, 1.0, 0.0], [0.6, 0.9, 0.0]], np.float32)
    state, fitness, record = _told(evaluated(Lines(), curves, Halving(rungs=2, reduction=3)), curves)
    assert float(state.best_fitness) == float(record["best_so_far"]) == fitness[0] == 9.0
    # After three steps the losses of the others were 3.5 and 3.3, better than that of the best in the end.
    assert 9.0 < fitness[2] < 9.00001
    np.testing.assert_allclose(fitness[1], 9.0 + 0.2, rtol=1e-5)


def test_several_objectives_keep_the_first_front_and_its_ends() -> None:
    # After a step: losses 0, 1, 2, 3, 9, and the other objective falls from 0 to -3; the last one is dominated.
    curves = np.array([[0.0, 0.0, 0], [0.0, 1.0, 0], [0.0, 2.0, 0], [0.0, 3.0, 0], [9.0, 0.0, 0]], np.float32)
    found = evaluated(Goals(inner_steps=2), curves, Halving(rungs=2, reduction=2), by_objectives=True)
    np.testing.assert_array_equal(found.stopped_at[np.array([0, 3, 4])], [0, 0, 1])
    strategy = NSGA2(5, reference_point=(100.0, 100.0))
    state = SearchState(strategy.init(KEY, Box((3,))), jnp.zeros(3), jnp.float32(jnp.inf))
    state, _, _ = jax.jit(lambda found: tell(strategy, 1.0, KEY, state, jnp.asarray(curves), found))(found)
    archive = strategy.archive(state.strategy)
    kept = np.asarray(archive.objectives)[np.asarray(archive.occupied)]
    whole = np.asarray(found.evaluation.objectives)[np.asarray(found.stopped_at) == 0]
    assert {*map(tuple, kept)} == {*map(tuple, whole)}  # what was stopped is dominated


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Result, Path]:
    """A search of eight generations, its result, and its run directory as it was after three."""
    folder = tmp_path_factory.mktemp("halved")
    search = Search(
        Lines(), CMAES(6), seed=3, halving=THREE, trials=True, run_directory=folder / "whole", validation_tasks=2
    )
    search.run(generations=3)
    shutil.copytree(folder / "whole", folder / "cut")
    return search, search.run(generations=8), folder / "cut"


def test_inner_steps_are_those_that_were_made(searched: tuple[Search, Result, Path]) -> None:
    search, result, _ = searched
    each = 2 * (6 * 1 + 2 * 2 + 1 * 6)  # tasks, and candidates times steps of each rung
    assert (result.evaluations, result.inner_steps) == (8 * 6, 8 * each)
    np.testing.assert_array_equal(search.history["inner_steps"], each * np.arange(1, 9))
    np.testing.assert_array_equal(search.history["stopped"], 5)
    limited = Search(Lines(), CMAES(6), halving=THREE, validation_share=0.0)
    assert limited.run(inner_steps=3 * each + 1).generations == 3


def test_the_table_of_trials_says_where_each_was_stopped(searched: tuple[Search, Result, Path]) -> None:
    search, result, cut = searched
    with open(cut.parent / "whole" / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["stopped_at"] for row in rows].count("") == 8
    for row in rows:
        stopped = int(row["stopped_at"] or 9)
        assert float(row["steps"]) == stopped
        then = float(row["omega[0]"]) + float(row["omega[1]"]) * stopped
        assert float(row["fitness"]) == pytest.approx(then, abs=1e-4)
    whole = [float(row["fitness"]) for row in rows if not row["stopped_at"]]
    assert min(whole) == pytest.approx(result.best_fitness) == pytest.approx(np.min(search.history["best"]))


def test_resuming_needs_nothing_and_is_exact(searched: tuple[Search, Result, Path]) -> None:
    _, result, cut = searched
    resumed = Search.resume(cut)
    again = resumed.run(generations=8)
    for name in ("history.csv", "trials.csv"):
        assert (cut / name).read_bytes() == (cut.parent / "whole" / name).read_bytes()
    np.testing.assert_array_equal(again.best_omega, result.best_omega)
    with pytest.raises(ConfigurationError, match="keeps the run's own halving"):
        Search.resume(cut, halving=None)


def test_chunks_hold_no_more_than_the_last_rung_leaves() -> None:
    evaluator = plan(Lines(), Lines().space, CMAES(27), memory_budget=2**30, devices=1, halving=THREE)
    assert evaluator.chunk <= 3
    assert evaluator.inner_steps_of(27) == 2 * (27 * 1 + 9 * 2 + 3 * 6)


@pytest.mark.parametrize(
    ("problem", "strategy", "words"),
    [
        (Bowl(), CMAES(4), "an InnerTraining, and Bowl is none"),
        (Lines(), PBT(4, windows=3), "evaluates each candidate from scratch, and PBT does not"),
        (Lines(objective=Mean()), CMAES(4), "got Mean()"),
        (Lines(inner_steps=8), CMAES(4), "got 8"),
        (HoldsAKey(inner_steps=9), CMAES(4), "learner['key'] is a random key"),
    ],
)
def test_what_cannot_be_halved_is_refused(problem: Any, strategy: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Search(problem, strategy, halving=THREE)


def test_more_that_cannot_be_halved_is_refused() -> None:
    class Own(Chase):  # type: ignore[misc, valid-type]
        def evaluate_task(self, key: Any, omega: Any, task: Any) -> Evaluation:
            return Evaluation(omega)

    class Places(Chase):  # type: ignore[misc, valid-type]
        def evaluate_learner(self, key: Any, omega: Any, task: Any, learner: Any, fitness: Any) -> Evaluation:
            return Evaluation(fitness, measures=jnp.stack([omega, omega]))

    with pytest.raises(ConfigurationError, match="Own trains in its own evaluate_task"):
        Search(Own(inner_steps=9), OpenAIES(4), halving=THREE)
    with pytest.raises(ConfigurationError, match="MAPElites looks for different ones"):
        Search(Places(inner_steps=9), MAPElites(4), halving=THREE)
