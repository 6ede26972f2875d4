"""Pruning of plain-Python problems: who is stopped, what becomes of them, and that workers change no history."""

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import ASHA, Box, ConfigurationError, Halving, HostProblem, MedianPruning, Search
from evometa.errors import EvometaWarning
from evometa.executors import Outcome, Trial, evaluate, pack_problem, pack_trial, unpack_outcome
from evometa.executors.executor import run_in_order
from evometa.executors.in_process import InProcess
from evometa.naming import load
from evometa.pruning import Cutoff, Cutoffs, Losses, Pruning
from evometa.strategies import CMAES, NSGA2, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Climb, Course, Diverging, Fence, Tuned, Two = (
    load(f"{TOYS}:{name}") for name in ("Bowl", "Climb", "Course", "Diverging", "Fence", "Tuned", "Two")
)
QUIET: dict[str, Any] = {"progress": False, "validation_share": 0.0}
SLOPES = [np.array([0.0, slope]) for slope in (0.1, 0.2, 0.4)]
AT_THREE = Cutoffs(best=False, after=(Cutoff(3, 1, ((0.5,),)),))


def called(problem: Any, cutoffs: Cutoffs | None = AT_THREE, omegas: Any = SLOPES) -> list[Outcome]:
    with InProcess(problem) as executor:
        return run_in_order(executor, [Trial(omega, (1,), cutoffs=cutoffs) for omega in omegas])


@pytest.mark.parametrize("swallows", ["", "Exception", "BaseException", "loops"])
def test_a_call_ends_where_it_reports_too_much_whatever_it_catches(swallows: str) -> None:
    outcomes = called(Course(swallows=swallows))
    assert [outcome.stopped_at for outcome in outcomes] == [0, 3, 3]
    np.testing.assert_allclose([outcome.fitness for outcome in outcomes], [0.9, 0.6, 1.2])
    assert [len(outcome.reports) for outcome in outcomes] == [9, 3, 3]
    assert [outcome.failure for outcome in outcomes] == [None] * 3


def test_losses_are_compared_and_fitness_is_returned() -> None:
    outcomes = called(Climb())
    assert [outcome.stopped_at for outcome in outcomes] == [0, 3, 3]
    np.testing.assert_allclose([outcome.fitness for outcome in outcomes], [-0.9, -0.6, -1.2])


def test_whoever_makes_a_call_sends_its_reports_back() -> None:
    packed = [pack_trial(Trial(omega, (1,), cutoffs=AT_THREE)) for omega in SLOPES]
    found = [unpack_outcome(evaluate(pack_problem(Course()), trial)) for trial in packed]
    assert [one._replace(seconds=0.0) for one in found] == [one._replace(seconds=0.0) for one in called(Course())]


def test_without_listeners_reports_change_nothing() -> None:
    assert [outcome.reports for outcome in called(Course(), None)] == [()] * 3
    assert Course().evaluate(np.random.default_rng(0), np.array([0.0, 1.0])) == 9.0


def test_a_report_that_is_not_finite_ends_a_failed_call() -> None:
    (outcome,) = called(Diverging(), omegas=SLOPES[:1])
    assert (outcome.failure, outcome.stopped_at, len(outcome.reports)) == ("non-finite fitness: nan", 0, 2)


def test_reports_that_make_no_sense_are_errors_of_the_code() -> None:
    class Wrong(HostProblem):
        space = Box((2,))  # type: ignore[assignment]

        def evaluate(self, rng: Any, omega: Any) -> float:
            for step, value in reports[int(omega[0])]:
                self.report(step, value)
            return 0.0

    reports: Any = [[(1.5, 0.0)], [(-1, 0.0)], [(True, 0.0)], [(1, None)], [(1, [1.0, 2.0])], [(3, 1.0), (3, 1.0)]]
    found = called(Wrong(), Cutoffs(best=False), [np.array([i, 0]) for i in range(len(reports))])
    for outcome, words in zip(
        found,
        ["step as a whole number", "got -1", "got True", "is NoneType", "is a list of 2", "got 3 after 3"],
        strict=True,
    ):
        assert words in str(outcome.failure)
        assert outcome.error is not None


