"""Averaging the center over generations, to reduce the effect of noise."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.evaluation_plan import EvaluationPlan
from evometa.settings import Positive
from evometa.spaces import Space
from evometa.strategies.wrappers.wrapper import Wrapper, refuse_without_center
from evometa.strategy import Feedback, tell_population, unless_all_failed
from evometa.types import Genotype, Key, Scalar


class AveragedState(NamedTuple):
    """The state of the inner strategy, and the average of its centers."""

    inner: Any
    average: Genotype
    """Weighted sum of the centers so far."""
    weight: Scalar
    """Sum of the weights."""


@dataclasses.dataclass(frozen=True)
class Averaged(Wrapper[AveragedState]):
    """Use the average of a strategy's latest centers as the center (Polyak & Juditsky 1992).

    On a noisy problem the center of a distribution walks around the optimum; its average is closer. That holds for
    strategies whose steps stay long (OpenAIES, PGPE, PES, Gradient, Reinforce), not for CMAES, whose steps shrink in
    noise: see UHCMAES. The candidates are exactly those of the inner strategy.

    Raises:
        ConfigurationError: generations not positive; with the space: the inner strategy has no center.
    """

    generations: Positive = 20.0
    """Over how many generations the average reaches back: weights fall by a factor e in this time."""

    forwarded_plans: ClassVar[tuple[type[EvaluationPlan], ...]] = (EvaluationPlan,)

    def incompatibility(self, space: Space) -> str | None:
        """Refuse what the inner strategy refuses, and strategies without a center."""
        return refuse_without_center(self, self.strategy, space)

    def init(self, key: Key, space: Space) -> AveragedState:
        """Start without an average."""
        inner = self.strategy.init(key, space)
        average = jax.tree.map(jnp.zeros_like, self.strategy.center(inner))
        return AveragedState(inner, average, jnp.zeros(()))

    def ask(self, key: Key, state: AveragedState) -> tuple[Genotype, AveragedState]:
        """Ask the inner strategy."""
        genotypes, inner = self.strategy.ask(key, state.inner)
        return genotypes, state._replace(inner=inner)

    def tell(self, key: Key, state: AveragedState, genotypes: Genotype, feedback: Feedback) -> AveragedState:
        """Tell the inner strategy, and add its new center."""
        inner = tell_population(self.strategy, key, state.inner, genotypes, feedback)
        decay = jnp.exp(-1 / jnp.asarray(self.generations))
        average = jax.tree.map(lambda old, new: decay * old + new, state.average, self.strategy.center(inner))
        told = AveragedState(inner, average, (decay * state.weight + 1).astype(state.weight.dtype))
        return unless_all_failed(feedback.fitness, told, state._replace(inner=inner))

    def center(self, state: AveragedState) -> Genotype:
        """Return the average; before the first generation the center of the inner strategy."""
        return jax.tree.map(
            lambda sum_, now: jnp.where(state.weight > 0, sum_ / jnp.maximum(state.weight, 1), now),
            state.average,
            self.strategy.center(state.inner),
        )
