"""The contract of population evaluators: how a compiled problem evaluates the population of a strategy.

A strategy names an evaluation plan (:mod:`evometa.evaluation_plan`); for each kind of plan one population evaluator
carries it out, and registers itself with :func:`evaluator_for`:

==================================  ==========================================================================
plan                                population evaluator
==================================  ==========================================================================
``FullEvaluation``                  :class:`~evometa.evaluation.full_evaluator.FullEvaluator`: from scratch
``HalvedEvaluation``                :class:`~evometa.evaluation.halving_evaluator.HalvingEvaluator`: from scratch, the
best further
``WindowedEvaluation``              :class:`~evometa.evaluation.windowed_evaluator.WindowedEvaluator`: windows of an
unroll
``PopulationTraining``              :class:`~evometa.evaluation.training_evaluator.TrainingEvaluator`: training that
continues
``GradientEvaluation``              :class:`~evometa.evaluation.gradient_evaluator.GradientEvaluator`: with the gradient
==================================  ==========================================================================
"""

import abc
import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.backend.chunks import map_chunks
from evometa.evaluation.task_source import KeyDraws, TrainingTasks, mean, task_source
from evometa.evaluation_plan import EvaluationPlan, HalvedEvaluation
from evometa.halving import Halving
from evometa.problem import Evaluation, InnerTraining, Problem
from evometa.spaces import Space
from evometa.strategy import Strategy
from evometa.types import Genotype, Key, Omega


class OneCandidate(NamedTuple):
    """The function that evaluates one candidate, and the shapes of its two arguments: what a layout is planned from."""

    function: Callable[[Any, Any], Any]
    shared: Any
    """What all candidates share."""
    item: Any
    """What belongs to one candidate."""


class Evaluated(NamedTuple):
    """What the evaluation of a population returns."""

    evaluation: Evaluation
    """Leading axis P."""
    carried: Any
    """What the next generation continues from, such as learners in the middle of their training."""
    gradient: Any = None
    """The gradient of the fitness with respect to each genotype ``[P, ...]``, where the plan asks for it."""
    stopped_at: Any = None
    """``[P]``, int32: the inner step after which a candidate was stopped, of which the evaluation is; 0 for those that
    were trained to the end. None where none is stopped."""