def test_asha_keeps_the_best_third_at_each_rung() -> None:
    rule = ASHA(first=2, reduction=3)
    known: dict[str, list[Losses]] = {}
    assert rule.cutoffs(known) == Cutoffs(best=False)
    for loss in range(8):
        rule.learn(known, [(step, (10.0 * loss + step,)) for step in (1, 3, 5, 6)], stopped=loss > 4)
    assert known["2"] == [(10.0 * loss + 3,) for loss in range(8)]  # of the first report at or after the rung
    assert known["6"] == [(10.0 * loss + 6,) for loss in range(8)]
    # Of nine, itself included, three continue: those that are no worse than the third best of the eight.
    assert rule.cutoffs(known).after == (Cutoff(2, 1, ((23.0,),)), Cutoff(6, 1, ((26.0,),)))
    assert [rule.cutoffs(known).stops([(2, (loss,))]) for loss in (22.0, 23.0, 23.1)] == [False, False, True]
    few = ASHA(first=1, reduction=3, window=3)
    for loss in (5.0, 1.0, 2.0, 9.0, 3.0):
        few.learn(known, [(1, (loss,))], stopped=True)
    assert known["1"] == [(2.0,), (9.0,), (3.0,)]
    assert few.cutoffs({"1": known["1"]}).after == (Cutoff(1, 1, ((3.0,),)),)


def test_with_objectives_the_best_are_those_in_the_first_fronts() -> None:
    front = [(1.0, 4.0), (2.0, 3.0), (4.0, 1.0)]
    behind = [(3.0, 4.0), (5.0, 3.0), (9.0, 9.0)]
    known = {"1": front + behind}
    (cutoff,) = ASHA(reduction=2).cutoffs(known).after  # four of seven, itself included
    assert (cutoff.step, cutoff.places, len(cutoff.others)) == (1, 4, 6)
    cutoffs = ASHA(reduction=2).cutoffs(known)
    # Behind none, behind the three of the front, and behind these and the next two.
    assert [cutoffs.stops([(1, losses)]) for losses in ((0.0, 9.0), (2.0, 3.0), (4.5, 3.5), (8.0, 8.0))] == [
        *[False, False, False, True]
    ]


