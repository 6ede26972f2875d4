"""Policy gradients with parameter-based exploration (Sehnke et al. 2010) and ClipUp (Toklu et al. 2020), by evosax."""

import dataclasses
import functools
import math
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import optax

from evometa.space import Space
from evometa.strategies import _evosax, _pairs
from evometa.strategies._checks import vector_space
from evometa.strategies._evosax import EvosaxState
from evometa.strategies._ranks import centered_ranks, places
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous, require_population, require_positive
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class PGPE(Strategy[EvosaxState]):
    """Follow the gradient of the mean and of one standard deviation per coordinate, from mirrored pairs.

    For network weights, as OpenAI-ES, with standard deviations that adapt and ClipUp as the optimizer: each step has a
    bounded length, whatever the size of the gradient. A pair in which one member failed is dropped.

    Raises:
        ConfigurationError: an odd population_size, or a number that is not positive.
    """

    population_size: int = 256
    """Candidates in a generation, P even: P/2 mirrored pairs."""
    sigma: float = 0.1
    """First standard deviation of every coordinate, in genotype units."""
    max_speed: float = 0.067
    """Longest step of the mean in a generation, in radii of the first cloud of candidates, sigma √D. ClipUp's authors
    advise 1/15; the learning rate is half of it."""
    sigma_learning_rate: float = 0.1
    """Of the standard deviations."""
    sigma_max_change: float = 0.2
    """Largest relative change of a standard deviation in a generation."""

    def __post_init__(self) -> None:
        require_population(self, least=2, even=True)
        require_positive(
            self,
            sigma=self.sigma,
            max_speed=self.max_speed,
            sigma_learning_rate=self.sigma_learning_rate,
            sigma_max_change=self.sigma_max_change,
        )

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> EvosaxState:
        """Start at the space's start."""
        mean = vector_space(self, space).start(key)
        algorithm = _algorithm(self, len(mean), mean.dtype)
        return _evosax.start(algorithm, key, mean, self._parameters(algorithm))

    def ask(self, key: Key, state: EvosaxState) -> tuple[jax.Array, EvosaxState]:
        """Draw ``[P, D]`` candidates mean ± σ ε, each + before its -."""
        mean = state.inner.mean
        algorithm = _algorithm(self, len(mean), mean.dtype)
        halves, inner = algorithm.ask(key, state.inner, self._parameters(algorithm))
        plus, minus = jnp.split(halves, 2)
        return _pairs.join(plus, minus), EvosaxState(inner)

    def tell(self, key: Key, state: EvosaxState, genotypes: jax.Array, feedback: Feedback) -> EvosaxState:
        """Follow the gradient of the centred ranks; a broken pair ranks in the middle and so adds nothing."""
        mean = state.inner.mean
        algorithm = _algorithm(self, len(mean), mean.dtype)
        halves = jnp.concatenate(_pairs.split(genotypes))
        ranks = jnp.concatenate(_pairs.split(centered_ranks(places(_pairs.drop_broken(feedback.fitness)))))
        inner, _ = algorithm.tell(key, halves, ranks, state.inner, self._parameters(algorithm))
        return EvosaxState(inner)

    def _parameters(self, algorithm: Any) -> Any:
        return algorithm.default_params.replace(
            std_init=self.sigma, std_lr=self.sigma_learning_rate, std_max_change=self.sigma_max_change
        )

    def center(self, state: EvosaxState) -> jax.Array:
        """Return the mean ``[D]``."""
        mean: jax.Array = state.inner.mean
        return mean

    def diagnostics(self, state: EvosaxState) -> dict[str, Scalar]:
        """Return the geometric mean of the standard deviations."""
        return {"sigma": jnp.exp(jnp.mean(jnp.log(state.inner.std)))}


@functools.cache
def _algorithm(strategy: PGPE, dimension: int, dtype: np.dtype[Any]) -> Any:
    # The dtype is part of the cache's key alone: what evosax builds depends on JAX's x64 switch.
    del dtype
    speed = strategy.max_speed * strategy.sigma * math.sqrt(dimension)
    optimizer = _clip_up(learning_rate=speed / 2, max_speed=speed)
    return _evosax.build(evosax.algorithms.PGPE, strategy.population_size, dimension, optimizer=optimizer)


def _clip_up(learning_rate: float, max_speed: float, momentum: float = 0.9) -> optax.GradientTransformation:
    """Return ClipUp: momentum on the direction of the gradient alone, and a longest step."""

    def update(
        gradient: jax.Array, velocity: jax.Array, center: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        length = jnp.linalg.norm(gradient)
        velocity = momentum * velocity - learning_rate * gradient / jnp.where(length > 0, length, 1.0)
        speed = jnp.linalg.norm(velocity)
        velocity = velocity * jnp.where(speed > max_speed, max_speed / speed, 1.0)
        return velocity, velocity

    return optax.GradientTransformation(jnp.zeros_like, update)
