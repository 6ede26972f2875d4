"""Evaluation from scratch: each candidate trains new learners on the generation's tasks."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from evometa.backend.chunks import spread
from evometa.evaluation.population_evaluator import Evaluated, OneCandidate, PopulationEvaluator, register
from evometa.evaluation.task_source import KeyDraws
from evometa.evaluation_plan import FullEvaluation
from evometa.problem import Evaluation, InnerTraining, Problem, overrides
from evometa.spaces import Space
from evometa.strategy import Redrawn, Strategy
from evometa.types import Genotype, Key, Scalar


@dataclasses.dataclass(frozen=True, eq=False)
class FullEvaluator(PopulationEvaluator):
    """Evaluates each population from scratch, as the problem says; nothing is carried."""

    strategy: Strategy[Any] | None = None
    """Draws candidates again; None for evaluators of genotypes alone."""

    @property
    def redraws(self) -> bool:
        """Whether candidates are evaluated one chunk after the other, from genotypes."""
        return self.strategy is not None and not self._at_once and not self.space.branches

    def one_candidate(self) -> OneCandidate:
        """Return the function that evaluates one candidate on what its generation shares."""
        key, source = jax.eval_shape(jax.random.key, 0), self.tasks

        def one(shared: Any, genotype: Genotype) -> Evaluation:
            return source.evaluate(shared, self.omega(genotype))

        return OneCandidate(one, jax.eval_shape(source.draw, key), jax.eval_shape(self.space.sample, key))

    def evaluate(self, root: Key, key: Key, carried: Any, genotypes: Genotype) -> Evaluated:
        """Evaluate a population on the generation's tasks."""
        return Evaluated(self.population(key, genotypes), carried)

    def population(self, key: Key, genotypes: Genotype) -> Evaluation:
        """Evaluate a population of genotypes ``[P, ...]``; every part of the result has leading axis P."""
        source, strategy = self.tasks, self.strategy
        if isinstance(genotypes, Redrawn) and strategy is not None:
            count, members = strategy.population_size, self.members_per_task_set

            def drawn(both: Any, index: Scalar) -> Evaluation:
                shared, state = both
                own = jax.tree.map(lambda leaf: leaf[index // members], shared) if members else shared
                return source.evaluate(own, self.omega(strategy.member(state, index)))

            given = (self.draw(key, count), genotypes.state)
            return Evaluation(*self._map(drawn, given, jnp.arange(count, dtype=jnp.int32), self.chunk))
        if self._at_once and isinstance(source, KeyDraws):

            def together(shared: Key, own: Genotype) -> Evaluation:
                return source.evaluate_population(shared, jax.vmap(self.omega)(own))

            return Evaluation(*spread(together, source.draw(key), genotypes, devices=self.devices))
        if self.space.branches:  # not in turning genotypes into ω, which is cheaper for all at once
            return Evaluation(*self.on_tasks(key, jax.vmap(self.omega)(genotypes), source.evaluate))
        return Evaluation(*self.on_tasks(key, genotypes, self.one_candidate().function))

    @property
    def _at_once(self) -> bool:
        return not self.members_per_task_set and overrides(self.problem, "evaluate_population")


@register
def _make(
    plan: FullEvaluation, strategy: Strategy[Any], problem: Problem | InnerTraining, space: Space
) -> FullEvaluator:
    return FullEvaluator(problem, space, strategy.members_per_task_set, strategy=strategy)
