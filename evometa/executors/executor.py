"""The contract of executors: where the calls of a plain-Python problem run.

A trial is one call of the problem. The search submits trials and takes their outcomes as they are completed; it puts
them back in order, so order, seeds, failures and history are the same whatever executor runs them.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from evometa.errors import EvaluationError
from evometa.pruning import Cutoffs, Reports
from evometa.types import Omega


class Trial(NamedTuple):
    """One call of a plain-Python problem."""

    omega: Omega
    """ω, a pytree of arrays as the problem's space decodes it."""
    seed: tuple[int, ...]
    """Non-negative integers for :func:`numpy.random.default_rng`; with ω they decide the outcome."""
    method: Literal["evaluate", "evaluate_test"] = "evaluate"
    """The problem's method to call."""
    budget: int | None = None
    """Inner steps that the call may take, for executors and problems that can stop early; None: the problem's own."""
    cutoffs: Cutoffs | None = None
    """What the call's reports are held against (:mod:`evometa.pruning`); None: nobody hears them."""


class Outcome(NamedTuple):
    """What became of one trial."""

    fitness: float
    """The problem's fitness, in its own direction; nan when the trial failed."""
    metrics: Mapping[str, float]
    """The problem's metrics; empty when the trial failed."""
    failure: str | None
    """Why the trial failed, in words; None when it did not."""
    vectors: Mapping[str, Sequence[float]] = {}
    """Objectives, constraints and measures, each only where the problem has them; empty when the trial failed."""
    evaluations: int = 1
    """Calls that were made for the trial, with those that were lost and made again; a search counts the trial once."""
    error: str | None = None
    """Where the problem's code is wrong, rather than the candidate: the traceback of what it raised, or what it should
    have returned instead."""
    drew: bool = True
    """Whether the call drew from its generator; where not, the same candidate has the same outcome with any seed."""
    seconds: float = math.nan
    """How long the problem's code ran; nan where that is not known, 0 where the outcome of an earlier call was used."""
    kind: str = ""
    """What failures of one cause have in common: the failure without what differs from candidate to candidate."""
    reports: Reports = ()
    """What the call reported, where that was heard."""
    stopped_at: int = 0
    """The step after which the call was stopped, with the fitness that it had reported; 0 where it was not."""


def failed(reason: str, error: str | None = None, *, kind: str = "") -> Outcome:
    """Return the outcome of a trial that failed, with what :attr:`Outcome.error` shows.

    Its kind is the reason where none is given.
    """
    return Outcome(math.nan, {}, reason, error=error, kind=kind or reason)


def outcome_of(answer: dict[str, Any]) -> Outcome:
    """Return what :meth:`evometa.executors.calls.Calls.answer` found as an outcome."""
    if "failure" in answer:
        outcome = failed(answer["failure"], answer.get("error"), kind=answer["kind"])
        return outcome._replace(seconds=answer["seconds"], reports=reports_of(answer.get("reports", ())))
    return Outcome(
        answer["fitness"],
        answer["metrics"],
        None,
        answer["vectors"],
        drew=answer.get("drew", True),
        seconds=answer["seconds"],
        reports=reports_of(answer.get("reports", ())),
        stopped_at=answer.get("stopped_at", 0),
    )


def reports_of(written: Iterable[Any]) -> Reports:
    """Return the reports of a call as they were before they were written as JSON."""
    return tuple((step, tuple(losses)) for step, losses in written)


class GivenUp(Exception):
    """Trials in flight were given up, since the search was asked to end and they did not."""


class WorkersLost(EvaluationError):
    """A call was lost with its workers more often than is allowed, and so has no outcome; the run can be continued."""


class Executor(Protocol):
    """Runs trials; a context manager that ends what it started.

    An implementation of your own needs nothing else: submitted trials are all completed, each exactly once, and what
    goes wrong in a problem's code is an outcome with a ``failure``, never an exception. Trials may be submitted while
    :meth:`as_completed` is being read, also after it has ended; then it is called again. Give ``Search(workers=...)`` a
    function that returns an executor for a problem, and have it checked by :func:`evometa.testing.check_executor`.
    """

    @property
    def capacity(self) -> int:
        """How many trials an asynchronous search keeps submitted, at least 1: enough that no worker waits for it.

        More than that makes a search slower to learn, since each candidate is asked for before those are known.
        """

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Take trials to run and return a number for each, unlike all before."""

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return number and outcome of every trial submitted and not returned yet, also of those submitted meanwhile.

        Ends when none is left. Trials in flight are given up when the iterator is closed or interrupted.

        Raises:
            GivenUp: the search was asked to end, and has waited long enough.
            WorkersLost: a call cannot be made. The search writes a checkpoint and raises it.
        """

    def __enter__(self) -> Self:
        """Return the executor."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what was started."""


def run_in_order(executor: Executor, trials: Sequence[Trial]) -> list[Outcome]:
    """Return the outcomes of trials, in the order of the trials."""
    numbers = executor.submit(trials)
    outcomes = dict(executor.as_completed())
    return [outcomes[number] for number in numbers]
