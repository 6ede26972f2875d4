"""Influence balancing: a problem on which truncated unrolls have a biased gradient.

Branch of meta-learning: truncation of the inner loop. ω is one number θ that drives a chain of units: the units with a
short-term influence on the loss in one direction, the more numerous ones with a long-term influence in the other. The
gradient of a short unroll contains the short-term influence alone and leads away from the optimum.
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
from evometa.settings import Count, Natural
from evometa.spaces import Box
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class InfluenceBalancing(InnerTraining):
    """Drive the first unit of a linear chain to 1 (Tallec & Ollivier 2017; Vicol et al. 2021).

    ω is θ. The learner is a state s ``[units]``, initially ones. The inner loop iterates
    s ← A s + θ (1, ..., 1, -1, ..., -1), with A equal to one half on the diagonal and above it; the loss is
    (s₁ - 1)² / 2. In equilibrium s₁ = 2 θ (positive - negative units), so with 10 of 23 units positive the optimal θ
    tends to -1/6 as inner_steps grows. The problem is deterministic, so one task is enough.

    Args:
        units: n, number of units in the chain.
        positive: p, number of units, the first ones, that are driven by +θ; the others by -θ.

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
    units: Count = 23
    positive: Natural = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positive > self.units:
            raise ConfigurationError(
                "InfluenceBalancing expects positive, the number of units driven by +θ, of at most units, got "
                f"positive={self.positive} and units={self.units}."
            )

    @property
    def space(self) -> Box:
        """One unbounded number; a search starts at 0.5, as in the papers."""
        return Box((), start=0.5)

    def sample_task(self, key: Key) -> Any:
        """Return the only task, which is empty."""
        return ()

    def init(self, key: Key, omega: jax.Array, task: Any) -> jax.Array:
        """Return a state of ones ``[units]``."""
        return jnp.ones((self.units,), omega.dtype)

    def step(self, key: Key, omega: jax.Array, task: Any, learner: jax.Array) -> jax.Array:
        """Advance the chain by one step."""
        signs = np.where(np.arange(self.units) < self.positive, 1, -1)
        behind = jnp.concatenate([learner[1:], jnp.zeros_like(learner[:1])])
        return (learner + behind) / 2 + omega * signs.astype(omega.dtype)

    def loss(self, key: Key, omega: jax.Array, task: Any, learner: jax.Array) -> Scalar:
        """Return (s₁ - 1)² / 2."""
        return (learner[0] - 1) ** 2 / 2
