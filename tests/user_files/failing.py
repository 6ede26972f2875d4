"""A user's own file: problems of which every candidate fails."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa import Box, HostProblem, Problem, Space

BOX = Box((2,), -1.0, 1.0)


class Wrong(HostProblem):
    """Has an error in its code."""

    @property
    def space(self) -> Space:
        return BOX

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float(self.typo(omega))  # type: ignore[attr-defined]


class Picky(HostProblem):
    """Raises for half of the candidates, each time with another message."""

    @property
    def space(self) -> Space:
        return BOX

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        if omega[0] < 0:
            raise ValueError(f"{omega[0]} is negative")
        return float(omega[0])


class Diverging(HostProblem):
    """Runs without an error, but no fitness is finite."""

    @property
    def space(self) -> Space:
        return BOX

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float("nan")


class Nowhere(Problem):
    """A compiled problem without a finite fitness."""

    @property
    def space(self) -> Space:
        return BOX

    def evaluate(self, key: jax.Array, omega: jax.Array) -> jax.Array:
        return jnp.log(-1 - jnp.sum(omega**2))
