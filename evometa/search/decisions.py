"""What a search does next: how many generations to dispatch, whether to write a checkpoint, whether to stop and why.

Limits, pace, the strategy's own reasons, Ctrl-C, callbacks and checkpoint times meet in :meth:`Decider.decide` alone.
A decision is plain data: one process may decide for several.
"""

import dataclasses
import math
from typing import NamedTuple

from evometa.errors import ConfigurationError
from evometa.search.budget import UNBOUNDED, Cost, Prices
from evometa.search.generation import CONTINUE, FIRST_STRATEGY_STOP, TARGET_REACHED
from evometa.storage.result import Counters

DISPATCH_SECONDS = 1.0
"""How long a dispatch should last: short enough to stop and to see progress, long enough to cost nothing."""

MOST_GENERATIONS = 4096
"""The longest dispatch, in generations."""


FAILED_CANDIDATES, FAILED_GENERATIONS = 10_000, 50
"""A search ends when so many candidates in a row have failed, in at least so many generations."""

ALL_FAILED = "all_failed"


class StopReason(NamedTuple):
    """Why a search stopped."""

    code: str
    """``generations``, ``evaluations``, ``inner_steps``, ``seconds``, ``target``, ``all_failed``, ``callback``,
    ``interrupted``, ``not_written`` (the run directory could no longer be written to), or ``strategy:`` and the
    strategy's own code, such as ``strategy:tolx``. A search in which nothing but failures was found has the code
    ``all_failed``, whatever ended it, unless it was interrupted."""
    text: str
    """The same in words."""


INTERRUPTED = StopReason("interrupted", "interrupted")
CALLBACK = StopReason("callback", "a callback asked to stop")


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

    def require_reachable(self, prices: Prices) -> None:
        """Raise ConfigurationError for a limit on inner steps where there are none, or below the validation asked for.

        Validations that a share bounds leave room for the search; those without a bound may cost more than the limit.
        """
        first = self._counted(Counters(), prices, 1) if prices.share == UNBOUNDED else []
        own = {"evaluations": prices.generation.evaluations, "inner_steps": prices.generation.inner_steps}
        for name, limit, needed in first:
            if own[name] <= limit < needed:
                raise ConfigurationError(
                    f"Search.run expects a limit that leaves room for a generation and the final selection, which "
                    f"take {needed:,} {name.replace('_', ' ')} with validation_tasks={prices.validation_tasks}, got "
                    f"{name}={limit}; raise it, lower validation_tasks, or give a validation_share to bound its cost."
                )
        if self.inner_steps is not None and not prices.generation.inner_steps:
            raise ConfigurationError(
                f"Search.run expects a limit that the problem can reach, got inner_steps={self.inner_steps} for a "
                "problem without inner training; limit generations, evaluations, seconds or target instead."
            )

    def reached(self, done: Counters, prices: Prices) -> StopReason | None:
        """Return the limit that leaves no room for another generation, or None."""
        if self.seconds is not None and done.seconds >= self.seconds:
            return StopReason("seconds", f"{self.seconds:g} seconds passed")
        if self.generations is not None and done.generation >= self.generations:
            return StopReason("generations", f"the limit of {self.generations:,} generations was reached")
        for name, limit, needed in self._counted(done, prices, 1):
            if needed > limit:
                return StopReason(name, f"the limit of {limit:,} {name.replace('_', ' ')} was reached")
        return None

    def generations_left(self, done: Counters, prices: Prices) -> float:
        """Return how many generations fit under the limits that count something; infinity when none does."""
        left = math.inf if self.generations is None else self.generations - done.generation
        if self.evaluations is None and self.inner_steps is None:
            return left
        low, high = 0, 1  # the cost grows with every generation
        while high < left and self._fits(done, prices, high):
            low, high = high, 2 * high
        high = int(min(high, left + 1))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(done, prices, middle) else (low, middle)
        return low

    def affords(self, done: Counters, prices: Prices, tasks: int) -> bool:
        """Return whether evaluating one candidate on so many more tasks keeps the limits that count something."""
        return self._fits(dataclasses.replace(done, validation_tasks=done.validation_tasks + tasks), prices, 0)

    def _fits(self, done: Counters, prices: Prices, generations: int) -> bool:
        return all(needed <= limit for _, limit, needed in self._counted(done, prices, generations))

    def _counted(self, done: Counters, prices: Prices, generations: int) -> list[tuple[str, int, int]]:
        """Return name, limit, and what will have been used after so many more generations and the final selection."""
        if self.evaluations is None and self.inner_steps is None:
            return []
        own = Cost(done.evaluations, done.inner_steps) + prices.generation * generations
        count = prices.validations(done.generation, generations)
        spent = done.validation_tasks + count * prices.kinds * prices.tasks_in_validation
        needed = own + prices.of_tasks(spent + prices.selection(own, spent).total)
        rows = (
            ("evaluations", self.evaluations, needed.evaluations),
            ("inner_steps", self.inner_steps, needed.inner_steps),
        )
        return [(name, limit, used) for name, limit, used in rows if limit is not None]


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
        """Return how long some generations will take, None when that is unknown."""
        seconds = generations * self._seconds_each
        return seconds if math.isfinite(seconds) else None


