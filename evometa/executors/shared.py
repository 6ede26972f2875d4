"""One executor for the candidates of an asynchronous search and for its validations.

Outcomes of candidates are taken as they come, whoever is waiting at the time; a validation waits for its own.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from evometa.executors.executor import Executor, Outcome, Trial


class SharedExecutor:
    """An executor for validations, which lets candidates be called beside them.

    Args:
        executor: runs the calls of both.
        take: told the number of a candidate, its calls and their outcomes as soon as all of these are known.
    """

    def __init__(self, executor: Executor, take: Callable[[int, Sequence[Trial], list[Outcome]], None]) -> None:
        self._executor, self._take = executor, take
        self._coming: Iterator[tuple[int, Outcome]] | None = None
        self._forget()

    def _forget(self) -> None:
        self._candidates: dict[int, tuple[Sequence[Trial], dict[int, Outcome]]] = {}
        self._places: dict[int, tuple[int, int]] = {}
        self._wanted: set[int] = set()
        self._answers: collections.deque[tuple[int, Outcome]] = collections.deque()

    @property
    def capacity(self) -> int:
        """That of the executor."""
        return self._executor.capacity

    @property
    def candidates(self) -> int:
        """Candidates on their way."""
        return len(self._candidates)

    @property
    def calls(self) -> int:
        """Calls of candidates on their way."""
        return len(self._places)

    def __contains__(self, candidate: int) -> bool:
        return candidate in self._candidates

    def begin(self, candidate: int, trials: Sequence[Trial]) -> None:
        """Submit the calls of a candidate."""
        self._candidates[candidate] = trials, {}
        numbers = self._executor.submit(trials)
        self._places |= {number: (candidate, place) for place, number in enumerate(numbers)}

    def wait(self) -> None:
        """Wait until one more call of a candidate has returned.

        Raises:
            GivenUp: the search was asked to end, and has waited long enough.
        """
        left = self.calls
        while self.calls == left:
            self._listen()

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Take trials of a validation."""
        numbers = self._executor.submit(trials)
        self._wanted.update(numbers)
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return number and outcome of each trial of a validation."""
        while self._wanted or self._answers:
            while not self._answers:
                self._listen()
            yield self._answers.popleft()

    def _listen(self) -> None:
        """Take one outcome."""
        try:
            found = next(self._coming, None) if self._coming is not None else None
            if found is None:  # what was submitted since is completed by a new iterator
                self._coming = self._executor.as_completed()
                found = next(self._coming, None)
            if found is None:
                raise RuntimeError(f"{type(self._executor).__name__} expects to complete every trial, and lost some.")
        except BaseException:
            self._coming = None
            self._forget()
            raise
        number, outcome = found
        if number in self._wanted:
            self._wanted.remove(number)
            self._answers.append(found)
            return
        candidate, place = self._places.pop(number)
        trials, outcomes = self._candidates[candidate]
        outcomes[place] = outcome
        if len(outcomes) == len(trials):
            del self._candidates[candidate]
            self._take(candidate, trials, [outcomes[i] for i in range(len(trials))])

    def give_up(self) -> None:
        """Give up the calls that are on their way."""
        coming, self._coming = self._coming, None
        self._forget()
        if coming is not None and hasattr(coming, "close"):
            coming.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_up()
