"""A user's own executor, held to the contract while it runs: what it breaks is an error rather than a wrong history."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from evometa.errors import EvaluationError
from evometa.executors.executor import Executor, GivenUp, Outcome, Trial


class Supervised:
    """Runs trials in another executor; an executor.

    Args:
        executor: the user's.
        gives_up: asked after each outcome whether to give up: how many trials are left, when one returned last (by
            ``time.monotonic``), and how many seconds the longest wait was.
    """

    def __init__(self, executor: Executor, gives_up: Callable[[int, float, float], bool]) -> None:
        self._executor, self._gives_up = executor, gives_up
        self._name = type(executor).__name__
        self._last, self._left = -1, set[int]()
        self._seen = set[int]()

    @property
    def capacity(self) -> int:
        """How many trials an asynchronous search keeps submitted."""
        return self._executor.capacity

    def __enter__(self) -> "Supervised":
        self._executor.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.__exit__(kind, error, trace)

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Hand trials on.

        Raises:
            EvaluationError: it returned other than one new number for each.
        """
        numbers = list(self._executor.submit(trials))
        new = set(numbers) - self._seen
        if not len(new) == len(numbers) == len(trials):
            raise EvaluationError(
                f"{self._name}.submit expects to return a number for each trial, unlike all before; it returned "
                f"{numbers[:10]} for {len(trials)} trials."
            )
        self._seen |= new
        self._left |= new
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return what it returns.

        Raises:
            EvaluationError: it did not return each trial exactly once, with an outcome.
            GivenUp: ``gives_up`` said so.
        """
        returned, longest = time.monotonic(), 0.0
        with contextlib.ExitStack() as stack:
            stack.callback(self._left.clear)
            completed = iter(self._executor.as_completed())
            if hasattr(completed, "close"):
                stack.callback(completed.close)
            for number, outcome in completed:
                if number not in self._left:
                    how = "a second time" if number in self._seen else "although no trial has that number"
                    raise EvaluationError(
                        f"{self._name}.as_completed expects to return each trial exactly once; it returned {number} "
                        f"{how}."
                    )
                if not isinstance(outcome, Outcome):
                    raise EvaluationError(
                        f"{self._name}.as_completed expects pairs of a number and an Outcome, got "
                        f"{type(outcome).__name__}; return what evometa.executors.unpack_outcome does."
                    )
                self._left.remove(number)
                now = time.monotonic()
                returned, longest = now, max(longest, now - returned)
                yield number, outcome
                if self._left and self._gives_up(len(self._left), returned, longest):
                    raise GivenUp
            if self._left:
                raise EvaluationError(
                    f"{self._name}.as_completed expects to return every trial that was submitted; it ended without "
                    f"{len(self._left)} of them, such as {min(self._left)}."
                )
