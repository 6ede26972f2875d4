"""Searches in which every candidate fails: they say so, end, and leave other candidates to be tried until then."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Evaluation, EvaluationError, HostProblem, Problem, Search, Space, load_result
from evometa.cli.main import main
from evometa.naming import load
from evometa.search.budget import Cost, Prices
from evometa.search.decisions import ALL_FAILED, Decider, Limits, failing_generations
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


@pytest.mark.parametrize("strategy", [NSGA2(4), Restarts(OpenAIES(4, sigma=0.01), patience=3)])
def test_other_candidates_are_tried_until_some_succeed(strategy: Any) -> None:
    result = Search(Corner(), strategy, **QUIET).run(generations=200)
    assert result.failed < result.evaluations
    assert result.best_omega[0] < 0.1


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


def test_wrong_code_of_a_plain_problem_is_an_error_with_its_traceback() -> None:
    problem: HostProblem = load(f"{FILE}:Wrong")()
    with pytest.raises(EvaluationError, match="each of the first 4 candidates") as caught:
        Search(problem, RandomSearch(2), workers=1, **QUIET).run(generations=20)
    assert "AttributeError: 'Wrong' object has no attribute 'typo'" in str(caught.value)
    assert 'failing.py", line' in str(caught.value)
    assert "worker.py" not in str(caught.value)


def test_a_plain_problem_may_fail_in_its_first_generation() -> None:
    problem: HostProblem = load(f"{FILE}:Diverging")()
    result = Search(problem, RandomSearch(4), workers=1, **QUIET).run(generations=2)
    assert result.stop_code == ALL_FAILED
    assert result.stop_reason.endswith("and every candidate failed: non-finite fitness: nan")


def test_the_command_line_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", f"{FILE}:Nowhere", "--strategy", "random-search", "--generations", "2", "--population-size", "4"]
    assert main([*command, "--run-directory", "run"]) == 1
    assert "and every candidate failed: the space's start has fitness nan" in capsys.readouterr().out
    assert main(["generalize", "run"]) != 0
    assert "every candidate failed" in capsys.readouterr().err
