"""Unrolled inner training: windows add up to whole training, episodes follow their schedule, resuming is exact."""

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import At, ConfigurationError, Final, Mean, Search
from evometa.evaluation.task_source import TrainingTasks
from evometa.evaluation.windowed_evaluator import Episodes, Place, WindowedEvaluator, _episode_keys
from evometa.naming import load
from evometa.problems import BoostingHyperparameters
from evometa.strategies import NRES, PES, TruncatedES

TOYS = Path(__file__).parents[1] / "toys.py"
Chase, Fragile, HoldsAKey, Waves, Bowl = (
    load(f"{TOYS}:{name}") for name in ("Chase", "Fragile", "HoldsAKey", "Waves", "Bowl")
)
KEY = jax.random.key(5)


def unroller(problem: Any, strategy: Any, chunk: int = 2, devices: int = 1) -> WindowedEvaluator:
    devices_used = tuple(jax.local_devices()[:devices])
    return WindowedEvaluator(problem, problem.space, 2, chunk, devices_used, strategy=strategy)


def samples(problem: Any, count: int) -> Any:
    return jax.jit(lambda: jax.vmap(problem.space.sample)(jax.random.split(KEY, count)))()


def run(unroller: WindowedEvaluator, genotypes: Any, windows: int) -> tuple[Any, list[Episodes]]:
    """Evaluate one population repeatedly; return the fitness ``[windows, P]`` and the positions of the episodes."""
    step = jax.jit(lambda episodes: unroller.evaluate(KEY, KEY, episodes, genotypes))
    episodes, fitness, seen = unroller.initial(), [], []
    for _ in range(windows):
        seen.append(episodes)
        evaluation, episodes, *_ = step(episodes)
        fitness.append(np.asarray(evaluation.fitness))
    return np.array(fitness), [*seen, episodes]


@pytest.mark.parametrize(
    ("length", "objective"), [(2, Mean()), (4, Mean()), (6, Final()), (4, At((0, 1, 5)))], ids=lambda value: str(value)
)
def test_the_mean_over_windows_is_the_objective_of_whole_training(length: int, objective: Any) -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=6, objective=objective)
    strategy = PES(4, unroll_length=length)
    genotypes = samples(problem, 4)
    windows = -(-6 // length)
    fitness, seen = run(unroller(problem, strategy), genotypes, 3 * windows)

    @jax.jit
    def whole(pair: Any, number: Any, genotype: Any) -> Any:
        """The objective, from the keys of the episode alone."""
        key, _ = _episode_keys(KEY, Place(pair, number, jnp.int32(0)))
        trials = TrainingTasks(problem).draw(key)
        omega = problem.space.decode(problem.space.repair(genotype))
        return jnp.mean(jax.vmap(lambda k, t: problem.evaluate_task(k, omega, t).fitness)(trials.keys, trials.tasks))

    for pair in range(2):
        first = next(i for i, at in enumerate(seen) if at.number[pair] == 1)  # the episodes before it are cut
        for member in (2 * pair, 2 * pair + 1):
            expected = whole(np.int32(pair), np.int32(1), np.asarray(genotypes)[member])
            np.testing.assert_allclose(np.mean(fitness[first : first + windows, member]), expected, rtol=1e-5)
        assert seen[first + windows].number[pair] == 2


def test_resets_are_spread_evenly_and_then_come_at_the_horizon() -> None:
    problem = Chase(inner_steps=6, objective=Mean())
    genotypes = jnp.zeros((18, 1))
    _, seen = run(unroller(problem, PES(18, unroll_length=2)), genotypes, 9)  # 9 pairs, 3 windows in an episode
    numbers = np.array([at.number for at in seen])
    for before, after in itertools.pairwise(numbers):
        assert np.sum(after - before) == 3  # a third of the pairs begins anew in each generation
    np.testing.assert_array_equal(numbers[-1], 3)


def test_drawn_horizons_are_log_uniform_and_whole_windows() -> None:
    problem = Chase(num_tasks=1, inner_steps=64, objective=Mean())
    strategy = NRES(400, unroll_length=2, shortest_horizon=4)
    make = unroller(problem, strategy)
    place = Place(jnp.arange(200, dtype=jnp.int32), jnp.ones(200, jnp.int32), jnp.zeros(200, jnp.int32))
    windows = np.asarray(jax.jit(jax.vmap(lambda place: make._windows(KEY, place)))(place))
    assert windows.min() == 2
    assert 24 < windows.max() <= 32
    share = np.mean(windows < 8)  # log(8/2) / log(33/2)
    assert abs(share - np.log(4) / np.log(16.5)) < 3 * np.sqrt(0.25 / 200)


def test_the_two_of_a_pair_share_tasks_keys_and_horizon() -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=4, objective=Mean())
    one = np.asarray(samples(problem, 1))
    make = unroller(problem, NRES(6, unroll_length=1, shortest_horizon=2), chunk=4)
    fitness, seen = run(make, np.tile(one, (6, 1)), 6)
    # Waves draws its data, first weights, and noise in each step and each loss from the keys it is given.
    np.testing.assert_array_equal(fitness[:, 0::2], fitness[:, 1::2])
    for leaf in jax.tree.leaves(seen[-1].learners):
        np.testing.assert_array_equal(leaf[0::2], leaf[1::2])
    assert len(np.unique(fitness[:, 0::2])) == 18  # and with no other pair, nor with another window


