"""The final selection: the candidates of a search that is over, evaluated once more on fresh tasks.

On a noisy problem the best fitness of a search is the luckiest as much as the best. So the center, the best so far and
the finalists are evaluated on tasks that no generation has used, and the best of them there is selected; on a problem
without noise that is the best of center and best so far. What it costs is a share of the search's own cost
(:class:`evometa.search.budget.Prices`).
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from evometa.executors.executor import GivenUp
from evometa.feasibility import violation
from evometa.problem import Evaluation
from evometa.search.budget import Cost, Prices
from evometa.search.driver import Driver
from evometa.search.finalists import Finalists
from evometa.search.generation import SearchState
from evometa.storage.result import Counters
from evometa.types import Genotype

PATIENCE = 0.5
"""Seconds after which a selection says that it is going on."""


class Selection(NamedTuple):
    """What a final selection found; fitness in the problem's own direction."""

    generation: int
    """The generation after which it was made."""
    center: Genotype
    """The strategy's center, or the best where it has none."""
    center_train: Evaluation | None
    """The center on training tasks; None where the selection was skipped."""
    center_test: Evaluation | None
    """The center on held-out tasks; None where there are none."""
    selected: Genotype
    """The selected candidate."""
    selected_train: Evaluation | None
    selected_test: Evaluation | None
    tasks: int = 0
    """Tasks that each candidate was evaluated on; 0 where the selection was skipped."""


class _Cancelled(Exception):
    """The rest of a selection is skipped."""


class FinalSelection:
    """Makes the final selections of one search, and remembers what it has evaluated."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int, bool], Evaluation] = {}
        self._last: Selection | None = None
        self._asked: dict[bytes, float] = {}
        self._confirmed: tuple[int, int] | None = None

    def confirms(
        self,
        driver: Driver,
        state: SearchState,
        done: Counters,
        goal: float,
        affords: Callable[[Counters, Prices, int], bool],
    ) -> bool:
        """Return whether a candidate is as good as a goal on fresh tasks too, and count its tasks.

        The candidate is the center; of a strategy without one, the best so far or a finalist, each of which is asked
        once. A final selection after the same generation uses as many tasks.

        Args:
            driver: evaluates it.
            state: the state of the search.
            done: its counters.
            goal: the fitness to reach, to be minimised.
            affords: whether the limits leave room for so many tasks.

        Raises:
            GivenUp: the calls in flight were given up.
        """
        candidates = _candidates(driver, state)
        plan = driver.prices.selection(Cost(done.evaluations, done.inner_steps), done.validation_tasks, len(candidates))
        tasks = plan.tasks or driver.prices.tasks_per_evaluation
        best_first = candidates if driver.strategy.center(state.strategy) is None else candidates[:1]
        if any(self._asked.get(_bytes(one), np.inf) <= goal for one in best_first):
            return True
        candidate = next((one for one in best_first if _bytes(one) not in self._asked), None)
        if candidate is None or not affords(done, driver.prices, tasks):
            return False
        evaluation = driver.validate(candidate, tasks, test=False)
        done.validation_tasks += tasks
        self._asked[_bytes(candidate)] = loss = driver.loss_of(evaluation)
        if not loss <= goal:
            return False
        self._known[_bytes(candidate), tasks, False] = evaluation
        self._confirmed = done.generation, tasks
        return True

    def select(
        self,
        driver: Driver,
        state: SearchState,
        done: Counters,
        announce: Callable[[str], None],
        cancelled: Callable[[], bool],
    ) -> Selection:
        """Return the selection after the present generation, and count its tasks.

        Args:
            driver: evaluates candidates.
            state: the state of the search.
            done: its counters.
            announce: told in words what a selection that is not done at once is doing.
            cancelled: asked before each evaluation whether to skip the rest; then the best so far is selected.
        """
        if self._last is not None and self._last.generation == done.generation:
            return self._last
        try:
            if driver.prices.share and not cancelled():
                driver.noisy(state)  # which decides how many tasks there are
        except GivenUp:
            return skipped(state, done, driver.center(state))
        candidates = _candidates(driver, state)
        own = Cost(done.evaluations, done.inner_steps)
        plan = driver.prices.selection(own, done.validation_tasks, len(candidates))
        if not plan.tasks:
            return skipped(state, done, driver.center(state))
        if self._confirmed is not None and self._confirmed[0] == done.generation:
            plan = dataclasses.replace(plan, tasks=self._confirmed[1])
        candidates = candidates[: plan.candidates]
        started, announced = time.monotonic(), False

        def evaluate(genotype: Genotype, *, test: bool) -> Evaluation:
            nonlocal announced
            place = (_bytes(genotype), plan.tasks, test)
            if place not in self._known:
                if cancelled():
                    raise _Cancelled
                if not announced and time.monotonic() - started > PATIENCE:
                    announced = True
                    words = f"{len(candidates)} candidates on {plan.tasks} tasks each"
                    announce(f"final selection: {words}; Ctrl-C skips the rest")
                self._known[place] = driver.validate(genotype, plan.tasks, test=test)
                done.validation_tasks += plan.tasks
            return self._known[place]

        try:
            trained = [evaluate(genotype, test=False) for genotype in candidates]
            winner = min(range(len(candidates)), key=lambda i: _rank(trained[i], driver.sign))
            center, chosen = candidates[0], candidates[winner]
            tested = [
                evaluate(genotype, test=True) if driver.problem.has_test() else None for genotype in (center, chosen)
            ]
        except (_Cancelled, GivenUp):
            return skipped(state, done, driver.center(state))
        present = {_bytes(genotype) for genotype in candidates}
        self._known = {place: value for place, value in self._known.items() if place[0] in present}
        self._last = Selection(
            done.generation, center, trained[0], tested[0], chosen, trained[winner], tested[1], plan.tasks
        )
        return self._last


def skipped(state: SearchState, done: Counters, center: Genotype) -> Selection:
    """Return what is known without a selection: the best so far is the selected one."""
    chosen = state.best_genotype if np.isfinite(state.best_fitness) else center
    return Selection(done.generation, center, None, None, chosen, None, None)


def _rank(evaluation: Evaluation, sign: float) -> tuple[bool, float, float]:
    """Return what is smaller the better a candidate is: feasible ones first, then by violation, then by fitness."""
    fitness = float(evaluation.fitness)
    above = 0.0 if evaluation.constraints is None else float(violation(np.asarray(evaluation.constraints)))
    failed = not (np.isfinite(fitness) and np.isfinite(above))
    return failed, above, 0.0 if failed else sign * fitness


def _member(genotypes: Any, i: int) -> Genotype:
    return jax.tree.map(lambda leaf: leaf[i], genotypes)


def _bytes(genotype: Genotype) -> bytes:
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(genotype))


def _candidates(driver: Driver, state: SearchState) -> list[Genotype]:
    """Return center, best so far and finalists, from the best on, on the host; none twice."""
    state = state._replace(best_genotype=jax.device_get(state.best_genotype), finalists=jax.device_get(state.finalists))
    found = [jax.device_get(driver.center(state))]
    if np.isfinite(state.best_fitness):
        found.append(state.best_genotype)
    if isinstance(state.finalists, Finalists):
        fitness = np.asarray(state.finalists.fitness)
        order = [i for i in np.argsort(fitness, kind="stable") if np.isfinite(fitness[i])]
        found += [_member(state.finalists.genotypes, i) for i in order]
    return list({_bytes(genotype): genotype for genotype in reversed(found)}.values())[::-1]
