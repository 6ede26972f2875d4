"""Running mean and variance of observations, by Welford's method."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Scalar


class Statistics(NamedTuple):
    """Mean and variance of what an agent has observed, ``[O]`` each; float32.

    Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 1962. It begins
    with one observation of mean 0 and variance 1, so that the first ones are not blown up.
    """

    count: Scalar
    mean: jax.Array
    squares: jax.Array
    """Sum of squared deviations from the mean."""

    @classmethod
    def empty(cls, size: int) -> "Statistics":
        """Return those of an agent that has seen nothing."""
        return cls(jnp.float32(1), jnp.zeros(size, jnp.float32), jnp.ones(size, jnp.float32))

    def seen(self, observation: jax.Array) -> "Statistics":
        """Return them with one more observation ``[O]``."""
        count = self.count + 1
        difference = observation - self.mean
        mean = self.mean + difference / count
        return Statistics(count, mean, self.squares + difference * (observation - mean))

    def normalize(self, observation: jax.Array) -> jax.Array:
        """Return an observation ``[O]`` in standard deviations from the mean, at most 10 either way."""
        deviation = jnp.sqrt(self.squares / self.count)
        return jnp.clip((observation - self.mean) / (deviation + 1e-6), -10.0, 10.0)
