"""Influence balancing: a gradient that short unrolls get wrong.

Branch of meta-learning: truncation of the inner loop. ω is one number θ that pushes on a chain of units; the first
units to be felt are pushed one way, the many behind them the other way. A short unroll sees the first ones alone and
leads away from the optimum.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.objectives import Mean, Objective
from evometa.problem import InnerTraining
from evometa.spaces import Box
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class InfluenceBalancing(InnerTraining):
    """Push the first unit of a linear chain to 1 (Tallec & Ollivier 2017; Vicol et al. 2021).

    The learner is a state s ``[units]``, all ones at first, that follows s ← A s + θ (1, ..., 1, -1, ..., -1) with A
    one half on the diagonal and above it; its loss is (s₁ - 1)² / 2. At rest s₁ = 2 θ (positive - negative units), so
    with 10 of 23 units positive the best θ tends to -1/6 as inner_steps grows. There is nothing random in it, and one
    task is as good as many.

    Args:
        units: n, units in the chain.
        positive: p, how many of the first units are pushed by +θ; the others by -θ.

    Raises:
        ConfigurationError: positive not between 0 and units.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="truncation of inner training",
        omega="a number that pushes a chain",
        learner="the chain's state",
        paper="Tallec and Ollivier 2017",
        recipe=Recipe("NRES", {"population_size": 32, "sigma": 0.1, "learning_rate": 0.01}, {"generations": 3000}),
    )

    num_tasks: int = 1
    inner_steps: int = 1000
    objective: Objective = Mean()
    units: int = 23
    positive: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.positive <= self.units or self.units < 1:
            raise ConfigurationError(
                "InfluenceBalancing expects units >= 1 and positive, how many of them are pushed by +θ, from 0 to "
                f"units, got units={self.units} and positive={self.positive}."
            )

    @property
    def space(self) -> Box:
        """One unbounded number; a search starts at 0.5, as in the papers."""
        return Box((), start=0.5)

    def sample_task(self, key: Key) -> Any:
        """Return the only task there is, which holds nothing."""
        return ()

    def init(self, key: Key, omega: jax.Array, task: Any) -> jax.Array:
        """Return a state of ones ``[units]``."""
        return jnp.ones((self.units,), omega.dtype)

    def step(self, key: Key, omega: jax.Array, task: Any, learner: jax.Array) -> jax.Array:
        """Move the chain by one step."""
        signs = np.where(np.arange(self.units) < self.positive, 1, -1)
        behind = jnp.concatenate([learner[1:], jnp.zeros_like(learner[:1])])
        return (learner + behind) / 2 + omega * signs.astype(omega.dtype)

    def loss(self, key: Key, omega: jax.Array, task: Any, learner: jax.Array) -> Scalar:
        """Return (s₁ - 1)² / 2."""
        return (learner[0] - 1) ** 2 / 2
