"""The checks of an executor, on short calls of a problem that fails in every way that spares its process."""

import csv
import dataclasses
import itertools
import math
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from evometa.executors.executor import Executor, Outcome, Trial
from evometa.executors.in_process import InProcess
from evometa.problem import Evaluation, HostProblem
from evometa.spaces import Box, Dict, Integer, Space
from evometa.testing.promises import require

ACTIONS = ("good", "slow", "raises", "nan", "nothing", "exits", "shared", "writes")
"""What calls of :class:`Probe` do, by ω's integer."""


@dataclasses.dataclass(frozen=True)
class Probe(HostProblem):
    """Does what ω says; a call that succeeds returns a number that depends on ω and on its generator."""

    metric_names: ClassVar[tuple[str, ...]] = ("draw",)

    @property
    def space(self) -> Space:
        """An action, and numbers."""
        return Dict({"action": Integer(0, len(ACTIONS) - 1), "x": Box((2,), -1.0, 1.0)})

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Any:
        """Do what ω says."""
        action = ACTIONS[int(omega["action"])]
        value = float(np.sum(np.square(omega["x"]))) + 0.01 * rng.normal()
        if action == "slow":
            time.sleep(0.1)
        if action == "raises":
            raise ValueError(f"{omega['x'][0]:.3f} is not what was expected")
        if action == "exits":
            sys.exit(1)
        if action == "shared":
            value += random.random() + np.random.random()  # noqa: NPY002
        if action == "writes":
            omega["x"] += 1.0  # its own copy
            value += float(np.sum(omega["x"]))
        found = {"nan": math.nan, "nothing": None}.get(action, value)
        return found if found is None else Evaluation(found, {"draw": rng.random()})

    def evaluate_test(self, rng: np.random.Generator, omega: Any) -> Any:
        """Do it on what is held out."""
        return -float(np.sum(omega["x"]))


def check_executor(factory: Callable[[HostProblem], Executor], *, seed: int = 0) -> None:
    """Check that an executor keeps its contract, and that a search with it is the same as with worker processes.

    Each trial is completed exactly once, whatever the order of arrival and when it was submitted; its outcome is what
    its ω and seed say, a failure where the problem's code raises, exits or returns no number; trials that were given up
    by closing the iterator leave nothing behind; and history, failures and trials of a small search are equal to the
    byte to those with the process pool. It takes a few seconds besides what the executor needs to start.

    Args:
        factory: returns the executor for a problem, as for ``Search(workers=...)``; called twice.
        seed: seed of the trials and of the search.

    Raises:
        ContractError: the first promise that is not kept.
    """
    probe = Probe()
    with factory(probe) as executor:
        name = type(executor).__name__
        capacity = getattr(executor, "capacity", None)
        require(
            isinstance(capacity, int) and capacity >= 1,
            f"{name}.capacity expects the number of trials that an asynchronous search keeps submitted, got {capacity}",
        )
        require(
            list(executor.submit([])) == [] and list(executor.as_completed()) == [],
            f"{name} expects to return no number for no trials, and to complete nothing then",
        )
        seen = _complete(name, executor, probe, seed)
        _close(name, executor, probe, seed, seen)
    _search(name, factory, probe, seed)


def _trials(seed: int, actions: Sequence[str], method: Any = "evaluate") -> list[Trial]:
    rng = np.random.default_rng(abs(seed))
    return [
        Trial({"action": np.int32(ACTIONS.index(action)), "x": rng.uniform(-1.0, 1.0, 2)}, (abs(seed), number), method)
        for number, action in enumerate(actions)
    ]


def _expected(probe: Probe, trials: Sequence[Trial]) -> list[Outcome]:
    with InProcess(probe) as reference:
        reference.submit(trials)
        return [outcome for _, outcome in reference.as_completed()]


