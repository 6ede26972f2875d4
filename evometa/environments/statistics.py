"""Running mean and variance of observations, by Welford's method."""

from typing import Any, NamedTuple

import numpy as np


class Statistics(NamedTuple):
    """Mean and variance of what an agent has observed, ``[O]`` each; float32.

    Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 1962. It begins
    with one observation of mean 0 and variance 1, so that the first ones are not blown up.
    """

    count: Any
    mean: Any
    squares: Any
    """Sum of squared deviations from the mean."""

    @classmethod
    def empty(cls, size: int) -> "Statistics":
        """Return those of an agent that has seen nothing."""
        return cls(np.float32(1), np.zeros(size, np.float32), np.ones(size, np.float32))

    def seen(self, observation: Any) -> "Statistics":
        """Return them with one more observation ``[O]``."""
        count = self.count + 1
        difference = observation - self.mean
        mean = self.mean + difference / count
        return Statistics(count, mean, self.squares + difference * (observation - mean))

    def seen_all(self, observations: Any) -> "Statistics":
        """Return them with N more observations ``[N, O]``, by the formula of Chan, Golub and LeVeque 1979."""
        added = len(observations)
        mean = observations.mean(axis=0)
        difference, count = mean - self.mean, self.count + added
        squares = ((observations - mean[None]) ** 2).sum(axis=0) + difference**2 * (self.count * added / count)
        return Statistics(count, self.mean + difference * (added / count), self.squares + squares)

    def normalize(self, observation: Any) -> Any:
        """Return an observation ``[O]`` in standard deviations from the mean, at most 10 either way."""
        return ((observation - self.mean) / (self.deviation + 1e-6)).clip(-10.0, 10.0)

    @property
    def deviation(self) -> Any:
        """The standard deviation ``[O]``."""
        return (self.squares / self.count) ** 0.5
