"""Gradient descent on a quadratic with noisy gradients, whose best schedule is known.

Branch of meta-learning: hyperparameters over time. The expected loss of any schedule has a closed form, and so have the
best schedule and the best constant: what a search finds can be held against what there is to find.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problems._schedules import HIGHEST, LOWEST, ScheduledTraining
from evometa.types import Key, Scalar


class Descent(NamedTuple):
    """A learner on its way down."""

    point: jax.Array
    """θ ``[dimension]``."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class NoisyQuadratic(ScheduledTraining):
    """Minimise the mean of θ² by steps θ ← θ - h (θ + ε); find the learning rate h of each step.

    ω is ``[knots]``, learning rates from 0.001 to 1 at evenly spaced moments, interpolated on a logarithmic scale. θ
    begins standard normal and ε is normal with the given variance v, both anew for each task. The loss V of a
    coordinate becomes (1 - h)² V + h² v in expectation, so the best h is V / (V + v) in every step, whichever losses
    count, and V is then 1 / (1 + s / v) after s steps. A model of the noise of minibatches; cf. Schaul, Zhang and
    LeCun, "No more pesky learning rates", ICML 2013, arXiv:1206.1106, from which the best step is.

    Args:
        knots: K, moments at which ω says the learning rate.
        dimension: coordinates of θ.
        variance: v, of the gradient's noise.

    Raises:
        ConfigurationError: a dimension below 1, or a negative variance.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="hyperparameters over time",
        omega="learning rates at moments of training",
        learner="noisy gradient descent",
        paper="Schaul et al. 2013",
        recipe=Recipe("CMAES", {"population_size": 16}, {"seconds": 15}),
    )

    num_tasks: int = 8
    dimension: int = 64
    variance: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimension < 1 or not self.variance >= 0:
            raise ConfigurationError(
                "NoisyQuadratic expects a dimension of at least 1 and a variance of the gradient's noise >= 0, got "
                f"dimension={self.dimension} and variance={self.variance}."
            )

    def sample_task(self, key: Key) -> jax.Array:
        """Draw where θ begins, ``[dimension]``."""
        return jax.random.normal(key, (self.dimension,), jnp.float32)

    def init(self, key: Key, omega: jax.Array, task: jax.Array) -> Descent:
        """Begin there."""
        return Descent(task, jnp.int32(0))

    def step(self, key: Key, omega: jax.Array, task: Any, learner: Descent) -> Descent:
        """Take one noisy step."""
        noise = np.float32(self.variance**0.5) * jax.random.normal(key, (self.dimension,), jnp.float32)
        point = learner.point - self.rate(omega, learner.steps) * (learner.point + noise)
        return Descent(point, learner.steps + 1)

    def loss(self, key: Key, omega: jax.Array, task: Any, learner: Descent) -> Scalar:
        """Return the mean square."""
        return jnp.mean(learner.point**2)

    def expected(self, rates: ArrayLike) -> float:
        """Return the expected fitness of a schedule, in float64.

        Args:
            rates: the learning rate of each of any number of equally long windows, such as a PBT's ``kept.omegas``; S
                of them say each step's (:meth:`rates` of an ω).
        """
        windows = np.ravel(np.asarray(rates, np.float64))
        each = np.repeat(windows, self.inner_steps // len(windows))
        values = [1.0]
        for rate in each:
            values.append((1 - rate) ** 2 * values[-1] + rate**2 * self.variance)
        return self._counted(values)

    def best_constant(self) -> float:
        """Return the least expected fitness of a constant learning rate, on a grid of 2000."""
        return min(self.expected([rate]) for rate in np.geomspace(LOWEST, HIGHEST, 2000))

    def best_schedule(self) -> float:
        """Return the least expected fitness there is, of the schedule 1 / (1 + v + s) at step s from 0 on."""
        return self._counted(1 / (1 + np.arange(self.inner_steps + 1) / self.variance))

    def _counted(self, values: Sequence[float] | NDArray[np.float64]) -> float:
        return float(np.mean([values[number] for number in self.objective.steps(self.inner_steps)]))