def _complete(name: str, executor: Executor, probe: Probe, seed: int) -> set[int]:
    """Submit trials that are ready in another order, more while they run, and compare; return their numbers."""
    first = _trials(seed, ["slow", *ACTIONS, "good", "good"])
    later = _trials(seed + 1, ["good", "raises"]) + _trials(seed + 2, ["good"], "evaluate_test")
    numbers = list(executor.submit(first))
    require(
        len(set(numbers)) == len(numbers) == len(first),
        f"{name}.submit expects to return a number for each trial, unlike all others, got {numbers}",
    )
    found: dict[int, Outcome] = {}
    for number, outcome in executor.as_completed():
        if not found:
            added = list(executor.submit(later))
            require(
                len(added) == len(later) and not {*added} & {*numbers},
                f"{name}.submit expects numbers unlike all before, also while trials run; it returned {added} after "
                f"{numbers}",
            )
            numbers += added
        require(number in numbers, f"{name}.as_completed expects numbers that submit returned, got {number}")
        require(number not in found, f"{name}.as_completed expects to return each trial once, got {number} twice")
        require(
            isinstance(outcome, Outcome),
            f"{name}.as_completed expects pairs of a number and an Outcome, got {type(outcome).__name__}",
        )
        found[number] = outcome
    lost = [number for number in numbers if number not in found]
    require(
        not lost,
        f"{name}.as_completed expects to return every trial, also those submitted meanwhile; it ended without "
        f"{len(lost)} of {len(numbers)}",
    )
    trials = [*first, *later]
    for number, trial, expected in zip(numbers, trials, _expected(probe, trials), strict=True):
        _compare(name, trial, expected, found[number])
    return set(numbers)


def _close(name: str, executor: Executor, probe: Probe, seed: int, seen: set[int]) -> None:
    """Close the iterator while trials run, and see that what follows is not disturbed."""
    executor.submit(_trials(seed + 3, ["good", *["slow"] * 4]))
    completed = executor.as_completed()
    next(completed)
    require(
        hasattr(completed, "close"),
        f"{name}.as_completed expects to return an iterator that can be closed, which gives up the trials in flight; "
        "write it as a generator",
    )
    completed.close()  # type: ignore[attr-defined]
    require(
        list(executor.as_completed()) == [],
        f"{name}.as_completed expects trials to be given up when its iterator is closed; it still returns some",
    )
    trials = _trials(seed + 4, ["good", "good"])
    numbers = list(executor.submit(trials))
    require(
        not {*numbers} & seen,
        f"{name}.submit expects numbers unlike all before, also after its iterator was closed; it returned {numbers}",
    )
    found = dict(executor.as_completed())
    require(
        sorted(found) == sorted(numbers),
        f"{name}.as_completed expects to return the trials submitted since its iterator was closed, {numbers}, and "
        f"nothing else; it returned {sorted(found)}",
    )
    for number, trial, expected in zip(numbers, trials, _expected(probe, trials), strict=True):
        _compare(name, trial, expected, found[number])


def _compare(name: str, trial: Trial, expected: Outcome, found: Outcome) -> None:
    """Require that an outcome is the same, apart from how long it took and how often it was tried."""
    same_cost = expected._replace(seconds=found.seconds, evaluations=found.evaluations)
    for field, wanted, given in zip(Outcome._fields, same_cost, found, strict=True):
        same = wanted == given or (isinstance(wanted, float) and math.isnan(wanted) and given != given)
        require(
            same,
            f"{name} expects the outcome of a trial to follow from its ω and seed: {field} of a call that "
            f"{_WORDS.get(ACTIONS[int(trial.omega['action'])], 'succeeds')} is {wanted!r}, got {given!r}",
        )


_WORDS = {
    "raises": "raises an error",
    "nan": "returns NaN",
    "nothing": "returns nothing",
    "exits": "raises SystemExit",
    "shared": "draws from Python's and NumPy's shared generators",
    "writes": "changes its ω",
}


def _search(name: str, factory: Any, probe: Probe, seed: int) -> None:
    """Compare the files of a small search with those of one with worker processes."""
    from evometa.search.search import Search
    from evometa.strategies import GeneticAlgorithm

    written: list[dict[str, Any]] = []
    for workers in (2, factory):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "run")
            search = Search(probe, GeneticAlgorithm(8), seed=seed, run_directory=path, workers=workers, progress=False)
            search.run(generations=3)
            written.append({file: _lines(path / file) for file in ("history.csv", "failures.txt", "trials.csv")})
    for file, lines in written[0].items():
        pairs = itertools.zip_longest(lines, written[1][file])
        line = next((number for number, (one, other) in enumerate(pairs, 1) if one != other), None)
        require(
            line is None,
            f"{name} expects a search to write the same {file} as with worker processes; they differ from line {line} "
            "on",
        )


def _lines(path: pathlib.Path) -> list[list[str]]:
    """Return the lines of a file, without the seconds that calls took."""
    text = path.read_text().splitlines()
    if path.name != "trials.csv":
        return [[line] for line in text]
    rows = list(csv.reader(text))
    column = rows[0].index("seconds")
    return [row[:column] + row[column + 1 :] for row in rows]
