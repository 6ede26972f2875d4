"""The driver of plain-Python problems: an executor evaluates, JAX asks and tells, one generation at a time.

Plain Python computes in float64, so the strategy and all records do too, whatever JAX's switch. Between generations the
state is in numpy arrays, which no computation outside can cut to float32.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.backend.precision import entropy_of
from evometa.errors import EvaluationError
from evometa.evaluation.population_evaluator import Evaluated
from evometa.executors.executor import Executor, GivenUp, Outcome, Trial, WorkersLost
from evometa.executors.memory import Memory
from evometa.problem import Evaluation, HostProblem
from evometa.pruning import Cutoffs, Losses, Pruning
from evometa.search.budget import UNBOUNDED, Cost
from evometa.search.driver import Driver, Rows, ValidationSettings
from evometa.search.generation import (
    CONTINUE,
    RootKeys,
    SearchState,
    generation_keys,
    initial_state,
    stop_code,
    validation_columns,
)
from evometa.spaces import Space
from evometa.storage.failures import Failure, add, counts
from evometa.storage.history import MEASURED, STATISTICS
from evometa.storage.trials import Row, trial_columns
from evometa.strategy import Strategy
from evometa.types import Genotype, Key

LEAST_WRONG = 4
"""Candidates that must fail by errors in the problem's code, and no other, before a search ends with an error."""

CALLS_IN_VALIDATION = 16
"""Calls that a validation averages, at most, of a problem that does not say how many (``num_tasks``) and turns out to
draw random numbers; of others it takes one."""

_GENERATION, _TRAIN, _TEST, CANDIDATE = 0, 1, 2, 3  # what a generator of random numbers is for; part of its seed


