"""Policy gradients with parameter-based exploration (Sehnke et al. 2010) and ClipUp (Toklu et al. 2020), by evosax."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from evometa.settings import Pairs, Positive, StepSize
from evometa.strategies.shared import antithetic, evosax_distribution
from evometa.strategies.shared.evosax_distribution import EvosaxDistribution, EvosaxState
from evometa.strategies.shared.optimizer import Optimizer
from evometa.strategies.shared.ranks import centered_ranks, places
from evometa.strategy import Feedback
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class PGPE(EvosaxDistribution):
    """Follow the gradient of the mean and of one standard deviation per coordinate, from mirrored pairs.

    For network weights, as OpenAI-ES, with standard deviations that adapt and ClipUp as the optimizer: each step has a
    bounded length, whatever the size of the gradient. A pair in which one member failed is dropped.

    Raises:
        ConfigurationError: an odd population_size, or a number that is not positive.
    """

    population_size: Pairs = 256
    """Candidates in a generation, P even: P/2 mirrored pairs."""
    sigma: StepSize = 0.1
    """First standard deviation of every coordinate, in genotype units."""
    max_speed: Positive = 0.067
    """Longest step of the mean in a generation by ClipUp, in radii of the first cloud of candidates, sigma √D: its
    authors advise 1/15. Half of it is the learning rate of the optimizer, whichever it is."""
    sigma_learning_rate: Positive = 0.1
    """Of the standard deviations."""
    sigma_max_change: Positive = 0.2
    """Largest relative change of a standard deviation in a generation."""
    optimizer: Optimizer | str = "clip_up"
    """What turns gradient estimates of the mean into steps; see :class:`Optimizer`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Optimizer.of(self.optimizer)

    def ask(self, key: Key, state: EvosaxState) -> tuple[jax.Array, EvosaxState]:
        """Draw ``[P, D]`` candidates mean ± σ ε, in pairs of + and -."""
        halves, state = self._ask(key, state)
        return antithetic.join(*jnp.split(halves, 2)), state

    def tell(self, key: Key, state: EvosaxState, genotypes: jax.Array, feedback: Feedback) -> EvosaxState:
        """Follow the gradient of the centred ranks; a pair with a failed member ranks in the middle, without effect."""
        ranks = centered_ranks(places(antithetic.drop_broken(feedback.fitness)))
        halves, ranks = (jnp.concatenate(antithetic.split(both)) for both in (genotypes, ranks))
        told = self._tell(key, state, halves, ranks)
        return self._unless_all_failed(feedback, told, state, self.sigma)

    def _build(self, dimension: int) -> Any:
        learning_rate = self.max_speed * self.sigma * math.sqrt(dimension) / 2
        optimizer = Optimizer.of(self.optimizer).transformation(learning_rate)
        return evosax_distribution.build(
            evosax_distribution.algorithms().PGPE, self.population_size, dimension, optimizer=optimizer
        )

    def _parameters(self, algorithm: Any) -> Any:
        return algorithm.default_params.replace(
            std_init=self.sigma, std_lr=self.sigma_learning_rate, std_max_change=self.sigma_max_change
        )
