"""Population-based training: windows continue one training run, learners are copied as selected, resuming is exact."""

import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError, Mean, Result, Search
from evometa.evaluation.task_source import TrainingTasks
from evometa.evaluation.training_evaluator import TrainingEvaluator, TrainingRun, replay
from evometa.naming import load
from evometa.search.generation import root_keys
from evometa.strategies import PBT

TOYS = Path(__file__).parents[1] / "toys.py"
Chase, Fragile, HoldsAKey, Waves, Bowl = (
    load(f"{TOYS}:{name}") for name in ("Chase", "Fragile", "HoldsAKey", "Waves", "Bowl")
)
KEY = jax.random.key(5)


def trainer(problem: Any, strategy: Any, chunk: int = 2, devices: int = 1) -> TrainingEvaluator:
    used = tuple(jax.local_devices()[:devices])
    return TrainingEvaluator(problem, problem.space, 0, chunk, used, strategy=strategy)


def samples(problem: Any, count: int) -> Any:
    return jax.jit(lambda: jax.vmap(problem.space.sample)(jax.random.split(KEY, count)))()


def run(trainer: TrainingEvaluator, genotypes: Any, windows: int) -> tuple[list[Any], TrainingRun]:
    """Train one population window after window, each member on its own; return evaluations and final state."""
    step = jax.jit(lambda carried: trainer.evaluate(KEY, KEY, carried, genotypes))
    carried, found = trainer.initial(), []
    for _ in range(windows):
        evaluation, carried, *_ = step(carried)
        found.append(evaluation)
    return found, carried


@pytest.mark.parametrize(
    ("problem", "windows"),
    [
        (Waves(width=4, num_tasks=2, inner_steps=6), 3),
        (Chase(num_tasks=2, inner_steps=6), 1),
        (Chase(num_tasks=2, inner_steps=6), 6),
    ],
)
def test_windows_are_pieces_of_whole_training(problem: Any, windows: int) -> None:
    genotypes = samples(problem, 4)
    found, carried = run(trainer(problem, PBT(4, windows=windows)), genotypes, windows)
    source = TrainingTasks(problem)

    @jax.jit
    def at_once(genotypes: Any) -> Any:
        trials = source.draw(jax.random.fold_in(KEY, 0))
        return jax.vmap(lambda genotype: source.evaluate(trials, problem.space.decode(genotype)))(genotypes)

    whole = at_once(genotypes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), found[-1], whole)
    assert (int(carried.number), int(carried.window)) == (0, windows)


def test_learners_go_where_they_are_sent_and_new_runs_begin_when_they_must() -> None:
    strategy = PBT(3, windows=4)
    train = trainer(Chase(num_tasks=2), strategy)
    state = jax.jit(lambda: strategy.init(KEY, train.problem.space))()
    prepare = jax.jit(train.prepare)
    learners = np.arange(6.0, dtype=np.float32).reshape(3, 2)

    def prepared(told: int, number: int, window: int) -> Any:
        now = state._replace(window=np.int32(told), parents=np.array([2, 1, 1], np.int32))
        return prepare(now, TrainingRun(np.int32(number), np.int32(window), learners))

    told, carried = prepared(2, 5, 2)
    np.testing.assert_array_equal(carried.learners, learners[[2, 1, 1]])
    assert (int(told.window), int(carried.window), int(carried.number)) == (2, 2, 5)
    for case in ((0, 0, 0), (4, 6, 4), (1, 6, 2)):  # the first generation, a whole run, and nothing told of a window
        told, carried = prepared(*case)
        assert (int(told.window), int(carried.window)) == (0, 0)
        assert int(carried.number) == (7 if case[1] else 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Result, Path]:
    """A search to the end of its training run, its result, and its run directory as it was after four windows."""
    problem, strategy = Waves(width=4, num_tasks=2, inner_steps=12), PBT(8, windows=6, fraction=0.4)
    folder = tmp_path_factory.mktemp("trained")
    search = Search(problem, strategy, seed=1, validate_every=3, validation_tasks=2, run_directory=folder / "whole")
    search.run(generations=4)
    shutil.copytree(folder / "whole", folder / "cut")
    return search, search.run(generations=100), folder / "cut"


