"""Gradient descent on a quadratic with noisy gradients, whose optimal learning rate schedule is known.

Branch of meta-learning: hyperparameters over time. The expected loss of any schedule has a closed form, as has that of
the optimal schedule, so the result of a search can be compared with the optimum.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.card import ProblemCard, Recipe
from evometa.problems.hyperparameters.schedules import HIGHEST, LOWEST, ScheduledTraining
from evometa.settings import Count, NonNegative
from evometa.types import Key, Scalar


class Descent(NamedTuple):
    """A learner: the current point."""

    point: jax.Array
    """θ ``[dimension]``."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class NoisyQuadratic(ScheduledTraining):
    """Find the learning rate schedule h for noisy gradient descent θ ← θ - h (θ + ε) on the mean of θ².

    ω is ``[knots]``, learning rates from 0.001 to 1 at evenly spaced steps, interpolated on a logarithmic scale. The
    inner loop takes ``inner_steps`` noisy gradient steps. The initial θ is standard normal and ε is normal with the
    given variance v, both drawn for each task. The expected loss V of a coordinate becomes (1 - h)² V + h² v, so the
    optimal h is V / (V + v) in every step, whatever the objective, and V is then 1 / (1 + s / v) after s steps. This is
    a model of minibatch noise.

    Paper: Schaul, Zhang and LeCun, "No more pesky learning rates", ICML 2013, arXiv:1206.1106, for the optimal step.

    Args:
        knots: K, number of learning rates in ω.
        dimension: number of coordinates of θ.
        variance: v, variance of the gradient noise.

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
    dimension: Count = 64
    variance: NonNegative = 10.0

    def sample_task(self, key: Key) -> jax.Array:
        """Draw the initial θ ``[dimension]``."""
        return jax.random.normal(key, (self.dimension,), jnp.float32)

    def init(self, key: Key, omega: jax.Array, task: jax.Array) -> Descent:
        """Start from the task's initial θ."""
        return Descent(task, jnp.int32(0))

    def step(self, key: Key, omega: jax.Array, task: Any, learner: Descent) -> Descent:
        """Take one noisy gradient step."""
        noise = np.float32(self.variance**0.5) * jax.random.normal(key, (self.dimension,), jnp.float32)
        point = learner.point - self.rate(omega, learner.steps) * (learner.point + noise)
        return Descent(point, learner.steps + 1)

    def loss(self, key: Key, omega: jax.Array, task: Any, learner: Descent) -> Scalar:
        """Return the mean of θ²."""
        return jnp.mean(learner.point**2)

    def expected(self, rates: ArrayLike) -> float:
        """Return the expected fitness of a schedule, in float64.

        Args:
            rates: the learning rates of equally long windows, such as a PBT's ``kept.omegas``; with S of them, one for
                each step (:meth:`rates` of an ω).
        """
        windows = np.ravel(np.asarray(rates, np.float64))
        each = np.repeat(windows, self.inner_steps // len(windows))
        values = [1.0]
        for rate in each:
            values.append((1 - rate) ** 2 * values[-1] + rate**2 * self.variance)
        return self._objective_of(values)

    def known_schedules(self) -> dict[str, Any]:
        """Return the best possible schedule."""
        return {"optimum": 1 / (1 + self.variance + np.arange(self.inner_steps))}

    def best_constant(self) -> float:
        """Return the lowest expected fitness of a constant learning rate, on a grid of 2000."""
        return min(self.expected([rate]) for rate in np.geomspace(LOWEST, HIGHEST, 2000))

    def best_schedule(self) -> float:
        """Return the lowest possible expected fitness, that of the schedule 1 / (1 + v + s) at steps s from 0 on."""
        return self._objective_of(1 / (1 + np.arange(self.inner_steps + 1) / self.variance))

    def _objective_of(self, values: Sequence[float] | NDArray[np.float64]) -> float:
        return float(np.mean([values[number] for number in self.objective.steps(self.inner_steps)]))
