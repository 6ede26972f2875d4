"""The driver of asynchronous searches of plain-Python problems: no worker waits for a generation.

As many calls are on their way as keep all workers busy. When a candidate is completed the strategy is told, and asked
for one more. Each ``population_size`` completed candidates, in the order of their arrival, make a row of the history;
a row may end with a validation and a checkpoint, as a generation does.

The order of arrival is data, and the log has it (:mod:`evometa.storage.call_log`). The state at the end of a row is a
function of the candidates that were completed so far, in their order: those after the newest checkpoint are told again
when a run is resumed, and candidates on their way when it ended are called again with their numbers and seeds. A call's
seed follows from the number of its candidate (how many were asked for before), never from the order of arrival.
"""

import copy
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.asynchronous import AsynchronousStrategy, tell_completed
from evometa.evaluation.population_evaluator import Evaluated
from evometa.executors.executor import Executor, GivenUp, Outcome, Trial, WorkersLost
from evometa.executors.shared import SharedExecutor
from evometa.problem import HostProblem
from evometa.search.driver import Candidates, Rows, ValidationSettings
from evometa.search.generation import RootKeys, SearchState, generation_keys, heard, noted
from evometa.search.stepped_driver import CANDIDATE, SteppedDriver, seed_of
from evometa.spaces import Space
from evometa.storage.call_log import CallLog, Completed
from evometa.types import Genotype, Key, Scalar


