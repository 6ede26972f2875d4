"""Searches in which every candidate fails: they say so and stop, after other candidates were tried."""

import dataclasses
import logging
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Evaluation, EvaluationError, HostProblem, Problem, Search, Space, generalization, load_result
from evometa.cli.main import main
from evometa.naming import load
from evometa.search.budget import Cost, Prices
from evometa.search.decisions import ALL_FAILED, Decider, Limits, failing_generations
from evometa.storage import failures
from evometa.storage.result import Counters
from evometa.strategies import NSGA2, OpenAIES, RandomSearch, Restarts

QUIET: dict[str, Any] = {"progress": False, "devices": 1}
FILE = Path(__file__).parents[1] / "user_files" / "failing.py"


@dataclasses.dataclass(frozen=True)
class Corner(Problem):
    """Fails outside of a part of the box; two objectives."""

    share: float = 0.1

    @property
    def space(self) -> Space:
        return Box((2,), 0.0, 1.0, start=np.full(2, 0.9))

    def evaluate(self, key: jax.Array, omega: jax.Array) -> Evaluation:
        value = jnp.where(omega[0] < self.share, jnp.sum(omega**2), jnp.nan)
        return Evaluation(value, objectives=jnp.stack([value, -value]))


@pytest.mark.filterwarnings("ignore::evometa.IgnoredFeedbackWarning")  # of its objectives
@pytest.mark.parametrize("strategy", [NSGA2(4), Restarts(OpenAIES(4, sigma=0.01), patience=3)])
def test_other_candidates_are_tried_until_some_succeed(strategy: Any) -> None:
    result = Search(Corner(), strategy, **QUIET).run(generations=200)
    assert result.failed < result.evaluations
    assert result.best_omega[0] < 0.1


@pytest.mark.filterwarnings("ignore::evometa.IgnoredFeedbackWarning")  # of its objectives
def test_a_search_without_a_limit_ends_when_all_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    search = Search(Corner(share=-1.0), RandomSearch(256), run_directory=tmp_path / "run", **QUIET)
    with caplog.at_level(logging.WARNING, "evometa"):
        result = search.run(target=0.0)
    assert (result.generations, result.stop_code) == (50, ALL_FAILED)
    assert result.stop_reason == "every candidate failed: the space's start has fitness nan"
    assert "Search stopped: every candidate failed" in caplog.text
    assert (result.best_omega, result.selected_omega) == (None, None)
    assert load_result(tmp_path / "run").best_omega is None
    # Whoever runs it again has changed something, and gets as many generations once more.
    again = Search.resume(tmp_path / "run", **QUIET)
    assert again.run(generations=60).generations == 60


@dataclasses.dataclass(frozen=True)
class Start(Problem):
    """Nothing but the start succeeds."""

    space = Box((2,), 0.0, 1.0, start=np.full(2, 0.5))

    def evaluate(self, key: jax.Array, omega: jax.Array) -> jax.Array:
        return jnp.where(jnp.all(omega == 0.5), 2.0, jnp.nan)


def test_what_is_said_of_failures_after_a_success_is_about_the_best_so_far(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "evometa"):
        result = Search(Start(), RandomSearch(256), **QUIET).run(generations=60)
    assert (result.best_fitness, result.failed, result.evaluations) == (2.0, 50 * 256, 50 * 256 + 1)
    np.testing.assert_array_equal(result.best_omega, [0.5, 0.5])
    assert result.stop_reason.startswith("every candidate of the last 50 generations failed: the best so far has a fit")
    assert "generations failed: the best so far has a fitness of 2, and nothing else" in caplog.text


def decider(**given: Any) -> Decider:
    prices = Prices(Cost(100, 0), 1, 0, 1, 1, 100, 0, 0.0)
    return Decider(Limits(seconds=1e9), prices, (), checkpoint_seconds=30.0, saved=0, now=0.0, **given)


def test_failing_generations_end_a_search_at_one_generation_however_it_is_dispatched() -> None:
    assert failing_generations(100) == 100
    fresh = decider()
    fresh.pace.learn(1000, 1.0)
    assert fresh.decide(Counters(generation=70, failing=70), now=0.0).generations == 30
    assert fresh.decide(Counters(generation=370), now=0.0).generations == 1000
    for generation, words in ((100, "every candidate failed"), (700, "every candidate of the last 100 generations")):
        stop = fresh.decide(Counters(generation=generation, failing=100), now=0.0).stop
        assert stop is not None
        assert (stop.code, words in stop.text) == (ALL_FAILED, True)
    assert decider(pardoned=100).decide(Counters(generation=100, failing=100), now=0.0).stop is None