def test_the_median_is_of_those_that_went_to_the_end() -> None:
    rule = MedianPruning(startup=3, warmup=2)
    known: dict[str, list[Losses]] = {}
    for loss, stopped in ((1.0, False), (2.0, False), (-9.0, True)):
        rule.learn(known, [(1, (loss,)), (2, (2 * loss,)), (3, (3 * loss,))], stopped=stopped)
    assert rule.cutoffs(known).after == ()
    rule.learn(known, [(1, (3.0,)), (2, (8.0,))], stopped=False)
    assert rule.cutoffs(known) == Cutoffs(best=True, after=(Cutoff(2, 1, ((4.0,),)), Cutoff(3, 1, ((4.5,),))))
    # The best so far counts, and a report is held against the last step that it has passed.
    assert not rule.cutoffs(known).stops([(1, (0.0,)), (2, (99.0,))])
    assert rule.cutoffs(known).stops([(1, (5.0,)), (4, (4.6,))])
    assert not rule.cutoffs(known).stops([(1, (5.0,))])


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a search in this process."""
    folder = tmp_path_factory.mktemp("pruned") / "run"
    search(folder, workers=0).run(generations=5)
    return folder


def search(folder: Path, **settings: Any) -> Search:
    rule = ASHA(first=1, reduction=3, window=12)
    return Search(Course(), CMAES(6), seed=2, pruning=rule, run_directory=folder, **QUIET, **settings)


def test_workers_and_interruptions_change_nothing(searched: Path, tmp_path: Path) -> None:
    search(tmp_path / "run", workers=2).run(generations=2)
    resumed = Search.resume(tmp_path / "run", workers=0, progress=False)
    result = resumed.run(generations=5)
    assert (tmp_path / "run" / "history.csv").read_bytes() == (searched / "history.csv").read_bytes()
    assert result.failed == 0
    with pytest.raises(ConfigurationError, match="keeps the run's own pruning"):
        Search.resume(tmp_path / "run", pruning=None)


def test_reports_of_another_problem_are_forgotten(searched: Path, tmp_path: Path) -> None:
    shutil.copytree(searched, tmp_path / "run")
    with pytest.warns(EvometaWarning, match="continues with the problem Course"):
        resumed = Search.resume(tmp_path / "run", problem=Course(swallows="Exception"), workers=0, progress=False)
    resumed.run(generations=6)
    assert resumed.history["stopped"].tolist()[-2:] == [resumed.history["stopped"][4], 0]


def test_history_and_trials_say_who_was_stopped_and_count_the_steps(searched: Path) -> None:
    with open(searched / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    with open(searched / "history.csv") as file:
        history = list(csv.DictReader(file))
    steps = np.array([int(row["stopped_at"] or 9) for row in rows])
    np.testing.assert_array_equal(
        np.cumsum(steps.reshape(5, 6).sum(axis=1)), [int(row["inner_steps"]) for row in history]
    )
    stopped = [float(row["stopped"]) for row in history]
    np.testing.assert_array_equal((steps.reshape(5, 6) < 9).sum(axis=1), stopped)
    assert stopped[0] == 0
    assert sum(stopped[1:]) > 8
    for row, step in zip(rows, steps, strict=True):
        assert float(row["fitness"]) == pytest.approx(float(row["omega[0]"]) + float(row["omega[1]"]) * step, abs=1e-9)
    whole = min(float(row["fitness"]) for row in rows if not row["stopped_at"])
    assert float(history[-1]["best_so_far"]) == whole


def test_a_problem_that_reports_nothing_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    result = Search(Tuned(), RandomSearch(4), pruning=MedianPruning(startup=0), workers=0, **QUIET).run(generations=3)
    assert caplog.text.count("Nothing was pruned: Tuned.evaluate reported nothing") == 1
    assert result.generations == 3


def test_searches_with_several_objectives_are_pruned_too() -> None:
    search = Search(Two(), NSGA2(8), pruning=ASHA(reduction=2), workers=0, **QUIET)
    result = search.run(generations=4)
    assert (result.failed, search.history["stopped"][0]) == (0, 0)
    assert search.history["stopped"].sum() > 4
    assert result.inner_steps < 4 * 8 * 9
    assert result.archive is not None
    omegas, found = result.archive.omegas, result.archive.objectives
    np.testing.assert_allclose(found[:, 0], omegas[:, 0] + 9 * omegas[:, 1], rtol=1e-6)  # of all steps
    with pytest.raises(ConfigurationError, match="MedianPruning compares one number, and NSGA2"):
        Search(Two(), NSGA2(8), pruning=MedianPruning(), workers=0)


def test_words_of_the_command_line() -> None:
    assert Pruning.from_word("median") == MedianPruning()
    assert Pruning.from_word("asha:first=4,reduction=2") == ASHA(first=4, reduction=2)
    for rule in (ASHA(2, 4, 8), MedianPruning(1, 2, 3)):
        assert Pruning.from_word(rule.as_word()) == rule
    for word, answer in (("mean", "got mean"), ("asha:first=x", "got asha:first=x"), ("asha:steps=3", "steps")):
        with pytest.raises(ConfigurationError, match=re.escape(answer)):
            Pruning.from_word(word)


def test_a_method_of_a_similar_name_is_the_users_own() -> None:
    class Loud(Course):  # type: ignore[misc, valid-type]
        def reports(self, step: int, value: float) -> None:
            raise NotImplementedError

    Search(Loud(), CMAES(4), pruning=ASHA(), workers=0)


def test_what_cannot_be_pruned_is_refused() -> None:
    class Averaged(Course):  # type: ignore[misc, valid-type]
        num_tasks = 3

    for problem, words in (
        (Bowl(), "Bowl is compiled; use halving=Halving()"),
        (Fence(), "Fence returns constraints besides"),
        (Averaged(), "Averaged averages num_tasks=3"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            Search(problem, CMAES(4), pruning=ASHA(), workers=0)
    with pytest.raises(ConfigurationError, match="expects a problem whose training can be stopped at a rung"):
        Search(Course(), CMAES(4), halving=Halving(), workers=0)
