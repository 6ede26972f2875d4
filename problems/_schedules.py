"""Learning rates over time: what problems share whose ω is a schedule."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.spaces import Box
from evometa.types import Scalar

LOWEST, HIGHEST = 1e-3, 1.0
"""Between these a learning rate is searched."""


@dataclasses.dataclass(frozen=True)
class ScheduledTraining(InnerTraining):
    """Inner training with a learning rate that changes from step to step.

    ω is ``[knots]``, the learning rates at evenly spaced moments from the first inner step to the last, in between
    interpolated on a logarithmic scale. With one knot the learning rate is constant. The knots stretch with the
    training: a schedule found for one number of inner steps is one for any other. Subclasses' docstrings say what the
    fields are.
    """

    num_tasks: int = 4
    inner_steps: int = 200
    knots: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.knots < 1:
            raise ConfigurationError(
                f"{type(self).__name__} expects knots >= 1, the moments at which ω says the learning rate, "
                f"got {self.knots}."
            )

    @property
    def space(self) -> Box:
        """Learning rates from 0.001 to 1, searched as their logarithms; a search starts at 0.03 throughout."""
        return Box((self.knots,), LOWEST, HIGHEST, log=True, start=0.03, dtype=jnp.float32)

    def rate(self, omega: jax.Array, number: jax.typing.ArrayLike) -> Scalar:
        """Return the learning rate of inner step ``number``, which is 0 for the first one."""
        last = self.knots - 1
        moment = jnp.minimum(jnp.asarray(number) * np.float32(last / max(self.inner_steps - 1, 1)), np.float32(last))
        # A hat over each knot instead of a look-up: gathers are slow when a population is batched.
        shares = jnp.maximum(0, 1 - jnp.abs(moment - np.arange(self.knots, dtype=np.float32)))
        return jnp.exp(jnp.sum(shares * jnp.log(omega)))

    def rates(self, omega: jax.Array) -> jax.Array:
        """Return the learning rates of all inner steps ``[S]``."""
        return jax.vmap(lambda number: self.rate(omega, number))(jnp.arange(self.inner_steps))
