"""Evaluation with gradients: the fitness of candidates, and its gradient with respect to the genotype.

The gradient is that of the mean over tasks, through repair, decoding and the whole of inner training. In reverse mode
it costs as much as a few evaluations whatever the genotype's size D, and memory for the learner of every inner step; in
forward mode as much as about D evaluations, in constant memory.
"""

import copy
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from evometa.evaluation.population_evaluator import (
    Evaluated,
    OneCandidate,
    PopulationEvaluator,
    register,
    register_incompatibility,
)
from evometa.evaluation.task_source import KeyDraws, TrainingTasks
from evometa.evaluation_plan import GradientEvaluation, Mode
from evometa.problem import BaseProblem, Evaluation, InnerTraining, Problem
from evometa.spaces import Space
from evometa.strategy import Strategy
from evometa.types import Genotype, Key


@dataclasses.dataclass(frozen=True, eq=False)
class GradientEvaluator(PopulationEvaluator):
    """Evaluates each population from scratch, as the problem says, and differentiates the fitness besides.

    A candidate whose gradient is not finite failed, however good its fitness. Going back through the inner steps is not
    counted as inner steps.

    Args:
        mode: the mode of differentiation.
    """

    mode: Mode = "reverse"

    def one_candidate(self) -> OneCandidate:
        """Return the function that evaluates and differentiates one candidate."""
        key = jax.eval_shape(jax.random.key, 0)
        return OneCandidate(self._one, jax.eval_shape(self.tasks.draw, key), jax.eval_shape(self.space.sample, key))

    def evaluate(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> Evaluated:
        """Evaluate a population on the generation's tasks, with a gradient like each genotype."""
        evaluation, gradient = self.on_tasks(key, genotypes, self._one)
        return Evaluated(Evaluation(*evaluation), carried, gradient)

    @property
    def _source(self) -> TrainingTasks | KeyDraws:
        if self.mode == "forward" or not isinstance(self.problem, InnerTraining):
            return self.tasks
        # The way back needs what each inner step computed. Keeping learners alone, and computing the rest once more, is
        # a third of the memory of a network's training, and no slower: it stays in the cache.
        lean = copy.copy(self.problem)
        object.__setattr__(lean, "step", jax.checkpoint(self.problem.step, prevent_cse=False))
        return TrainingTasks(lean)

    def _one(self, shared: Any, genotype: Genotype) -> tuple[Evaluation, Genotype]:
        source = self._source

        def fitness(genotype: Genotype) -> tuple[Any, Evaluation]:
            evaluation = source.evaluate(shared, self.omega(genotype))
            return evaluation.fitness, evaluation

        differentiate = jax.grad if self.mode == "reverse" else jax.jacfwd
        found, evaluation = differentiate(fitness, has_aux=True)(genotype)
        # In forward mode the gradient has the type of the fitness.
        gradient = jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), found, genotype)
        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient)]).all()
        return evaluation._replace(fitness=jnp.where(finite, evaluation.fitness, jnp.nan)), gradient


@register
def _make(
    plan: GradientEvaluation, strategy: Strategy[Any], problem: Problem | InnerTraining, space: Space
) -> GradientEvaluator:
    return GradientEvaluator(problem, space, strategy.members_per_task_set, mode=plan.mode)


@register_incompatibility
def _incompatibility(plan: GradientEvaluation, strategy: Strategy[Any], problem: BaseProblem) -> str | None:
    name, remedy = type(strategy).__name__, "use a strategy that needs fitness alone, such as OpenAIES."
    if not isinstance(problem, (Problem, InnerTraining)):
        return (
            f"{name} expects a problem that JAX can differentiate, a Problem or InnerTraining, and "
            f"{type(problem).__name__} is evaluated by plain Python; {remedy}"
        )
    try:
        jax.eval_shape(*_make(plan, strategy, problem, problem.space).one_candidate())
    except (TypeError, ValueError, NotImplementedError) as error:
        return (
            f"{name} expects a problem that JAX can differentiate in {plan.mode} mode, and {type(problem).__name__} is "
            f"none: {str(error).splitlines()[0].rstrip('. ')}; "
            + ("try mode='forward', or " if plan.mode == "reverse" else "")
            + remedy
        )
    return None
