"""When a search stops, and how many generations its next dispatch has."""

import dataclasses
import math

from evometa.errors import ConfigurationError
from evometa.result import Counters

DISPATCH_SECONDS = 1.0
"""How long a dispatch should last: short enough to stop and to see progress, long enough to cost nothing."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Totals over a run's life; None is no limit. Units as in :meth:`evometa.Search.run`."""

    generations: int | None = None
    evaluations: int | None = None
    inner_steps: int | None = None
    seconds: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not given:
            raise ConfigurationError(
                "Search.run expects at least one limit: generations, evaluations, inner_steps, seconds or target."
            )
        wrong = {name: value for name, value in given.items() if name != "target" and not value > 0}
        if wrong:
            raise ConfigurationError(f"Search.run expects limits above zero, got {wrong}.")

    def reached(self, done: Counters, population: int, inner_steps: int) -> str | None:
        """Return the limit that is reached, in words, or None.

        Args:
            done: what has been done.
            population: candidates in the next generation.
            inner_steps: learner updates of each of them.
        """
        if self.inner_steps is not None and not inner_steps:
            raise ConfigurationError(
                f"Search.run expects a limit that the problem can reach, got inner_steps={self.inner_steps} for a "
                "problem without inner training; limit generations, evaluations, seconds or target instead."
            )
        if self.seconds is not None and done.seconds >= self.seconds:
            return f"{self.seconds:g} seconds passed"
        for name, limit, used, each in self._countable(done, population, inner_steps):
            if used + each > limit:
                return f"the limit of {limit:,} {name} was reached"
        return None

    def generations_left(self, done: Counters, population: int, inner_steps: int) -> float:
        """Return how many generations fit under the limits that count something; infinity when none does."""
        left = [(limit - used) // each for _, limit, used, each in self._countable(done, population, inner_steps)]
        return min(left, default=math.inf)

    def _countable(self, done: Counters, population: int, inner_steps: int) -> list[tuple[str, int, int, int]]:
        rows = (
            ("generations", self.generations, done.generation, 1),
            ("evaluations", self.evaluations, done.evaluations, population),
            ("inner steps", self.inner_steps, done.inner_steps, population * inner_steps),
        )
        return [(name, limit, used, each) for name, limit, used, each in rows if limit is not None and each]


class Pace:
    """Adapts the number of generations in a dispatch so that it lasts about a second."""

    def __init__(self) -> None:
        self._seconds_each = math.inf

    def generations(self, left: float, seconds_left: float, most: int) -> int:
        """Return how many generations the next dispatch should have, at least one."""
        # Until a speed is known: one generation, which is all a slow problem can afford.
        wanted = min(DISPATCH_SECONDS, seconds_left) / self._seconds_each
        return int(max(1, min(wanted, left, most)))

    def learn(self, generations: int, seconds: float) -> None:
        """Take note of how long a dispatch was."""
        if generations:
            self._seconds_each = max(seconds / generations, 1e-9)

    def seconds_for(self, generations: float) -> float | None:
        """Return how long some generations will take, None when there is no telling."""
        seconds = generations * self._seconds_each
        return seconds if math.isfinite(seconds) else None
