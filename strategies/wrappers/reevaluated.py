"""Evaluating every candidate several times, to reduce the noise of the fitness."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.evaluation_plan import EvaluationPlan, FullEvaluation, GradientEvaluation
from evometa.settings import Several
from evometa.spaces import Space
from evometa.strategies.wrappers.wrapper import Wrapper
from evometa.strategy import Feedback, tell_population
from evometa.types import Genotype, Key


class ReevaluatedState(NamedTuple):
    """The state of the inner strategy."""

    inner: Any


@dataclasses.dataclass(frozen=True)
class Reevaluated(Wrapper[ReevaluatedState]):
    """Evaluate each candidate several times, on tasks of their own, and tell the strategy the mean.

    For problems whose noise cannot be averaged by more tasks (``num_tasks``): each evaluation has a key of its own.
    A candidate of which one evaluation fails counts as failed.

    Raises:
        ConfigurationError: times below 2.
    """

    times: Several = 4
    """Evaluations of each candidate; the population is that many times the strategy's."""

    forwarded_plans: ClassVar[tuple[type[EvaluationPlan], ...]] = (FullEvaluation, GradientEvaluation)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strategy.members_per_task_set:
            raise ConfigurationError(
                "Reevaluated expects a strategy whose candidates share their tasks, and "
                f"{self.strategy} gives parts of them tasks of their own; switch that off."
            )

    @property
    def population_size(self) -> int:
        """The population of the inner strategy times the evaluations of each candidate."""
        return self.times * self.strategy.population_size

    @property
    def members_per_task_set(self) -> int:
        """The candidates of the inner strategy: they share tasks each time."""
        return self.strategy.population_size

    def init(self, key: Key, space: Space) -> ReevaluatedState:
        """Begin the inner strategy."""
        return ReevaluatedState(self.strategy.init(key, space))

    def ask(self, key: Key, state: ReevaluatedState) -> tuple[Genotype, ReevaluatedState]:
        """Return the inner strategy's candidates, repeated: all of them, then all again."""
        genotypes, inner = self.strategy.ask(key, state.inner)
        again = jax.tree.map(lambda leaf: jnp.tile(leaf, (self.times, *[1] * (leaf.ndim - 1))), genotypes)
        return again, ReevaluatedState(inner)

    def tell(self, key: Key, state: ReevaluatedState, genotypes: Genotype, feedback: Feedback) -> ReevaluatedState:
        """Tell the inner strategy the mean of each candidate, of its constraints too."""
        size = self.strategy.population_size
        means = jax.tree.map(lambda leaf: jnp.mean(leaf.reshape(self.times, size, *leaf.shape[1:]), axis=0), feedback)
        first = jax.tree.map(lambda leaf: leaf[:size], genotypes)
        return ReevaluatedState(tell_population(self.strategy, key, state.inner, first, means))
