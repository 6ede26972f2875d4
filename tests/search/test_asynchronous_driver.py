"""Asynchronous searches: candidates come back in any order, none is lost, and a log of them is all that is needed.

An executor of the tests, in this process, returns calls in an order that it is given, so no test waits for one.
"""

import dataclasses
import errno
import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import ASHA, Box, ConfigurationError, HostProblem, RunDirectoryError, Search, load
from evometa.errors import EvometaWarning
from evometa.executors.executor import GivenUp, Outcome, Trial, failed
from evometa.naming import load as load_class
from evometa.search import decisions, execution
from evometa.storage.appended import Appended
from evometa.storage.call_log import CALLS
from evometa.storage.history import HISTORY, Table
from evometa.storage.trials import read_trials
from evometa.strategies import CMAES, AgedEvolution, GeneticAlgorithm, OpenAIES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Course, Errand = (load_class(f"{TOYS}:{name}") for name in ("Bowl", "Course", "Errand"))

AGED = AgedEvolution(population_size=4, living=8, tournament_size=3)
Order = Callable[[int], int]
"""From how many calls are on their way to which of them returns, the oldest being 0."""


class HostBowl(HostProblem):
    """Squared distance to (1, 1), in plain Python."""

    @property
    def space(self) -> Any:
        return Box((2,))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float(np.sum((omega - 1.0) ** 2))


def oldest(count: int) -> int:
    return 0


def newest(count: int) -> int:
    return count - 1


class Anyhow:
    """Runs calls in this process and returns them in a given order; after some, Ctrl-C gives up the others."""

    def __init__(self, problem: HostProblem, workers: int | None, order: Order, ends_after: float = np.inf) -> None:
        self.problem, self.capacity, self.order, self.ends_after = problem, workers or 2, order, ends_after
        self.waiting: list[tuple[int, Trial]] = []
        self.made: list[Trial] = []
        self.on_their_way: list[int] = []
        self.submitted = 0

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        numbers = list(range(self.submitted, self.submitted + len(trials)))
        self.submitted += len(trials)
        self.waiting += zip(numbers, trials, strict=True)
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        try:
            while self.waiting:
                if len(self.made) >= self.ends_after:
                    signal.raise_signal(signal.SIGINT)
                    raise GivenUp
                self.on_their_way.append(len(self.waiting))
                number, trial = self.waiting.pop(self.order(len(self.waiting)))
                self.made.append(trial)
                yield number, self.outcome(trial)
        finally:
            self.waiting = []

    def outcome(self, trial: Trial) -> Outcome:
        try:
            result: Any = getattr(self.problem, trial.method)(np.random.default_rng(trial.seed), trial.omega)
        except ValueError as error:
            return failed(f"raised: {error}", kind="raised")
        metrics = {name: float(value) for name, value in getattr(result, "metrics", {}).items()}
        return Outcome(float(getattr(result, "fitness", result)), metrics, None, seconds=0.1)

    def __enter__(self) -> "Anyhow":
        return self

    def __exit__(self, *_: Any) -> None:
        self.waiting = []