def test_generations_that_fail_in_a_row_are_counted() -> None:
    done, zeros = Counters(), np.zeros(3, np.int64)
    for failed, failing in (([4, 4, 4], 3), ([4, 4, 4], 6), ([4, 0, 4], 1), ([3, 2, 1], 0)):
        done.add(zeros, zeros, np.array(failed), zeros, 4)
        assert done.failing == failing
        assert done.all_failed == (failing >= 3)


def test_wrong_code_of_a_plain_problem_is_an_error_with_its_traceback(tmp_path: Path) -> None:
    problem: HostProblem = load(f"{FILE}:Wrong")()
    with pytest.raises(EvaluationError, match="each of the first 4 candidates") as caught:
        Search(problem, RandomSearch(4), workers=1, run_directory=tmp_path / "run", **QUIET).run(generations=20)
    kept = (tmp_path / "run" / "failures.txt").read_text()
    assert "object has no attribute 'typo'" in kept
    assert 'failing.py", line' in kept
    assert "AttributeError: 'Wrong' object has no attribute 'typo'" in str(caught.value)
    assert 'failing.py", line' in str(caught.value)
    assert "worker.py" not in str(caught.value)


def test_a_plain_problem_may_fail_in_its_first_generation() -> None:
    problem: HostProblem = load(f"{FILE}:Diverging")()
    result = Search(problem, RandomSearch(4), workers=1, **QUIET).run(generations=2)
    assert result.stop_code == ALL_FAILED
    assert result.stop_reason.endswith("and every candidate failed: non-finite fitness: nan")
    assert str(result).startswith("fitness  every candidate failed (smaller is better)\nfound    nothing")
    ended = dataclasses.replace(result, evaluations=0, found="x = 1")  # as where Ctrl-C came before its first candidate
    assert str(ended).startswith("fitness  no candidate was evaluated (smaller is better)\nfound    nothing")
    violating = dataclasses.replace(result, best_feasible=False)
    assert violating.lack == "no candidate kept the constraints"


def test_the_command_line_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", f"{FILE}:Nowhere", "--strategy", "random-search", "--generations", "2", "--population-size", "4"]
    assert main([*command, "--run-directory", "run"]) == 1
    assert "and every candidate failed: the space's start has fitness nan" in capsys.readouterr().out
    assert main(["generalize", "run"]) != 0
    assert "every candidate failed" in capsys.readouterr().err


def test_each_kind_of_failure_is_kept_with_its_count_and_first_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    picky = load(f"{FILE}:Picky", HostProblem)()
    result = Search(picky, RandomSearch(8), run_directory=run, workers=1, **QUIET).run(generations=1)
    ((kind, count),) = result.failures.items()
    assert kind.startswith("raised: ValueError (failing.py, line")
    assert 0 < count == result.failed < 8
    assert caplog.text.count("is negative") == 1  # told once a kind
    kept = (run / "failures.txt").read_text()
    assert kept.startswith(f"{count} x {kind}\n    raised: ValueError: -0.")
    assert kept.count("Traceback (most recent call last)") == kept.count("raise ValueError") == 1
    resumed = Search.resume(run, workers=1, **QUIET).run(generations=3)
    assert resumed.failures == {kind: resumed.failed} == load_result(run).failures
    assert main(["show", str(run)]) == 0
    assert f"{resumed.failed} x raised: ValueError" in " ".join(capsys.readouterr().out.split())


def test_kinds_of_failures_are_bounded_and_read_back(tmp_path: Path) -> None:
    known: dict[str, failures.Failure] = {}
    for i in [*range(60), 3]:
        failures.add(known, f"kind {i}\nof failure", f"first {i}\n\n  Traceback\n3 x within it")
    failures.write(tmp_path, known)
    assert failures.read(tmp_path) == known
    counts = failures.counts(known)
    assert list(counts.items())[:2] == [("other kinds", 10), ("kind 3 of failure", 2)]
    assert len(counts) == failures.MOST_KINDS + 1


def test_generalization_of_plain_python_keeps_to_the_limits_of_workers(tmp_path: Path) -> None:
    picky = load(f"{FILE}:Picky", HostProblem)(time_limit=30.0)
    (score,) = generalization(picky, np.full(2, -0.5, np.float32), tasks=3, workers=1)
    assert (score.distribution, score.failed, math.isnan(score.fitness)) == ("training", 3, True)
    assert "raised: ValueError: -0.5 is negative (failing.py, line" in score.failure
