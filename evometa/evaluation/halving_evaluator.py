"""Evaluation by successive halving: rung after rung in one program, and only the best candidates are trained further.

All candidates are trained up to the first rung and evaluated. The best of them are gathered with their learners, so
that the next loop is over these alone, and so on up to the whole training. Tasks, keys and the body of each loop are
those of :class:`~evometa.evaluation.full_evaluator.FullEvaluator`: a candidate that is trained to the end has, to the
last bit, the fitness that it would have there with the same chunk size.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import lax

from evometa.backend.static_leaves import unpack
from evometa.evaluation.carried_learners import learners_incompatibility
from evometa.evaluation.full_evaluator import FullEvaluator
from evometa.evaluation.population_evaluator import Evaluated, register, register_incompatibility
from evometa.evaluation.task_source import TaskSet, mean
from evometa.evaluation_plan import FullEvaluation, HalvedEvaluation
from evometa.feasibility import ranked, sound, violation
from evometa.halving import Halving
from evometa.inner_training import begin, part_key, train, validate
from evometa.objectives import Final
from evometa.pareto import crowding, fronts
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem, overrides, sign_of
from evometa.spaces import Space
from evometa.strategy import Strategy
from evometa.types import Genotype, Key, Learner, Omega, Task


@dataclasses.dataclass(frozen=True, eq=False)
class HalvingEvaluator(FullEvaluator):
    """Evaluates each population from scratch, and trains only the best of each rung further.

    Args:
        halving: the rungs.
        by_objectives: whether the best are those of the first fronts, the less crowded first, instead of those of the
            best fitness.
    """

    halving: Halving = dataclasses.field(kw_only=True)
    by_objectives: bool = False

    @property
    def training(self) -> InnerTraining:
        """The problem, as the inner training that it is."""
        return cast(InnerTraining, self.problem)

    def inner_steps_of(self, population: int) -> int:
        """Return the learner updates that evaluating P candidates costs: fewer candidates at each rung."""
        steps, counts = self.halving.steps(self.training.inner_steps), self.halving.counts(population)
        parts = zip(counts, (0, *steps), steps, strict=False)
        return self.training.num_tasks * sum(count * (end - start) for count, start, end in parts)

    def fewest_at_once(self, population: int) -> int:
        """Return how many of P candidates are trained to the end: larger chunks would be padded there."""
        return self.halving.counts(population)[-1]

    def evaluate(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> Evaluated:
        """Evaluate a population on the generation's tasks; of those that were stopped, as they were then."""
        items = jax.vmap(self._item)(genotypes)
        size = jax.tree.leaves(items)[0].shape[0]
        steps, counts = self.halving.steps(self.training.inner_steps), self.halving.counts(size)
        shared, members = self.draw(key, size), jnp.arange(size)
        found, learners = self.on_drawn(shared, members, (items, ()), self._rung(0, steps[0]))
        whole, stopped_at = found, jnp.full(size, steps[0], jnp.int32)
        for count, start, end in zip(counts[1:], steps, steps[1:], strict=False):
            chosen = self._best(Evaluation(*found), count)
            members, items, learners = jax.tree.map(lambda leaf, at=chosen: leaf[at], (members, items, learners))
            found, learners = self.on_drawn(shared, members, (items, learners), self._rung(start, end))
            whole = jax.tree.map(lambda all_, new, at=members: all_.at[at].set(new), whole, found)
            stopped_at = stopped_at.at[members].set(end)
        return Evaluated(
            Evaluation(*whole), carried, stopped_at=jnp.where(stopped_at == self.training.inner_steps, 0, stopped_at)
        )

    def _item(self, genotype: Genotype) -> Any:
        """Return what a candidate is in the loops; ω where turning a genotype into it is cheaper for all at once."""
        return self.omega(genotype) if self.space.branches else genotype

    def _rung(self, start: int, end: int) -> Callable[[TaskSet, Any], tuple[Evaluation, Learner]]:
        """Return the function that trains the learners ``[T, ...]`` of one candidate from one rung to the next."""
        problem = self.training
        # A loop of one round, were that known, would be dissolved, and its arithmetic rounded in another way.
        count = lax.optimization_barrier(jnp.int32(1)) if end - start == 1 else end - start

        def on_task(omega: Omega, key: Key, task: Task, learner: Learner) -> tuple[Evaluation, Learner]:
            if start == 0:
                learner = begin(problem, key, omega, task)
            learner = train(problem, key, omega, task, learner, start, cast(int, count))
            loss = validate(problem, key, omega, task, learner, end)
            found = problem.evaluate_learner(part_key(key, "metrics"), omega, task, unpack(learner), loss)
            return found, learner if end < problem.inner_steps else ()

        def one(shared: TaskSet, item: tuple[Any, Learner]) -> tuple[Evaluation, Learner]:
            own, learners = item
            omega = own if self.space.branches else self.omega(own)
            each = jax.vmap(functools.partial(on_task, omega))
            results, learners = each(shared.keys, shared.tasks, learners)
            return mean(results), learners

        return one

    def _best(self, evaluation: Evaluation, count: int) -> jax.Array:
        """Return which of some candidates are trained further, ascending, int32 ``[count]``."""
        sign, alive = sign_of(self.problem), sound(evaluation)
        number = lax.iota(jnp.int32, len(alive))
        constraints = evaluation.constraints
        if not self.by_objectives:
            loss = jnp.where(alive, sign * jnp.asarray(evaluation.fitness), jnp.inf)
            if constraints is not None:
                loss = ranked(loss, jnp.asarray(constraints))
            return jnp.sort(jnp.argsort(loss, stable=True)[:count].astype(jnp.int32))
        objectives = jnp.where(alive[:, None], sign * jnp.asarray(evaluation.objectives), jnp.inf)
        amount = jnp.zeros(len(alive), objectives.dtype) if constraints is None else violation(constraints)
        front = fronts(objectives, jnp.where(alive, amount, jnp.inf), count)
        order = lax.sort((front, -crowding(objectives, front), number), num_keys=2)[2]
        return jnp.sort(order[:count])


