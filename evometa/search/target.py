"""Whether a search has reached its target.

Without noise it has once the best fitness is as good. With noise the best fitness is the luckiest one, so the candidate
is asked again: the strategy's center, or without one the best so far, is evaluated on the fresh tasks of the final
selection, and only if that is as good the search ends. So that this costs a bounded part of the search, the next
candidate is asked some generations later; which ones these are follows from the prices alone.
"""

import math

from evometa.search.budget import SHARE, Prices
from evometa.search.decisions import Limits
from evometa.search.driver import Driver
from evometa.search.generation import CONTINUE, TARGET_REACHED, SearchState
from evometa.search.selection import FinalSelection
from evometa.storage.result import Counters


class Target:
    """The target of a run, in the problem's own direction; none where there is no limit of that kind.

    Args:
        driver: evaluates candidates.
        limits: the limits of the run.
        selection: evaluates on fresh tasks, and remembers what the final selection needs not evaluate again.
    """

    def __init__(self, driver: Driver, limits: Limits, selection: FinalSelection) -> None:
        self._driver, self._limits, self._selection = driver, limits, selection
        self._none = -math.inf * driver.sign
        self._target = limits.target if limits.target is not None else self._none
        self._waiting = False

    def value(self) -> float:
        """Return the fitness at which the next dispatch ends; none while the next candidate is not asked yet."""
        return self._none if self._waiting else self._target

    def within(self, done: Counters, generations: int) -> int:
        """Return how many generations the next dispatch has, at most those until the next candidate is asked."""
        if not self._waiting:
            return generations
        every = generations_between(self._driver.prices)
        return min(generations, every - done.generation % every)

    def confirmed(self, state: SearchState, done: Counters, code: int) -> int:
        """Return the stop code after a dispatch: that of the target only where the candidate is as good on fresh tasks.

        Args:
            state: the state after it.
            done: the counters, changed in place.
            code: what the dispatch ended with.

        Raises:
            GivenUp: the calls in flight were given up.
        """
        if self._waiting and done.generation % generations_between(self._driver.prices):
            return code
        goal = self._driver.sign * self._target
        if not float(state.best_fitness) <= goal or code not in (CONTINUE, TARGET_REACHED):
            return code
        if not self._driver.noisy(state):
            return TARGET_REACHED
        self._waiting = True
        reached = self._selection.confirms(self._driver, state, done, goal, self._limits.affords)
        return TARGET_REACHED if reached else CONTINUE


def generations_between(prices: Prices) -> int:
    """Return the generations from one candidate to the next: their evaluations take at most an eighth of the search."""
    tasks = max(prices.validation_tasks if prices.share > SHARE else prices.tasks_in_validation, 1)
    return max(1, math.ceil(tasks / (SHARE / 2 * prices.tasks_of(prices.generation))))