def test_a_failed_learner_begins_anew_with_its_partner() -> None:
    problem = Fragile(inner_steps=12, objective=Mean())
    genotypes = jnp.array([[0.1], [0.2], [-0.3], [0.1], [0.1], [0.1]])  # times 6: ω
    fitness, seen = run(unroller(problem, PES(6, unroll_length=2)), genotypes, 3)
    np.testing.assert_array_equal(np.isfinite(fitness), [[True, True, False, True, True, True]] * 3)
    np.testing.assert_array_equal([at.window for at in seen], [[0, 0, 0], [0, 0, 1], [1, 0, 2], [2, 0, 3]])
    assert seen[-1].number[1] == 3


@pytest.mark.bits
def test_devices_change_no_bit() -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=6, objective=Mean())
    genotypes = samples(problem, 10)
    ends = [run(unroller(problem, PES(10, unroll_length=2), 3, devices), genotypes, 4) for devices in (1, 2)]
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    for one, other in zip(jax.tree.leaves(ends[0][1][-1]), jax.tree.leaves(ends[1][1][-1]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_chunks_change_rounding_alone() -> None:
    problem = Waves(width=4, num_tasks=2, inner_steps=6, objective=Mean())
    genotypes = samples(problem, 10)
    ends = [run(unroller(problem, PES(10, unroll_length=2), chunk), genotypes, 4)[0] for chunk in (1, 8)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)


def test_a_run_interrupted_in_mid_unroll_ends_in_the_same_bits(tmp_path: Path) -> None:
    strategy = NRES(6, unroll_length=2, shortest_horizon=3)
    problem = Waves(width=4, num_tasks=2, inner_steps=8, objective=Mean())
    options = {"seed": 2, "validate_every": 3, "validation_tasks": 2}
    whole = Search(problem, strategy, run_directory=tmp_path / "whole", **options)
    whole.run(generations=4)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    result = whole.run(generations=11)
    resumed = Search.resume(tmp_path / "cut")
    resumed.run(generations=11)
    assert (tmp_path / "cut" / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    for one, other in zip(jax.tree.leaves(whole._run.state), jax.tree.leaves(resumed._run.state), strict=True):
        assert (one.dtype, np.asarray(one).tobytes()) == (other.dtype, np.asarray(other).tobytes())
    learners = whole._run.state.carried.learners  # type: ignore[union-attr]
    assert jax.tree.leaves(learners)[0].shape[:2] == (6, 2)
    assert result.inner_steps == 11 * 6 * 2 * strategy.unroll_length
    assert np.isfinite(result.held_out)


def test_a_budget_of_inner_steps_counts_windows() -> None:
    search = Search(
        Chase(num_tasks=3, inner_steps=8, objective=Mean()),
        TruncatedES(4, unroll_length=2),
        validation_tasks=2,
        validation_share=0.4,
    )
    result = search.run(inner_steps=160)
    assert (result.generations, result.inner_steps) == (4, 96)  # 4 candidates · 3 tasks · 2 steps each
    assert result.validation_inner_steps == 64  # center and best, each on 2 training and 2 held-out tasks of 8 steps


@pytest.mark.parametrize(
    ("problem", "strategy", "words"),
    [
        (Bowl(), PES(4), "PES expects a problem with inner training to unroll, an InnerTraining, and Bowl is none"),
        (
            BoostingHyperparameters(),
            PES(4),
            "an InnerTraining, and BoostingHyperparameters is none; use FullES or OpenAIES.",
        ),
        (Chase(inner_steps=4), PES(4), "got unroll_length=10, shortest_horizon=None and a problem with inner_steps=4"),
        (
            Chase(inner_steps=40, objective=Mean()),
            PES(4, shortest_horizon=50),
            "expects unroll_length <= shortest horizon <= inner_steps",
        ),
        (Chase(inner_steps=40), PES(4), "got Final(); use Mean()"),
        (Chase(inner_steps=40, objective=At((5, 15, 25))), PES(4), "a loss in every window of 10 inner steps"),
        (Chase(inner_steps=20, objective=At((5, 20))), PES(4, shortest_horizon=10), "in every step, where horizons"),
        (HoldsAKey(inner_steps=20, objective=Mean()), PES(4), "learner['key'] is a random key"),
    ],
)
def test_what_cannot_be_unrolled_is_refused(problem: Any, strategy: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Search(problem, strategy)