@pytest.fixture
def executors(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set how searches run calls; return the executors that they made."""
    made: list[Anyhow] = []

    def use(order: Order, ends_after: float = np.inf) -> list[Anyhow]:
        def make(problem: HostProblem, workers: int | None, **_: Any) -> Anyhow:
            made.append(Anyhow(problem, workers, order, ends_after))
            return made[-1]

        monkeypatch.setattr(execution, "executor_for", make)
        made.clear()
        return made

    return use


def drawn(seed: int) -> Order:
    rng = np.random.default_rng(seed)
    return lambda count: int(rng.integers(count))


def search(folder: Path | None, strategy: Any = AGED, problem: Any = None, **options: Any) -> Search:
    given = {"workers": 3, "validate_every": 2, "seed": 5} | options
    return Search(problem or Errand(), strategy, run_directory=folder, asynchronous=True, **given)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / CALLS).read_text().splitlines()]


def completed(folder: Path) -> list[int]:
    return [line["completed"] for line in lines(folder) if "completed" in line]


def state(one: Search) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(one._run.state)]


@pytest.mark.parametrize(
    ("strategy", "problem"), [(AGED, Errand()), (CMAES(4), HostBowl())], ids=["one by one", "four at a time"]
)
def test_a_log_alone_gives_the_same_state_and_history(
    strategy: Any, problem: Any, tmp_path: Path, executors: Any
) -> None:
    executors(drawn(1))
    whole = search(tmp_path / "run", strategy, problem)
    result = whole.run(generations=5)
    expected = (tmp_path / "run" / HISTORY).read_bytes(), state(whole)
    trials = (tmp_path / "run" / "trials.csv").read_bytes()
    assert completed(tmp_path / "run") != sorted(completed(tmp_path / "run"))
    assert sorted(completed(tmp_path / "run")) == list(range(20))
    assert (result.generations, result.evaluations) == (5, 20)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    made = executors(newest)
    again = Search.resume(tmp_path / "run")
    again.run(generations=5)
    assert not [trial for trial in made[0].made if trial.seed[1] == 3]  # no candidate is called again
    assert ((tmp_path / "run" / HISTORY).read_bytes(), state(again)) == expected
    assert (tmp_path / "run" / "trials.csv").read_bytes() == trials


def test_all_workers_are_busy_until_nothing_is_left_to_ask_for(tmp_path: Path, executors: Any) -> None:
    made = executors(drawn(2))
    search(None, RandomSearch(4), validation_share=0).run(generations=5)
    assert made[0].on_their_way == [3] * 18 + [2, 1]
    made = executors(drawn(2))
    search(None, RandomSearch(4), validation_share=0).run(evaluations=11)
    assert len(made[0].made) == 8  # as many whole rows as fit


def test_seeds_follow_from_numbers_and_not_from_the_order(tmp_path: Path, executors: Any) -> None:
    made = executors(drawn(3))
    search(tmp_path / "run", validation_share=0).run(generations=3)
    assert sorted(trial.seed for trial in made[0].made) == [(5, 3, number) for number in range(12)]
    for line in lines(tmp_path / "run"):
        assert line.get("seed", [[5, 3, line.get("asked")]]) == [[5, 3, line.get("asked")]]
    rows = read_trials(tmp_path / "run")
    assert [int(seed.split()[2]) for seed in rows["seed"]] == completed(tmp_path / "run")
    assert rows["generation"].tolist() == [1] * 4 + [2] * 4 + [3] * 4


def test_interruptions_lose_nothing_and_count_nothing_twice(tmp_path: Path, executors: Any) -> None:
    """One worker returns calls in the order of their submission, so an interrupted search is an uninterrupted one."""
    executors(oldest)
    whole = search(tmp_path / "whole", workers=1)
    result = whole.run(generations=6)
    folder = tmp_path / "run"
    for number, calls in enumerate((2, 5, 3, 4, 8)):
        executors(oldest, ends_after=calls)
        one = Search.resume(folder, workers=1) if number else search(folder, workers=1)
        stopped = one.run(generations=6)
        assert stopped.stop_code == "interrupted"
    executors(oldest)
    one = Search.resume(folder, workers=1)
    again = one.run(generations=6)
    assert (folder / HISTORY).read_bytes() == (tmp_path / "whole" / HISTORY).read_bytes()
    assert state(one) == state(whole)
    assert completed(folder) == list(range(24))
    assert (again.evaluations, again.failed, again.failures) == (24, result.failed, result.failures)
    assert result.failed > 0


def test_calls_on_their_way_are_made_again_with_their_seeds(tmp_path: Path, executors: Any) -> None:
    made = executors(newest, ends_after=9)
    search(tmp_path / "run", validation_share=0).run(generations=5)
    open_ = {line["asked"] for line in lines(tmp_path / "run") if "asked" in line} - set(completed(tmp_path / "run"))
    assert open_ == {0, 1, 11}
    first = {trial.seed: trial for trial in made[0].made}
    made = executors(oldest)
    Search.resume(tmp_path / "run", workers=3).run(generations=5)
    assert [trial.seed for trial in made[0].made[:3]] == [(5, 3, 0), (5, 3, 1), (5, 3, 11)]
    assert not first.keys() & {trial.seed for trial in made[0].made}
    assert sorted(completed(tmp_path / "run")) == list(range(20))


def test_a_search_in_memory_goes_on_where_it_was_given_up(executors: Any) -> None:
    executors(oldest)
    whole = search(None, AGED, HostBowl(), workers=1, seed=9)
    whole.run(generations=4)
    executors(oldest, ends_after=6)
    one = search(None, AGED, HostBowl(), workers=1, seed=9)
    result = one.run(generations=4)
    assert result.generations == 1
    late = [candidate.outcomes[0].fitness for candidate in one._run.calls.completed] if one._run.calls else []
    assert (len(late), result.best_fitness) == (2, min(late))  # also what no row contains yet
    assert result.best_fitness < one.history["best"][0]
    executors(oldest)
    one.run(generations=3)
    one.run(generations=4)
    assert state(one) == state(whole)
    assert one.history["best"].tolist() == whole.history["best"].tolist()


@dataclasses.dataclass(frozen=True)
class Pairs(HostProblem):
    """Two calls of each candidate, whose fitness is the number that was drawn."""

    num_tasks: int = 2

    @property
    def space(self) -> Any:
        return Box((2,))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float(rng.normal())


def test_a_candidate_is_completed_when_all_its_calls_are(tmp_path: Path, executors: Any) -> None:
    executors(drawn(4))
    problem = Pairs()
    search(tmp_path / "run", RandomSearch(4), problem, validation_share=0).run(generations=2)
    rows = read_trials(tmp_path / "run")
    for number, fitness in zip(completed(tmp_path / "run"), rows["fitness"], strict=True):
        seeds = (5, 3, number), (5, 3, number, 0, 1)
        assert fitness == np.mean([np.random.default_rng(seed).normal() for seed in seeds])


@dataclasses.dataclass(frozen=True)
class Hopeless(Pairs):
    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float("nan")


def test_a_search_in_which_all_fails_ends(executors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "FAILED_CANDIDATES", 40)
    monkeypatch.setattr(decisions, "FAILED_GENERATIONS", 2)
    executors(drawn(5))
    result = search(None, AGED, Hopeless(1)).run(generations=1000)
    assert result.stop_code == "all_failed"
    assert result.failed == result.evaluations == 40


def test_a_torn_log_is_continued_and_one_that_lost_more_is_not(tmp_path: Path, executors: Any) -> None:
    executors(drawn(6))
    search(tmp_path / "run").run(generations=2)
    log, torn = tmp_path / "run" / CALLS, tmp_path / "torn"
    shutil.copytree(tmp_path / "run", torn)
    with (torn / CALLS).open("ab") as file:
        file.write(b'{"completed": 8, "outc')
    Search.resume(torn).run(generations=3)
    assert sorted(completed(torn)) == list(range(12))
    whole = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(whole) + b"\0\0\0\n" + b'{"asked": 8}\n')
    with pytest.warns(EvometaWarning, match=r"The last 17 bytes of .*calls.jsonl are damaged; the calls that they"):
        Search.resume(tmp_path / "run").run(generations=3)
    assert sorted(completed(tmp_path / "run")) == list(range(12))
    log.write_bytes(b"".join(whole[:-1]))
    words = "calls.jsonl was expected to hold the 12 completed candidates that the checkpoint knows, and holds 7"
    with pytest.raises(RunDirectoryError, match=words):
        Search.resume(tmp_path / "run").run(generations=4)


def test_what_was_pruned_is_in_the_log_too(tmp_path: Path) -> None:
    rule = ASHA(first=1, reduction=3, window=12)
    one = search(tmp_path / "run", AGED, Course(), workers=0, pruning=rule, validation_share=0)
    one.run(generations=6)
    expected = (tmp_path / "run" / HISTORY).read_bytes(), state(one)
    assert one.history["stopped"].sum() > 0
    alive = one._run.state.strategy.fitness if one._run.state else ()
    rows = read_trials(tmp_path / "run")
    whole = set(rows["fitness"][rows["stopped_at"].isna()])
    assert set(np.asarray(alive)[np.isfinite(alive)].tolist()) <= whole  # told one by one, the others have failed
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    again = Search.resume(tmp_path / "run", workers=0)
    again.run(generations=6)
    assert ((tmp_path / "run" / HISTORY).read_bytes(), state(again)) == expected


def test_a_full_disk_ends_the_search_and_loses_nothing(
    tmp_path: Path, executors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    executors(drawn(8))
    append, left = Appended.append, [16]

    def full(file: Appended, content: bytes) -> None:
        left[0] -= isinstance(file, Table) is False
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(file, content)

    with monkeypatch.context() as patched:
        patched.setattr(Appended, "append", full)
        with pytest.warns(EvometaWarning, match=r"Could not write the history in .*No space left on device"):
            assert search(tmp_path / "run").run(generations=5).stop_code == "not_written"
    Search.resume(tmp_path / "run").run(generations=5)
    assert sorted(completed(tmp_path / "run")) == list(range(20))


def test_a_run_before_its_first_row_is_not_replaced_silently(tmp_path: Path, executors: Any) -> None:
    executors(oldest, ends_after=2)
    assert search(tmp_path / "run").run(generations=2).stop_code == "interrupted"
    with pytest.raises(RunDirectoryError, match="exists already and is never overwritten silently"):
        search(tmp_path / "run")
    executors(oldest)
    search(tmp_path / "run", overwrite=True, seed=6).run(generations=1)
    assert lines(tmp_path / "run")[0]["seed"] == [[6, 3, 0]]
    assert completed(tmp_path / "run") == [0, 1, 2, 3]
    assert load(tmp_path / "run").manifest.options["asynchronous"]


def test_what_cannot_be_asynchronous_is_refused_in_words(tmp_path: Path, executors: Any) -> None:
    words = "expects a plain-Python problem (HostProblem), whose calls take different times, and Bowl is compiled"
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Search(Bowl(), CMAES(4), asynchronous=True)
    words = "such as AgedEvolution, CMAES, GeneticAlgorithm or RandomSearch, and OpenAIES needs whole generations"
    with pytest.raises(ConfigurationError, match=words):
        search(None, OpenAIES(4), HostBowl())
    executors(oldest)
    Search(Errand(), AGED, run_directory=tmp_path / "run", workers=1).run(generations=1)
    with pytest.raises(ConfigurationError, match="keeps the run's own asynchronous"):
        Search.resume(tmp_path / "run", asynchronous=True)


def test_a_genetic_algorithm_keeps_the_best_so_far(tmp_path: Path, executors: Any) -> None:
    executors(drawn(7))
    one = search(tmp_path / "run", GeneticAlgorithm(4), validation_share=0)
    one.run(generations=8)
    rows = read_trials(tmp_path / "run")
    best = np.sort(rows["fitness"].dropna())[:4]
    assert one._run.state is not None
    np.testing.assert_array_equal(np.sort(one._run.state.strategy.fitness), best)
