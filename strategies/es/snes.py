"""Separable natural evolution strategy (Schaul, Glasmachers & Schmidhuber 2011; Wierstra et al. 2014), by evosax."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from evometa.settings import Positive, Several, StepSize
from evometa.strategies.shared import evosax_distribution
from evometa.strategies.shared.evosax_distribution import EvosaxDistribution, EvosaxState
from evometa.strategies.shared.ranks import places, recombination
from evometa.strategy import Feedback
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class SNES(EvosaxDistribution):
    """Follow the natural gradient of the mean and of one standard deviation per coordinate.

    For many real numbers that depend little on each other: time and memory grow as P·D, and the scales of the
    coordinates are learned, their correlations are not.

    Raises:
        ConfigurationError: population_size below 2, or a sigma or learning rate that is not positive.
    """

    population_size: Several = 64
    """Candidates in a generation, P >= 2."""
    sigma: StepSize = 0.3
    """First standard deviation of every coordinate, in genotype units."""
    learning_rate: Positive = 1.0
    """Of the mean; 1 moves it to the weighted mean of the better half."""
    sigma_learning_rate: Positive | None = None
    """Of the logarithm of the standard deviations; None for (3 + ln D) / (5 √D)."""

    def ask(self, key: Key, state: EvosaxState) -> tuple[jax.Array, EvosaxState]:
        """Draw ``[P, D]`` candidates around the mean."""
        return self._ask(key, state)

    def tell(self, key: Key, state: EvosaxState, genotypes: jax.Array, feedback: Feedback) -> EvosaxState:
        """Follow the natural gradient of the ranks' utilities."""
        gain, _, trust = recombination(_table(self.population_size), places(feedback.fitness), 1.0)
        rate = state.inner.lr_std
        slowed = EvosaxState(state.inner.replace(lr_std=trust * rate))
        told = self._tell(key, slowed, genotypes, gain - 1 / self.population_size)
        told = EvosaxState(told.inner.replace(lr_std=rate))
        return self._unless_all_failed(feedback, told, state, self.sigma)

    def _build(self, dimension: int) -> Any:
        optimizer = optax.sgd(self.learning_rate)
        return evosax_distribution.build(
            evosax_distribution.algorithms().SNES, self.population_size, dimension, optimizer=optimizer
        )

    def _parameters(self, algorithm: Any) -> Any:
        d = algorithm.num_dims
        rate = self.sigma_learning_rate or (3 + math.log(d)) / (5 * math.sqrt(d))
        return algorithm.default_params.replace(std_init=jnp.asarray(self.sigma), lr_std_init=jnp.asarray(rate))


def _table(population_size: int) -> NDArray[np.float64]:
    """Return the utility of each rank, best first: ln(P/2 + 1) - ln(place), at least 0; sum 1."""
    raw = np.maximum(0.0, math.log(population_size / 2 + 1) - np.log(np.arange(1, population_size + 1)))
    return np.asarray(raw / raw.sum())