@register
def _make(
    plan: HalvedEvaluation, strategy: Strategy[Any], problem: Problem | InnerTraining, space: Space
) -> HalvingEvaluator:
    return HalvingEvaluator(
        problem,
        space,
        strategy.members_per_task_set,
        halving=plan.halving,
        by_objectives="objectives" in strategy.required_feedback,
    )


@register_incompatibility
def _incompatibility(plan: HalvedEvaluation, strategy: Strategy[Any], problem: BaseProblem) -> str | None:
    name, own = type(problem).__name__, type(strategy).__name__
    if not isinstance(problem, InnerTraining):
        return (
            f"Halving expects a problem whose training can be stopped at a rung, an InnerTraining, and {name} is none; "
            "search without it."
        )
    if not isinstance(strategy.evaluation, FullEvaluation):
        return (
            f"Halving expects a strategy that evaluates each candidate from scratch, and {own} does not; use another "
            "strategy, such as CMAES or OpenAIES, or search without halving."
        )
    if "measures" in strategy.required_feedback:
        return (
            f"Halving keeps the candidates of the best fitness, and {own} looks for different ones, each the best of "
            "its kind, so it would keep candidates that were stopped; search without halving."
        )
    if not isinstance(problem.objective, Final):
        return (
            "Halving expects a problem with the objective Final(), since at each rung it compares learners as they are "
            f"then, got {problem.objective}."
        )
    if overrides(problem, "evaluate_task"):
        return (
            f"Halving expects a problem that trains by step, so that the engine can stop it, and {name} trains in its "
            "own evaluate_task; search without it."
        )
    plan.halving.steps(problem.inner_steps)  # raises where there are too few
    evaluator = HalvingEvaluator(problem, problem.space, halving=plan.halving)
    _, shared, genotype = evaluator.one_candidate()
    _, learners = jax.eval_shape(
        lambda shared, genotype: evaluator._rung(0, 1)(shared, (evaluator._item(genotype), ())), shared, genotype
    )
    return learners_incompatibility("Halving", learners)