def test_the_schedule_leads_to_the_losses_it_is_kept_with(trained: tuple[Search, Result, Path]) -> None:
    search, result, _ = trained
    problem: Any = search.problem
    assert result.stop_reason == "trained: all windows of the training run are done"
    assert (result.generations, result.inner_steps) == (6, 8 * 2 * 12)
    assert search.history["strategy/exploited"].max() > 0
    assert result.archive is not None
    schedule = result.archive.omegas
    assert len(np.unique(schedule["rate"])) > 1  # the winner has been replaced on its way

    @jax.jit
    def again(key: Any) -> Any:
        trials = TrainingTasks(problem).draw(jax.random.fold_in(key, 0))
        return jax.vmap(lambda key, task: replay(problem, key, schedule, task))(trials.keys, trials.tasks)

    losses, learners = again(root_keys(1).episodes)
    np.testing.assert_allclose(np.mean(losses, axis=0), result.archive.fitness, rtol=2e-5)
    np.testing.assert_allclose(result.archive.fitness[-1], search.history["best"][-1], rtol=1e-6)
    state: Any = search._run.state
    winner = np.argmin(state.strategy.past.fitness[-1])
    np.testing.assert_allclose(state.carried.learners["out"][winner], learners["out"], rtol=1e-4)


def test_a_window_in_which_all_fail_is_followed_by_a_new_run() -> None:
    search = Search(Fragile(num_tasks=2), PBT(2, windows=4), seed=7, validation_tasks=2)
    result = search.run(generations=40)
    failed = search.history["failed"]
    assert (failed == 2).any()
    assert int(search._run.state.carried.number) == (failed == 2).sum()  # type: ignore[union-attr]
    assert result.archive is not None
    assert np.isfinite(result.archive.fitness).all()
    assert result.stop_reason.startswith("trained")
    assert result.generations > 4


@pytest.mark.bits
def test_devices_change_no_bit_and_chunks_rounding_alone() -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=6)
    genotypes = samples(problem, 5)
    layouts = ((2, 1), (2, 2), (1, 1))
    one, two, single = (run(trainer(problem, PBT(5, windows=3), c, d), genotypes, 3) for c, d in layouts)
    for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(one[0][-1].fitness, single[0][-1].fitness, rtol=1e-5)


def test_a_run_interrupted_in_mid_training_ends_in_the_same_bits(trained: tuple[Search, Result, Path]) -> None:
    whole, result, cut = trained
    resumed = Search.resume(cut)
    again = resumed.run(generations=100)
    assert (cut / "history.csv").read_bytes() == (cut.with_name("whole") / "history.csv").read_bytes()
    for one, other in zip(jax.tree.leaves(whole._run.state), jax.tree.leaves(resumed._run.state), strict=True):
        assert (one.dtype, np.asarray(one).tobytes()) == (other.dtype, np.asarray(other).tobytes())
    assert result.archive is not None
    assert again.archive is not None
    np.testing.assert_array_equal(result.archive.genotypes, again.archive.genotypes)
    assert resumed.run(generations=200).generations == 6  # what is trained stays trained


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Bowl(), "PBT expects a problem whose training can be cut into windows, an InnerTraining, and Bowl is none"),
        (Chase(inner_steps=6), "got windows=4 and inner_steps=6"),
        (Chase(inner_steps=0), "got windows=4 and inner_steps=0"),
        (Chase(objective=Mean()), "got Mean()"),
        (HoldsAKey(), "learner['key'] is a random key"),
    ],
)
def test_what_cannot_be_trained_in_windows_is_refused(problem: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Search(problem, PBT(4, windows=4))
