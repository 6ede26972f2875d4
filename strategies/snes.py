"""Separable natural evolution strategy (Schaul, Glasmachers & Schmidhuber 2011; Wierstra et al. 2014), by evosax."""

import dataclasses
import functools
import math
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from evometa.space import Space
from evometa.strategies import _evosax
from evometa.strategies._checks import vector_space
from evometa.strategies._evosax import EvosaxState
from evometa.strategies._ranks import gains, places
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous, require_population, require_positive
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class SNES(Strategy[EvosaxState]):
    """Follow the natural gradient of the mean and of one standard deviation per coordinate.

    For many real numbers that depend little on each other: time and memory grow as P·D, and the scales of the
    coordinates are learned, their correlations are not.

    Raises:
        ConfigurationError: population_size below 2, or a sigma or learning rate that is not positive.
    """

    population_size: int = 64
    """Candidates in a generation, P >= 2."""
    sigma: float = 0.3
    """First standard deviation of every coordinate, in genotype units."""
    learning_rate: float = 1.0
    """Of the mean; 1 moves it to the weighted mean of the better half."""
    sigma_learning_rate: float | None = None
    """Of the logarithm of the standard deviations; None for (3 + ln D) / (5 √D)."""

    def __post_init__(self) -> None:
        require_population(self, least=2)
        require_positive(self, sigma=self.sigma, learning_rate=self.learning_rate)
        if self.sigma_learning_rate is not None:
            require_positive(self, sigma_learning_rate=self.sigma_learning_rate)

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> EvosaxState:
        """Start at the space's start."""
        mean = vector_space(self, space).start(key)
        algorithm = _algorithm(self, len(mean), mean.dtype)
        return _evosax.start(algorithm, key, mean, self._parameters(algorithm))

    def ask(self, key: Key, state: EvosaxState) -> tuple[jax.Array, EvosaxState]:
        """Draw ``[P, D]`` candidates around the mean."""
        mean = state.inner.mean
        algorithm = _algorithm(self, len(mean), mean.dtype)
        genotypes, inner = algorithm.ask(key, state.inner, self._parameters(algorithm))
        return genotypes, EvosaxState(inner)

    def tell(self, key: Key, state: EvosaxState, genotypes: jax.Array, feedback: Feedback) -> EvosaxState:
        """Follow the natural gradient of the ranks' utilities."""
        fitness = feedback.fitness
        mean = state.inner.mean
        algorithm = _algorithm(self, len(mean), mean.dtype)
        utilities = gains(_table(self.population_size), places(fitness)) - 1 / len(fitness)
        inner, _ = algorithm.tell(key, genotypes, utilities, state.inner, self._parameters(algorithm))
        return EvosaxState(inner)

    def _parameters(self, algorithm: Any) -> Any:
        d = algorithm.num_dims
        rate = self.sigma_learning_rate or (3 + math.log(d)) / (5 * math.sqrt(d))
        return algorithm.default_params.replace(std_init=jnp.asarray(self.sigma), lr_std_init=jnp.asarray(rate))

    def center(self, state: EvosaxState) -> jax.Array:
        """Return the mean ``[D]``."""
        mean: jax.Array = state.inner.mean
        return mean

    def diagnostics(self, state: EvosaxState) -> dict[str, Scalar]:
        """Return the geometric mean of the standard deviations."""
        return {"sigma": jnp.exp(jnp.mean(jnp.log(state.inner.std)))}


@functools.cache
def _algorithm(strategy: SNES, dimension: int, dtype: np.dtype[Any]) -> Any:
    # The dtype is part of the cache's key alone: what evosax builds depends on JAX's x64 switch.
    del dtype
    optimizer = optax.sgd(strategy.learning_rate)
    return _evosax.build(evosax.algorithms.SNES, strategy.population_size, dimension, optimizer=optimizer)


def _table(population_size: int) -> NDArray[np.float64]:
    """Return what the places earn, best first: ln(P/2 + 1) - ln(place), at least 0; sum 1."""
    raw = np.maximum(0.0, math.log(population_size / 2 + 1) - np.log(np.arange(1, population_size + 1)))
    return np.asarray(raw / raw.sum())