@dataclasses.dataclass(frozen=True, eq=False)
class PopulationEvaluator(abc.ABC):
    """Evaluates populations, and single genotypes on many tasks, for one problem on chosen devices.

    Args:
        problem: the problem.
        space: its space.
        members_per_task_set: consecutive candidates that share tasks; 0 for the whole population.
        chunk: candidates batched at a time on each device.
        devices: the devices to spread the population over; none where only shapes are asked for.
    """

    problem: Problem | InnerTraining
    space: Space
    members_per_task_set: int = 0
    chunk: int = 1
    devices: tuple[jax.Device, ...] = ()

    @property
    def tasks(self) -> TrainingTasks | KeyDraws:
        """Where the tasks come from."""
        return task_source(self.problem)

    @property
    def redraws(self) -> bool:
        """Whether :meth:`evaluate` also takes candidates that the strategy draws again; False by default."""
        return False

    @property
    def inner_steps_per_evaluation(self) -> int:
        """Learner updates that evaluating one candidate in one generation costs; by default the problem's own."""
        return self.problem.inner_steps_per_evaluation

    def inner_steps_of(self, population: int) -> int:
        """Return the learner updates that evaluating P candidates in one generation costs."""
        return population * self.inner_steps_per_evaluation

    def fewest_at_once(self, population: int) -> int:
        """Return how many of P candidates are evaluated at once, at least; a chunk need not hold more."""
        return population

    def omega(self, genotype: Genotype) -> Omega:
        """Return the ω that a genotype stands for."""
        return self.space.decode(self.space.repair(genotype))

    @abc.abstractmethod
    def one_candidate(self) -> OneCandidate:
        """Return the function that evaluates one candidate."""

    def initial(self) -> Any:
        """Return what is carried into the first generation, a pytree of arrays, part of every checkpoint; nothing."""
        return ()

    def prepare(self, state: Any, carried: Any) -> tuple[Any, Any]:
        """Return the strategy's state and what is carried as they are before candidates are asked for; unchanged."""
        return state, carried

    @abc.abstractmethod
    def evaluate(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> Evaluated:
        """Evaluate a population.

        Args:
            root: key of the search, the same in every generation.
            key: key of the generation.
            carried: from the generation before.
            genotypes: ``[P, ...]``; or, where it :attr:`redraws`, a :class:`~evometa.strategy.Redrawn`.
        """

    def validate_on(self, genotype: Genotype, tasks: Any, *, test: bool) -> Evaluation:
        """Evaluate one genotype on drawn tasks of either distribution, leading axis; means."""
        return mean(self._each(genotype, tasks, len(jax.tree.leaves(tasks)[0]), test=test))

    def validate_both(self, genotype: Genotype, train: Any, held_out: Any) -> tuple[Evaluation, Evaluation]:
        """Evaluate one genotype on drawn training tasks and as many held-out ones, leading axis; means of each.

        Where both are evaluated alike they are in one loop, so that the program holds it once.
        """
        count = len(jax.tree.leaves(train)[0])
        if not self.tasks.alike or jax.eval_shape(lambda: train) != jax.eval_shape(lambda: held_out):
            return self.validate_on(genotype, train, test=False), self.validate_on(genotype, held_out, test=True)
        tasks = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), train, held_out)
        each = self._each(genotype, tasks, count, test=False)
        first, last = (jax.tree.map(operator.itemgetter(half), each) for half in (slice(count), slice(count, None)))
        return mean(first), mean(last)

    def _each(self, genotype: Genotype, tasks: Any, count: int, *, test: bool) -> Any:
        """Evaluate one genotype on each task, in chunks that hold no more than ``count``; leading axis."""
        source = self.tasks
        evaluate = functools.partial(source.evaluate_on, test=test)
        return self._map(evaluate, self.omega(genotype), tasks, min(count, self.chunk * source.tasks_per_candidate))

    def on_tasks(self, key: Key, items: Any, function: Callable[[Any, Any], Any]) -> Any:
        """Return ``function(shared, item)`` of each item ``[P, ...]`` on the tasks of a generation; leading axis P.

        The tasks are shared by the whole population or, with :attr:`members_per_task_set`, by consecutive items.
        """
        count = jax.tree.leaves(items)[0].shape[0]
        return self.on_drawn(self.draw(key, count), jnp.arange(count), items, function)

    def draw(self, key: Key, population: int) -> Any:
        """Draw the tasks of a generation of P candidates; with :attr:`members_per_task_set`, leading axis."""
        draw = self.tasks.draw
        if not self.members_per_task_set:
            return draw(key)
        return jax.vmap(draw)(jax.random.split(key, -(-population // self.members_per_task_set)))

    def on_drawn(self, shared: Any, members: jax.Array, items: Any, function: Callable[[Any, Any], Any]) -> Any:
        """Return ``function(shared, item)`` of some candidates' items on drawn tasks; leading axis as of the items.

        Args:
            shared: from :meth:`draw`.
            members: the number of the candidate in its generation that each item belongs to.
            items: leading axis.
            function: of the tasks of one candidate, and its item.
        """
        if not self.members_per_task_set:
            return self._map(function, shared, items, self.chunk)

        def on_own_tasks(shared: Any, numbered: Any) -> Any:
            number, item = numbered
            return function(jax.tree.map(lambda leaf: leaf[number], shared), item)

        return self._map(on_own_tasks, shared, (members // self.members_per_task_set, items), self.chunk)

    def _map(self, function: Callable[[Any, Any], Any], shared: Any, items: Any, chunk: int) -> Any:
        return map_chunks(function, shared, items, chunk=chunk, devices=self.devices)


@functools.singledispatch
def _make(
    plan: EvaluationPlan, strategy: Strategy[Any], problem: Problem | InnerTraining, space: Space
) -> PopulationEvaluator:
    raise TypeError(f"No population evaluator is registered for the evaluation plan {plan!r}.")


register = _make.register
"""Decorates the function ``(plan, strategy, problem, space) -> PopulationEvaluator`` of one kind of plan."""


def evaluator_for(
    strategy: Strategy[Any], problem: Problem | InnerTraining, space: Space, halving: Halving | None = None
) -> PopulationEvaluator:
    """Return the population evaluator that a strategy's plan asks for, with chunks of one and no devices yet.

    With halving, the one that evaluates from scratch and trains only the best further.
    """
    return _make(_plan(strategy, halving), strategy, problem, space)


def _plan(strategy: Strategy[Any], halving: Halving | None) -> EvaluationPlan:
    return strategy.evaluation if halving is None else HalvedEvaluation(halving)


@functools.singledispatch
def _incompatibility(plan: EvaluationPlan, strategy: Strategy[Any], problem: Any) -> str | None:
    return None


register_incompatibility = _incompatibility.register
"""Decorates the function ``(plan, strategy, problem) -> str | None`` that says why a plan does not fit a problem."""


def plan_incompatibility(strategy: Strategy[Any], problem: Any, halving: Halving | None = None) -> str | None:
    """Return why a problem cannot be evaluated as a strategy plans, in one sentence, or None when it can."""
    return _incompatibility(_plan(strategy, halving), strategy, problem)
