"""Training runs that go on: windows are pieces of one training, learners go where they are sent, nothing is lost."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Mean, Search
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


def run(trainer: TrainingEvaluator, genotypes: Any, windows: int) -> tuple[list[Any], TrainingRun]:
    """Train one population window after window, everybody with its own learners; return evaluations and the end."""
    step = jax.jit(lambda carried: trainer.evaluate(KEY, KEY, carried, genotypes))
    carried, found = trainer.initial(), []
    for _ in range(windows):
        evaluation, carried, _ = step(carried)
        found.append(evaluation)
    return found, carried


@pytest.mark.parametrize("windows", [1, 3, 6])
@pytest.mark.parametrize("problem", [Waves(width=4, num_tasks=2, inner_steps=6), Chase(num_tasks=2, inner_steps=6)])
def test_windows_are_pieces_of_whole_training(problem: Any, windows: int) -> None:
    genotypes = jnp.stack([problem.space.sample(jax.random.key(i)) for i in range(4)])
    found, carried = run(trainer(problem, PBT(4, windows=windows)), genotypes, windows)
    source = TrainingTasks(problem)
    trials = source.draw(jax.random.fold_in(KEY, 0))
    whole = jax.jit(jax.vmap(lambda genotype: source.evaluate(trials, problem.space.decode(genotype))))(genotypes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), found[-1], whole)
    assert (int(carried.number), int(carried.window)) == (0, windows)


def test_learners_go_where_they_are_sent_and_new_runs_begin_when_they_must() -> None:
    strategy = PBT(3, windows=4)
    train = trainer(Chase(num_tasks=2), strategy)
    state = strategy.init(KEY, train.problem.space)
    learners = jnp.arange(6.0).reshape(3, 2)

    def prepared(told: int, number: int, window: int) -> Any:
        now = state._replace(window=jnp.int32(told), parents=jnp.array([2, 1, 1]))
        return train.prepare(now, TrainingRun(jnp.int32(number), jnp.int32(window), learners))

    told, carried = prepared(2, 5, 2)
    np.testing.assert_array_equal(carried.learners, learners[jnp.array([2, 1, 1])])
    assert (int(told.window), int(carried.window), int(carried.number)) == (2, 2, 5)
    for case in ((0, 0, 0), (4, 6, 4), (1, 6, 2)):  # the first generation, a whole run, and nothing told of a window
        told, carried = prepared(*case)
        assert (int(told.window), int(carried.window)) == (0, 0)
        assert int(carried.number) == (7 if case[1] else 0)


def test_the_schedule_leads_to_the_losses_it_is_kept_with() -> None:
    problem, strategy = Waves(width=4, num_tasks=2, inner_steps=12), PBT(8, windows=6, fraction=0.4)
    search = Search(problem, strategy, seed=1, validation_tasks=2)
    result = search.run(generations=100)
    assert result.stop_reason == "trained: all windows of the training run are done"
    assert (result.generations, result.inner_steps) == (6, 8 * 2 * 12)
    assert search.history["strategy/exploited"].max() > 0
    assert result.archive is not None
    schedule = result.archive.omegas
    assert len(np.unique(schedule["rate"])) > 1  # the winner has been replaced on its way
    trials = TrainingTasks(problem).draw(jax.random.fold_in(root_keys(1).episodes, 0))
    again = jax.jit(jax.vmap(lambda key, task: replay(problem, key, schedule, task)))
    losses, learners = again(trials.keys, trials.tasks)
    np.testing.assert_allclose(jnp.mean(losses, axis=0), result.archive.fitness, rtol=2e-5)
    np.testing.assert_allclose(result.archive.fitness[-1], search.history["best"][-1], rtol=1e-6)
    state: Any = search._state
    winner = np.argmin(state.strategy.past.fitness[-1])
    np.testing.assert_allclose(state.carried.learners["out"][winner], learners["out"], rtol=1e-4)


def test_a_window_in_which_all_fail_is_followed_by_a_new_run() -> None:
    search = Search(Fragile(num_tasks=2), PBT(2, windows=4), seed=7, validation_tasks=2)
    result = search.run(generations=40)
    failed = search.history["failed"]
    assert (failed == 2).any()
    assert int(search._state.carried.number) == (failed == 2).sum()  # type: ignore[union-attr]
    assert result.archive is not None
    assert np.isfinite(result.archive.fitness).all()
    assert result.stop_reason.startswith("trained")
    assert result.generations > 4


@pytest.mark.bits
def test_devices_change_no_bit_and_chunks_rounding_alone() -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=6)
    genotypes = jnp.stack([problem.space.sample(jax.random.key(i)) for i in range(5)])
    layouts = ((2, 1), (2, 2), (1, 1))
    one, two, single = (run(trainer(problem, PBT(5, windows=3), c, d), genotypes, 3) for c, d in layouts)
    for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(one[0][-1].fitness, single[0][-1].fitness, rtol=1e-5)


def test_a_run_interrupted_in_mid_training_ends_in_the_same_bits(tmp_path: Path) -> None:
    problem, strategy = Waves(width=4, num_tasks=2, inner_steps=14), PBT(6, windows=7)
    options = {"seed": 2, "validate_every": 3, "validation_tasks": 2}
    whole = Search(problem, strategy, run_directory=tmp_path / "whole", **options)
    result = whole.run(generations=100)
    Search(problem, strategy, run_directory=tmp_path / "cut", **options).run(generations=4)
    resumed = Search.resume(tmp_path / "cut")
    again = resumed.run(generations=100)
    assert (tmp_path / "cut" / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    for one, other in zip(jax.tree.leaves(whole._state), jax.tree.leaves(resumed._state), strict=True):
        assert (one.dtype, np.asarray(one).tobytes()) == (other.dtype, np.asarray(other).tobytes())
    assert result.archive is not None
    assert again.archive is not None
    np.testing.assert_array_equal(result.archive.genotypes, again.archive.genotypes)
    assert resumed.run(generations=200).generations == 7  # what is trained stays trained


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
