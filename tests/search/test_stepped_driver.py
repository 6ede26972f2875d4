"""A search whose problem is plain Python keeps the same promises as any other."""

import json
import logging
import os
import random
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
import pytest

from evometa import Categorical, Dict, HostProblem, Integer, Search, Space, generalization
from evometa.executors.executor import Outcome
from evometa.executors.memory import Memory
from evometa.naming import load
from evometa.search.driver import ValidationSettings
from evometa.search.stepped_driver import CALLS_IN_VALIDATION, SteppedDriver
from evometa.sharing.summary import progress
from evometa.storage.history import HISTORY
from evometa.strategies import CMAES, UHCMAES, AgedEvolution, GeneticAlgorithm, RandomSearch, Reevaluated
from evometa.testing import check_problem_contract

TOYS = Path(__file__).parents[1] / "toys.py"
Errand, Tuned = (load(f"{TOYS}:{name}") for name in ("Errand", "Tuned"))
Slow = load(f"{Path(__file__).parents[1] / 'user_files' / 'misbehaving.py'}:Misbehaving")


def search(folder: Path | None, workers: int) -> Search:
    return Search(
        Errand(), RandomSearch(population_size=6), seed=2, run_directory=folder, workers=workers, validate_every=3
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Any, Path]:
    """A run of eight generations without interruption, by one worker."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    one = search(folder, workers=1)
    return one, one.run(generations=8), folder


def test_plain_python_gets_the_active_parts_alone_and_so_does_who_reads_the_result() -> None:
    search = Search(Tuned(), GeneticAlgorithm(8), seed=3, workers=1)
    result = search.run(generations=8)
    assert result.failed == 0
    assert result.best_fitness < -0.5
    assert set(result.best_omega) == {"optimizer", "momentum", "batch", "order", "epochs"}
    [score] = generalization(Tuned(), result.best_omega, tasks=1)
    assert score.fitness == result.best_fitness
    first = Search(Tuned(), RandomSearch(1), workers=1).run(generations=1)
    check_problem_contract(Tuned())
    for found in (first.best_omega, first.selected_omega):
        assert ("momentum" in found) == (found["optimizer"] == 1)


def test_failures_are_counted_told_and_ranked_last(
    whole: tuple[Search, Any, Path], caplog: pytest.LogCaptureFixture
) -> None:
    one, result, _ = whole
    # The candidates are random search's own: those with n = 0 must be the failed ones.
    space, strategy = Errand().space, RandomSearch(population_size=6)

    @jax.jit
    def n_of(generation: Any) -> Any:
        key = jax.random.fold_in(jax.random.split(jax.random.key(2), 3)[1], generation)
        genotypes, _ = strategy.ask(jax.random.split(key, 3)[0], strategy.init(key, space))
        return jax.vmap(lambda genotype: space.decode(space.repair(genotype)))(genotypes)["n"]

    failed = [int((np.asarray(n_of(generation)) == 0).sum()) for generation in range(1, 9)]
    assert one.history["failed"].tolist() == failed
    assert result.failed == sum(failed) > 0
    assert result.evaluations == 48
    assert int(result.best_omega["n"]) > 0
    assert result.best_fitness == pytest.approx(one.history["best"].min(), rel=1e-6)
    with caplog.at_level(logging.WARNING, logger="evometa"):
        search(None, workers=2).run(generations=4)
    told = [record.getMessage() for record in caplog.records if "candidate failed" in record.getMessage()]
    assert len(told) == 1  # each kind of failure once
    assert "raised: ValueError: no candidates with n = 0 (toys.py, line" in told[0]


def test_metrics_and_held_out_evaluation_are_recorded(whole: tuple[Search, Any, Path]) -> None:
    one, result, _ = whole
    draws = one.history["best/draw"]
    assert np.isfinite(draws).all()
    assert len(np.unique(draws)) == 8  # a generator of its own for each generation
    assert np.flatnonzero(~np.isnan(one.history["held_out"])).tolist() == [2, 5]
    assert one.history["held_out"][5] >= 100.0
    assert result.held_out == pytest.approx(100.0 + np.sum(result.best_omega["x"] ** 2), rel=1e-5)
    assert set(result.metrics) == {"center/draw", "held_out/draw"}


def test_workers_and_interruptions_change_no_bit(whole: tuple[Search, Any, Path], tmp_path: Path) -> None:
    expected, result, folder = whole
    search(tmp_path / "run", workers=2).run(generations=2)
    Search.resume(tmp_path / "run", workers=1).run(generations=5)
    one = Search.resume(tmp_path / "run", workers=2)
    again = one.run(generations=8)
    assert (tmp_path / "run" / HISTORY).read_bytes() == (folder / HISTORY).read_bytes()
    for leaf, other in zip(jax.tree.leaves(one._run.state), jax.tree.leaves(expected._run.state), strict=True):
        assert np.asarray(leaf).tobytes() == np.asarray(other).tobytes()
    assert (again.best_fitness, again.held_out) == (result.best_fitness, result.held_out)
    json.dumps(again.metrics)


def test_a_target_stops_it_too(whole: tuple[Search, Any, Path]) -> None:
    best = np.minimum.accumulate(whole[0].history["best"])
    target = float(best[4])
    result = search(None, workers=2).run(generations=8, target=target)
    assert result.generations >= int(np.argmax(best <= target)) + 1  # the noise may have been lucky there
    assert result.stop_code == "generations" or result.selected_fitness <= target


NOISE = load(f"{TOYS}:HostNoise")


def test_copies_of_a_candidate_have_draws_of_their_own() -> None:
    """Reevaluated and UHCMAES see the noise of a plain-Python problem."""
    one = Search(NOISE(), Reevaluated(RandomSearch(2), times=3), workers=1, progress=False)
    one.run(generations=1)
    low, high = (one.history[name][0] for name in ("best", "upper_quartile"))
    assert low < high  # equal ω: what differs is the draw
    shared = Search(NOISE(), RandomSearch(6), workers=1, progress=False)
    shared.run(generations=1)
    assert shared.history["best"][0] == shared.history["upper_quartile"][0]  # one draw for the whole population
    treated = Search(NOISE(), UHCMAES(CMAES(4)), workers=1, progress=False)
    treated.run(generations=6)
    assert treated.history["strategy/uncertainty"].max() > 0


def test_an_evaluation_averages_as_many_calls_as_the_problem_says() -> None:
    draws = [np.random.default_rng(seed).normal() for seed in ([5, 0, 1], [5, 0, 1, 0, 1], [5, 0, 1, 0, 2])]
    one = Search(NOISE(num_tasks=3), RandomSearch(2), seed=5, workers=2, progress=False)
    result = one.run(generations=1)
    np.testing.assert_allclose(one.history["best"][0], np.mean(draws), rtol=1e-6)
    assert result.evaluations == 2
    assert result.selection_tasks >= 3


def test_a_validation_averages_as_many_calls_as_asked_for() -> None:
    one = Search(NOISE(num_tasks=1), RandomSearch(2), seed=5, workers=2, validation_share=1e3, validation_tasks=64)
    result = one.run(generations=1)
    assert result.selection_tasks == 64
    assert abs(result.center_fitness) < 4 / 8  # the mean of 64 draws, where one would be any
    draws = [np.random.default_rng([5, 1, 0, 0, task] if task else [5, 1, 0]).normal() for task in range(64)]
    assert result.center_fitness == pytest.approx(np.mean(draws), rel=1e-6)


def test_inner_steps_that_a_problem_declares_are_counted() -> None:
    counting = type("Counting", (NOISE,), {"inner_steps_per_evaluation": 7, "__module__": NOISE.__module__})
    driver = SteppedDriver(
        counting(),
        counting().space,
        RandomSearch(3),
        Always(),
        0,
        ValidationSettings(100, 1, 0, 0.0),
        note=print,
        failures={},
        memory=Memory(),
    )
    _, rows, _ = driver.advance(driver.initial(), 1, 2, -np.inf)
    assert rows.evaluations.tolist() == [3, 3]
    assert rows.inner_steps.tolist() == [21, 21]


class Always:
    """An executor of another kind: every trial succeeds at once, and the last one submitted is the first completed."""

    def __init__(self) -> None:
        self.waiting: list[int] = []

    def submit(self, trials: Any) -> list[int]:
        self.waiting = list(range(len(trials)))
        return list(self.waiting)

    def as_completed(self) -> Any:
        while self.waiting:
            yield self.waiting.pop(), Outcome(1.0, {}, None)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


class Choices(HostProblem):
    """Few candidates, each evaluated with a line in a file; ``draws`` makes the fitness noisy."""

    draws: ClassVar[bool] = False

    @property
    def space(self) -> Space:
        return Dict({"n": Integer(1, 3), "c": Categorical(["a", "b"])})

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        with Path(os.environ["EVOMETA_TEST_CALLS"]).open("a") as file:
            file.write(f"{omega['n']}{omega['c']} ")
        return float(omega["n"] + omega["c"]) + (rng.normal() if self.draws else 0.0)


class Drawn(Choices):
    draws = True


class Timed(Choices):
    calls_again = True


@pytest.mark.parametrize(("problem", "repeated"), [(Choices, False), (Drawn, True), (Timed, True)])
def test_a_candidate_without_noise_is_called_once(
    problem: Any, repeated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOMETA_TEST_CALLS", str(tmp_path / "calls"))
    result = Search(problem(), AgedEvolution(4, living=8), workers=2, progress=False).run(generations=6)
    calls = (tmp_path / "calls").read_text().split()
    assert result.evaluations == 24
    assert (len(calls) > 12) == repeated  # 6 candidates, and the first that are met again


class Elsewhere(Choices):
    """Draws from a generator that all code shares, to measure what is held out."""

    def evaluate_test(self, rng: np.random.Generator, omega: Any) -> float:
        return self.evaluate(rng, omega) + random.random()


def test_noise_from_a_shared_generator_is_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOMETA_TEST_CALLS", str(tmp_path / "calls"))
    limits = {"validation_share": 1e3, "finalists": 0, "validate_every": 2}
    one = Search(Elsewhere(), RandomSearch(4), workers=1, run_directory=tmp_path / "run", progress=False, **limits)
    result = one.run(generations=2)
    assert result.selection_tasks == CALLS_IN_VALIDATION
    assert result.held_out != round(result.held_out)
    assert result.evaluations == 8
    shown = dict(progress(tmp_path / "run"))
    assert shown["center"].endswith(f"(generation 2, {CALLS_IN_VALIDATION} tasks)")
    assert f"on {CALLS_IN_VALIDATION} fresh tasks" in shown["selected"]