class SteppedDriver(Driver):
    """Runs generations one after the other.

    Args:
        problem: the problem.
        space: its space.
        strategy: the strategy.
        executor: runs the calls of the problem.
        seed: seed of everything.
        validation: how to validate.
        note: told, in words, of each new kind of failure.
        failures: the kinds of failures so far, to be added to.
        memory: what is known of candidates.
        double: compute in double precision; False for runs that began without.
        trials: whether there is a table of trials.
        pruning: decides which calls are stopped; None: none is.
        known: returns what pruning knows of earlier candidates, which is added to.
    """

    def __init__(
        self,
        problem: HostProblem,
        space: Space,
        strategy: Strategy[Any],
        executor: Executor,
        seed: int,
        validation: ValidationSettings,
        *,
        note: Callable[[str], None],
        failures: dict[str, Failure],
        memory: Memory,
        double: bool = True,
        trials: bool = False,
        pruning: Pruning | None = None,
        known: Callable[[], dict[str, list[Losses]]] = dict,
    ) -> None:
        steps = strategy.population_size * problem.inner_steps_per_evaluation
        super().__init__(problem, space, strategy, seed, validation, steps, double=double)
        self._host, self._executor, self._seed, self._note = problem, executor, entropy_of(seed), note
        self.failures = self._failures = failures
        self._wrong = 0.0
        self._drew = False
        self._memory = memory
        self._pruning, self._reported, self._known = pruning, known, dict[str, list[Losses]]()
        self._silent = 0
        self.trial_columns = (
            trial_columns(problem, space, problem.metric_names, problem.vector_lengths, stops=pruning is not None)
            if trials
            else ()
        )
        self._trials: list[Row] = []
        self._cost = Cost()
        self._initial = self._compiled(lambda key, first: initial_state(strategy, space, key, self.finalists, first))
        self._asking = self._in_python if strategy.asks_in_python else self._compiled(strategy.ask)
        self._jit_tell = self._compiled(super()._tell)
        self._stop = self._compiled(lambda state, target: stop_code(strategy, state, self.sign * target))
        self._jit_center = self._compiled(super().center)
        self._round = self._compiled(strategy.round)  # type: ignore[method-assign]
        groups = ("best", "center", "held_out") if problem.has_test() else ("best", "center")
        with self.precision():
            state = jax.eval_shape(self._initial, self.keys.start, np.int32(0))
            diagnostics = jax.eval_shape(strategy.diagnostics, state.strategy)
        self.columns = (
            *STATISTICS,
            *MEASURED,
            *(f"strategy/{name}" for name in diagnostics),
            *(f"{group}/{name}" for group in groups for name in problem.metric_names),
            *(("feasible",) if problem.vector_lengths.get("constraints") else ()),
            *(("stopped",) if pruning is not None else ()),
        )

    def initial(self, first: int = 0) -> SearchState:
        """Return the state before the first generation; with several starts, at the one of an index."""
        state: SearchState = jax.device_get(self._initial(self.keys.start, np.int32(first)))
        return state

    def advance(
        self, state: SearchState, first: int, count: int, target: float, left: float = math.inf
    ) -> tuple[SearchState, Rows, int]:
        """Run up to ``count`` generations; fewer where calls in flight were given up."""
        found: list[NDArray[Any]] = []
        values: list[list[float]] = []
        costs: list[Cost] = []
        trials: list[Row] = []
        measured = self.columns[len(STATISTICS) :]
        if first > 1 and np.isfinite(state.best_fitness):
            self._wrong = -math.inf
        self._known = {step: list(losses) for step, losses in self._reported().items()}
        code = int(self._stop(state, target))
        while code == CONTINUE and len(values) < count:
            number = first + len(values)
            self._cost, self._trials = Cost(), []
            keys = generation_keys(self.keys.generations, number)
            try:
                after, fitness, record, _ = self._generation(state, keys, number, self.keys)
                cost = self._cost
                if self.validates(number):
                    record |= self._validation(after)
            except (GivenUp, WorkersLost) as error:
                self.lost = error if isinstance(error, WorkersLost) else None
                break  # the generations before it count; a resumed search begins this one again
            state = after
            self._reported().update(self._known)
            costs.append(cost)
            trials += self._trials
            found.append(np.asarray(fitness))
            values.append([float(record.get(name, np.nan)) for name in measured])
            code = int(self._stop(state, target))
        dtype, n = np.dtype(state.best_fitness.dtype), len(values)
        population = np.array(found, dtype).reshape(n, self.strategy.population_size)
        rows = self._rows(first, population, np.array(values, dtype).reshape(n, len(measured)))
        spent = np.array([(cost.evaluations, cost.inner_steps) for cost in costs], np.int64).reshape(n, 2)
        rows = rows._replace(evaluations=spent[:, 0], inner_steps=spent[:, 1], trials=tuple(trials))
        return jax.device_get(state), rows, code

    def noisy(self, state: SearchState) -> bool:
        """Return whether the problem averages tasks, or calls of one candidate differ, as far as that is known.

        Where no call has drawn from its generator and no candidate was called twice, the best so far is called again.
        """
        if np.isfinite(state.best_fitness):
            self._look_for_noise(state.best_genotype)
        return self._host.num_tasks is not None or self._drew

    def _look_for_noise(self, genotype: Genotype) -> None:
        for test in {False, self.problem.has_test()}:
            known = self._drew or ("evaluate_test" if test else "evaluate") in self._memory.compared
            if self._host.num_tasks is None and not known:
                self.validate(genotype, 2, test=test)

    def validate(self, genotype: Genotype, tasks: int, *, test: bool) -> Evaluation:
        """Evaluate one genotype with as many calls as tasks."""
        omegas = self.omegas(jax.tree.map(lambda leaf: np.asarray(leaf)[None], genotype))
        evaluation, _ = self._run(omegas, _TEST if test else _TRAIN, 0, [0], tasks, test=test)
        return Evaluation(*jax.tree.map(lambda leaf: leaf[0], evaluation))

    def _validation(self, state: SearchState) -> dict[str, Any]:
        """Return the columns of a validation."""
        center = self.center(state)
        self._look_for_noise(center)
        tasks = self.prices.tasks_in_validation  # more if there is noise
        test = self.validate(center, tasks, test=True) if self.problem.has_test() else None
        return validation_columns(self.validate(center, tasks, test=False), test)

    def center(self, state: SearchState) -> Genotype:
        """Return the strategy's center, or the best so far where it has none."""
        return self._jit_center(state)

    def ask(self, state: SearchState, number: int) -> tuple[SearchState, Genotype]:
        """Return the state after asking and the population ``[P, ...]`` of a generation, both on the host."""
        return jax.device_get(self._ask(generation_keys(self.keys.generations, number)[0], state))  # type: ignore[no-any-return]

    def tell(self, state: SearchState, number: int, genotypes: Genotype, outcomes: list[Outcome]) -> SearchState:
        """Return the state, on the host, that knows the outcomes of a population, one of each candidate."""
        key = generation_keys(self.keys.generations, number)[2]
        self._count_failures(outcomes)
        after, _, _ = self._tell(key, state, genotypes, Evaluated(self._means(outcomes, 1), ()))
        return jax.device_get(after)  # type: ignore[no-any-return]

    def stopped(self, state: SearchState) -> int:
        """Return the stop code of a state, where no target is to be reached (:mod:`evometa.search.generation`)."""
        return int(self._stop(state, -self.sign * math.inf))

    def _ask(self, key: Key, state: SearchState) -> tuple[SearchState, Genotype]:
        genotypes, asked = self._asking(key, state.strategy)
        return state._replace(strategy=asked), genotypes

    def _in_python(self, key: Key, state: Any) -> tuple[Genotype, Any]:
        with self.precision():
            return self.strategy.ask(key, state)

    def _evaluate(
        self, state: SearchState, genotypes: Genotype, key: Key, number: Any, root: RootKeys
    ) -> tuple[SearchState, Genotype, Evaluated]:
        omegas, members = self.omegas(genotypes), self.strategy.members_per_task_set
        sets = [i // members if members else 0 for i in range(len(omegas))]
        tasks = self.prices.tasks_per_evaluation
        means, outcomes = self._run(omegas, _GENERATION, int(number), sets, tasks)
        if self._pruning is not None:
            self._learn(outcomes)
        return state, genotypes, self._evaluated(means, outcomes)

    def _evaluated(self, means: Evaluation, outcomes: list[Outcome]) -> Evaluated:
        """Return the evaluation of candidates with what is known of those that were stopped; one call of each then."""
        if self._pruning is None:
            return Evaluated(means, ())
        return Evaluated(means, (), stopped_at=np.array([outcome.stopped_at for outcome in outcomes], np.int32))

    def _cutoffs(self) -> Cutoffs | None:
        """Return what the calls of a generation are held against: before their last step, where that is known."""
        if self._pruning is None:
            return None
        found, last = self._pruning.cutoffs(self._known), self._host.inner_steps_per_evaluation or math.inf
        after = tuple(cutoff for cutoff in found.after if cutoff.step < last)
        return found._replace(after=after, objectives="objectives" in self.strategy.required_feedback)

    def _learn(self, outcomes: list[Outcome]) -> None:
        """Tell pruning what a generation has reported, in the order of its candidates; say if nothing was."""
        assert self._pruning is not None
        known = {step: list(losses) for step, losses in self._known.items()}
        for outcome in outcomes:
            if outcome.failure is None:
                self._pruning.learn(known, outcome.reports, stopped=outcome.stopped_at > 0)
        self._known = known
        sound = [outcome for outcome in outcomes if outcome.failure is None]
        if sound and not known and not self._silent:
            self._silent = 1
            self._note(
                f"Nothing was pruned: {type(self._host).__name__}.evaluate reported nothing; call self.report(step, "
                "value) in it."
            )

    def _tell(
        self, key: Key, state: SearchState, genotypes: Genotype, evaluated: Evaluated
    ) -> tuple[SearchState, jax.Array, dict[str, Any]]:
        state, fitness, record = self._jit_tell(key, state, genotypes, evaluated)
        return state, fitness, dict(record)

    def _run(
        self, omegas: list[Any], purpose: int, number: int, sets: list[int], tasks: int, *, test: bool = False
    ) -> tuple[Evaluation, list[Outcome]]:
        """Evaluate every ω with as many calls as tasks; return means, leading axis P, and what became of each call."""
        pruned = self._pruning is not None and purpose == _GENERATION
        cutoffs = self._cutoffs() if purpose == _GENERATION else None
        method: Literal["evaluate", "evaluate_test"] = "evaluate_test" if test else "evaluate"
        trials = [
            Trial(omega, seed_of(self._seed, purpose, number, task_set, task), method, cutoffs=cutoffs)
            for omega, task_set in zip(omegas, sets, strict=True)
            for task in range(tasks)
        ]
        always = self._host.calls_again or self.strategy.members_per_task_set > 0
        outcomes = self._memory.run(self._executor, trials, always=always)
        self._account(outcomes, tasks, pruned=pruned)
        means = self._means(outcomes, tasks)
        if purpose == _GENERATION:
            self._review(number, trials, outcomes, means)
        return means, outcomes

    def _account(self, outcomes: list[Outcome], tasks: int, *, pruned: bool) -> None:
        """Count what the calls of candidates took and of what they failed, and see whether there is noise."""
        self._count_failures(outcomes)
        drew = self._memory.varies or any(outcome.drew and outcome.failure is None for outcome in outcomes)
        if drew and not self._drew:
            self._drew = True
            if self._host.num_tasks is None and self.prices.validation_tasks == 1 and self.prices.share != UNBOUNDED:
                self.prices = dataclasses.replace(self.prices, validation_tasks=CALLS_IN_VALIDATION)
        evaluations, steps = len(outcomes) // tasks, self._host.inner_steps_per_evaluation
        inner_steps = sum(_steps(outcome, steps) for outcome in outcomes) if pruned else evaluations * steps
        self._cost += Cost(evaluations, inner_steps)

    def _review(self, number: int, trials: list[Trial], outcomes: list[Outcome], means: Evaluation) -> None:
        """Refuse code that is wrong for every candidate, and keep what the table of trials is told of a generation."""
        self._refuse_wrong_code(outcomes)
        if self.trial_columns:
            self._note_trials(number, trials, outcomes, means)

    def _means(self, outcomes: list[Outcome], tasks: int) -> Evaluation:
        """Return the mean over the tasks of each candidate, whose outcomes follow each other; leading axis P."""
        stacked = jax.tree.map(lambda *leaves: np.array(leaves), *map(self._evaluation, outcomes))
        return Evaluation(*jax.tree.map(lambda leaf: leaf.reshape(-1, tasks, *leaf.shape[1:]).mean(axis=1), stacked))

    def _note_trials(self, number: int, trials: list[Trial], outcomes: list[Outcome], means: Evaluation) -> None:
        """Keep what the table of trials is told of a generation, in which each candidate has as many calls."""
        calls = self.prices.tasks_per_evaluation
        for member in range(len(trials) // calls):
            own = slice(member * calls, (member + 1) * calls)
            mean: Evaluation = jax.tree.map(operator.itemgetter(member), means)
            kinds = [outcome.kind or outcome.failure for outcome in outcomes[own] if outcome.failure]
            self._trials.append(
                self._trial(number, member, trials[own.start].omega, mean, outcomes[own.start].stopped_at)
                | {
                    "failure": kinds[0] if kinds else "",
                    "seconds": sum(outcome.seconds for outcome in outcomes[own]),
                    "seed": " ".join(map(str, trials[own.start].seed)),
                }
            )

    def _refuse_wrong_code(self, outcomes: list[Outcome]) -> None:
        """Raise EvaluationError where the problem's code was wrong for every candidate from the search's first one on.

        That is said after the first generation, of small populations after a few: one candidate alone may be to blame.
        """
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        self._wrong += len(errors) if len(errors) == len(outcomes) else -math.inf
        if self._wrong >= LEAST_WRONG:
            name = type(self._host).__name__
            raise EvaluationError(
                f"{name}.evaluate failed for each of the first {int(self._wrong)} candidates, so its code seems to be "
                "wrong and the search ends; fix it, or let it return float('nan') for a candidate that cannot be "
                f"evaluated. The first error:\n{errors[0].rstrip()}"
            )

    def why_failing(self, state: SearchState) -> str:
        """Return the most frequent failure in words."""
        kind = next(iter(counts(self.failures)), None)
        words = self.failures[kind].first.splitlines() if kind else []
        return words[0] if words else kind or "the problem does not say why"

    def _count_failures(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.failure:
                first = f"{outcome.failure}\n{outcome.error or ''}".rstrip()
                if add(self._failures, outcome.kind or outcome.failure, first):
                    self._note(f"A candidate failed and is ranked last: {outcome.failure}")

    def _evaluation(self, outcome: Outcome) -> Evaluation:
        """Return an outcome as an evaluation with all declared parts, NaN where it failed."""
        vectors = {
            name: np.array(outcome.vectors.get(name, [np.nan] * length))
            for name, length in self._host.vector_lengths.items()
        }
        metrics = {name: float(outcome.metrics.get(name, np.nan)) for name in self._host.metric_names}
        return Evaluation(np.float64(outcome.fitness), metrics, **vectors)


def _steps(outcome: Outcome, declared: int) -> int:
    """Return the inner steps of a call: where it was stopped, else what the problem says, or what was reported last."""
    last = outcome.reports[-1][0] if outcome.reports else 0
    return outcome.stopped_at or (last if last and (outcome.failure or not declared) else declared)


def seed_of(*parts: int) -> tuple[int, ...]:
    """Return the seed of a call: search, purpose, generation, task set and task, the last two only where not 0."""
    while len(parts) > 3 and parts[-1] == 0:
        parts = parts[:-1]
    return parts