class Decision(NamedTuple):
    """What the search does next."""

    generations: int
    """Generations of the next dispatch; 0 when the search stops."""
    checkpoint: bool
    """Whether to write a checkpoint first."""
    stop: StopReason | None
    """Why the search stops, None while it continues."""


def failing_generations(population: int) -> int:
    """Return how many generations of so many candidates may fail as a whole, one after the other."""
    return max(FAILED_GENERATIONS, -(-FAILED_CANDIDATES // population))


class Decider:
    """Decides after each dispatch what comes next.

    Args:
        limits: the limits of this run.
        prices: what generations, validations and the final selection cost.
        strategy_reasons: the strategy's stop reasons, each ``code: text``.
        checkpoint_seconds: seconds from one checkpoint to the next.
        saved: the generation of the newest checkpoint.
        pardoned: generations that failed as a whole and do not count any more: those that ended the search before.
        now: the time on a monotonic clock, seconds.
    """

    def __init__(
        self,
        limits: Limits,
        prices: Prices,
        strategy_reasons: tuple[str, ...],
        *,
        checkpoint_seconds: float,
        saved: int,
        now: float,
        pardoned: int = 0,
    ) -> None:
        limits.require_reachable(prices)
        self.limits, self.pace = limits, Pace()
        self.prices, self._strategy_reasons = prices, strategy_reasons
        self._checkpoint_seconds, self._saved, self._saved_at = checkpoint_seconds, saved, now
        self._patience, self._pardoned = failing_generations(prices.generation.evaluations), pardoned

    def decide(
        self, done: Counters, *, now: float, code: int = CONTINUE, interrupted: bool = False, asked: bool = False
    ) -> Decision:
        """Return what to do next.

        Args:
            done: what has been done.
            now: the time, as at the start.
            code: the stop code of the last dispatch.
            interrupted: whether Ctrl-C was pressed.
            asked: whether a callback asked to stop.
        """
        left = self._patience - self._failing(done)
        stop = self._of_code(code) or self.limits.reached(done, self.prices) or self._given_up(done, left)
        if interrupted:
            stop = INTERRUPTED
        elif asked:
            stop = stop or CALLBACK
        due = stop is not None or now - self._saved_at >= self._checkpoint_seconds
        checkpoint = due and done.generation > self._saved
        if checkpoint:
            self._saved, self._saved_at = done.generation, now
        if stop is not None:
            return Decision(0, checkpoint, stop)
        seconds_left = math.inf if self.limits.seconds is None else self.limits.seconds - done.seconds
        generations = self.limits.generations_left(done, self.prices)
        # Generations that fail are counted between dispatches; none goes beyond the last one that may.
        most = left if done.failing else MOST_GENERATIONS
        return Decision(self.pace.generations(generations, seconds_left, most), checkpoint, None)

    def _failing(self, done: Counters) -> int:
        if done.failing < self._pardoned:
            self._pardoned = 0
        return done.failing - self._pardoned

    @staticmethod
    def _given_up(done: Counters, left: int) -> StopReason | None:
        if left > 0:
            return None
        which = "every candidate" if done.all_failed else f"every candidate of the last {done.failing:,} generations"
        return StopReason(ALL_FAILED, f"{which} failed")

    def seconds_left(self, done: Counters) -> float | None:
        """Return the seconds until the first limit is reached at the present speed, None when that is unknown."""
        counted = self.pace.seconds_for(self.limits.generations_left(done, self.prices))
        if self.limits.seconds is None:
            return counted
        return min(self.limits.seconds - done.seconds, math.inf if counted is None else counted)

    def _of_code(self, code: int) -> StopReason | None:
        if code == CONTINUE:
            return None
        if code == TARGET_REACHED:
            return StopReason("target", f"the target fitness {self.limits.target:g} was reached")
        return strategy_stop(self._strategy_reasons, code)


def strategy_stop(reasons: tuple[str, ...], code: int) -> StopReason:
    """Return why a strategy stopped.

    Args:
        reasons: the strategy's stop reasons, each ``code: text``.
        code: the stop code of its state.
    """
    text = reasons[code - FIRST_STRATEGY_STOP]
    return StopReason(f"strategy:{text.partition(':')[0]}", text)