class AsynchronousDriver(SteppedDriver):
    """Runs rows of completed candidates, one after the other; a candidate is on its way beyond the end of a row.

    Args:
        problem: the problem.
        space: its space.
        strategy: the strategy.
        executor: runs the calls of the problem.
        seed: seed of everything.
        validation: how to validate.
        calls: the candidates that no row contains yet.
        ending: asked whether no more candidates are to be called.
        settings: the further arguments of :class:`~evometa.search.stepped_driver.SteppedDriver`.
    """

    def __init__(
        self,
        problem: HostProblem,
        space: Space,
        strategy: AsynchronousStrategy[Any],
        executor: Executor,
        seed: int,
        validation: ValidationSettings,
        *,
        calls: CallLog,
        ending: Callable[[], bool] = lambda: False,
        **settings: Any,
    ) -> None:
        self._shared = SharedExecutor(executor, self._completed)
        super().__init__(problem, space, strategy, self._shared, seed, validation, **settings)
        self._calls, self._ending = calls, ending
        self._place = 0
        self._most = math.inf
        sign = self.sign

        def ask_one(root: Key, number: Scalar, learned: Any) -> Genotype:
            return strategy.ask_one(generation_keys(root, number)[0], learned, number)

        def learn(key: Key, place: Scalar, learned: Any, genotypes: Genotype, evaluated: Evaluated) -> Any:
            key = jax.random.fold_in(key, place)
            if strategy.told_together == 1 and evaluated.stopped_at is not None:
                # Alone it cannot be behind those that were trained further, so it is told as one that failed.
                fitness = jnp.where(evaluated.stopped_at > 0, jnp.nan, evaluated.evaluation.fitness)
                evaluated = Evaluated(evaluated.evaluation._replace(fitness=fitness), ())
            return tell_completed(strategy, key, learned, genotypes, heard(evaluated, sign))

        def note(state: SearchState, genotypes: Genotype, evaluated: Evaluated) -> Any:
            return noted(strategy, sign, state, genotypes, evaluated, lambda told: state.strategy)

        self._ask_one, self._jit_learn, self._noted = map(self._compiled, (ask_one, learn, note))
        self._told_together = strategy.told_together

    def advance(
        self, state: SearchState, first: int, count: int, target: float, left: float = math.inf
    ) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` rows; candidates beyond them are on their way afterwards, as far as the limits allow."""
        size = self.strategy.population_size
        self._place, self._most = 0, max(left, count) * size
        state, rows, code = super().advance(state, first, count, target)
        self._calls.settle(len(rows.failed) * size)
        return state, rows, code

    def finish(self) -> None:
        """Give up the calls on their way; a search that continues makes them again."""
        self._shared.give_up()

    def with_newest(self, state: SearchState) -> SearchState:
        """Return a state whose best so far may also be a candidate that was completed after the last row."""
        for candidate in self._calls.completed:
            outcomes = list(candidate.outcomes)
            means = self._means(outcomes, self.prices.tasks_per_evaluation)
            loss = self.loss_of(jax.tree.map(operator.itemgetter(0), means))
            if loss < state.best_fitness and not any(outcome.stopped_at for outcome in outcomes):
                best: Any = np.asarray(loss, state.best_fitness.dtype)
                state = state._replace(best_genotype=candidate.genotype, best_fitness=best)
        return state

    def _generation(
        self, state: SearchState, keys: Key, number: Any, root: RootKeys
    ) -> tuple[SearchState, jax.Array, dict[str, Any], Candidates]:
        size, tasks = self.strategy.population_size, self.prices.tasks_per_evaluation
        learned, row = state.strategy, list[Completed]()
        while len(row) < size:
            batch = [self._next(learned) for _ in range(self._told_together)]
            row += batch
            outcomes = [outcome for candidate in batch for outcome in candidate.outcomes]
            evaluated = self._evaluated(self._means(outcomes, tasks), outcomes)
            learned = self._jit_learn(keys[2], np.int32(len(row)), learned, _stacked(batch), evaluated)
        genotypes = _stacked(row)
        self._before = copy.deepcopy(self._failures)
        outcomes = [outcome for candidate in row for outcome in candidate.outcomes]
        self._account(outcomes, tasks, pruned=self._pruning is not None)
        means = self._means(outcomes, tasks)
        pairs = zip(self.omegas(genotypes), row, strict=True)
        trials = [trial for omega, candidate in pairs for trial in self._trials_of(omega, candidate.number)]
        self._review(int(number), trials, outcomes, means)
        evaluated = self._evaluated(means, outcomes)
        if self._pruning is not None:
            self._learn(outcomes)
        state, fitness, record = self._noted(state._replace(strategy=learned), genotypes, evaluated)
        return state, fitness, dict(record), Candidates(genotypes, means)

    def _next(self, learned: Any) -> Completed:
        """Return the candidate that was completed next: of the log first, then as they arrive.

        Raises:
            GivenUp: no more are to be called, and none is on its way.
        """
        while self._place == len(self._calls.completed):
            self._fill(learned)
            if self._place < len(self._calls.completed):  # one that needed no call
                break
            if not self._shared.candidates:
                raise GivenUp
            self._shared.wait()
        self._place += 1
        return self._calls.completed[self._place - 1]

    def _fill(self, learned: Any) -> None:
        """Have candidates called until all workers are busy, first those that an earlier search had asked for."""
        calls, shared = self._calls, self._shared
        before = len(calls.completed)
        while (
            not self._ending()
            and len(calls.completed) == before
            and before + shared.candidates < self._most
            and shared.calls < shared.capacity
        ):
            waiting = (number for number in sorted(calls.open) if number not in shared)
            number = next(waiting, None)
            number = self._ask_for_one(learned) if number is None else number
            [omega] = self.omegas(_stacked_one(calls.open[number]))
            trials = self._trials_of(omega, number)
            known = [] if self._host.calls_again else [self._memory.known(trial) for trial in trials]
            if known and all(outcome is not None for outcome in known):
                calls.complete(number, [outcome for outcome in known if outcome is not None])
            else:
                shared.begin(number, trials)

    def _ask_for_one(self, learned: Any) -> int:
        """Ask the strategy for a candidate, and return its number."""
        calls = self._calls
        genotype = jax.device_get(self._ask_one(self.keys.generations, np.int32(calls.asked), learned))
        seeds = [self._seed_of(calls.asked, task) for task in range(self.prices.tasks_per_evaluation)]
        return calls.ask(genotype, seeds)

    def _trials_of(self, omega: Any, number: int) -> list[Trial]:
        tasks, cutoffs = range(self.prices.tasks_per_evaluation), self._cutoffs()
        return [Trial(omega, self._seed_of(number, task), cutoffs=cutoffs) for task in tasks]

    def _seed_of(self, number: int, task: int) -> tuple[int, ...]:
        return seed_of(self._seed, CANDIDATE, number, 0, task)

    def _completed(self, number: int, trials: Sequence[Trial], outcomes: list[Outcome]) -> None:
        for trial, outcome in zip(trials, outcomes, strict=True):
            self._memory.remember(trial, outcome)
        self._calls.complete(number, outcomes)

    def _validation(self, state: SearchState) -> dict[str, Any]:
        try:
            return super()._validation(state)
        except (GivenUp, WorkersLost):  # the row is made again from the log, with its failures
            self._failures.clear()
            self._failures.update(self._before)
            raise


def _stacked(candidates: list[Completed]) -> Genotype:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(candidate.genotype for candidate in candidates))


def _stacked_one(genotype: Genotype) -> Genotype:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], genotype)
