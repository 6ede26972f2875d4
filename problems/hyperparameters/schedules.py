"""Learning rate schedules: the code shared by problems whose ω is one."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.problem import InnerTraining
from evometa.settings import Count
from evometa.spaces import Box
from evometa.types import Key, Scalar

LOWEST, HIGHEST = 1e-3, 1.0
"""Bounds of a learning rate."""


@dataclasses.dataclass(frozen=True)
class ScheduledTraining(InnerTraining):
    """Inner training with a learning rate that changes from step to step.

    ω is ``[knots]``, the learning rates at evenly spaced steps from the first inner step to the last, interpolated on a
    logarithmic scale in between. With one knot the learning rate is constant. The knots stretch with the training: a
    schedule for one number of inner steps applies to any other. Subclasses' docstrings describe the fields.
    """

    num_tasks: int = 4
    inner_steps: int = 200
    knots: Count = 8

    @property
    def space(self) -> Box:
        """Learning rates from 0.001 to 1, searched on a logarithmic scale; a search starts at a constant 0.03."""
        return Box((self.knots,), LOWEST, HIGHEST, log=True, start=0.03, dtype=jnp.float32)

    def rate(self, omega: jax.Array, number: jax.typing.ArrayLike) -> Scalar:
        """Return the learning rate of inner step ``number``, counted from 0."""
        last = self.knots - 1
        position = jnp.minimum(jnp.asarray(number) * np.float32(last / max(self.inner_steps - 1, 1)), np.float32(last))
        # A hat function over each knot instead of a look-up: gathers are slow when a population is batched.
        weights = jnp.maximum(0, 1 - jnp.abs(position - np.arange(self.knots, dtype=np.float32)))
        return jnp.exp(jnp.sum(weights * jnp.log(omega)))

    def pictures(self, key: Key, omega: jax.Array) -> dict[str, Any]:
        """Draw the schedule."""
        from evometa.plots import over_steps

        return {"schedule": over_steps({"found": self.rates(omega)} | self.known_schedules(), y="learning rate")}

    def known_schedules(self) -> dict[str, Any]:
        """Return schedules ``[S]`` to draw beside the one that was found, by name; none by default."""
        return {}

    def rates(self, omega: jax.Array) -> jax.Array:
        """Return the learning rates of all inner steps ``[S]``."""
        return jax.vmap(lambda number: self.rate(omega, number))(jnp.arange(self.inner_steps))
