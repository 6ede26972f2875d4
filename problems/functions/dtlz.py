"""DTLZ2: any number of objectives, whose Pareto front is the part of a sphere in the positive orthant.

Branch of meta-learning: none; plain optimisation with a known answer, for multi-objective strategies.

Paper: Deb, Thiele, Laumanns & Zitzler, "Scalable multi-objective optimization test problems", 2002.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import Evaluation, Problem
from evometa.settings import Count, Several
from evometa.spaces import Box
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class DTLZ2(Problem):
    """Objectives on a sphere of radius 1 + g around the origin, all to be minimised; the fitness is their sum.

    The first M - 1 coordinates of a point are angles on the sphere; g is the squared distance of the others to 1/2.

    Args:
        dimension: number of coordinates of a point, at least ``objectives``.
        objectives: M, at least 2.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="none: several objectives",
        omega="a point",
        learner="none",
        paper="Deb et al. 2002",
        recipe=Recipe("NSGA2", {"objectives": 3}, {"generations": 250}),
    )

    dimension: Count = 12
    objectives: Several = 3

    def __post_init__(self) -> None:
        if self.objectives > self.dimension:
            raise ConfigurationError(
                f"DTLZ2 expects objectives <= dimension, got {self.objectives} and {self.dimension}."
            )

    @property
    def space(self) -> Box:
        """The unit cube."""
        return Box((self.dimension,), 0.0, 1.0)

    def evaluate(self, key: Key, omega: jax.Array) -> Evaluation:
        """Return the objectives ``[M]`` of a point ``[dimension]``."""
        m = self.objectives
        sine, cosine = (jnp.sin(0.5 * jnp.pi * part) for part in (omega[: m - 1], 1.0 - omega[: m - 1]))
        radius = 1.0 + jnp.sum((omega[m - 1 :] - 0.5) ** 2)
        one = jnp.ones(1, omega.dtype)
        # fᵢ = (1 + g) cos a₁ … cos a_{M-i} sin a_{M-i+1}, without the sine for i = 1. The cosine is computed as the
        # sine of the complement: exactly 0 on the bound, where cos(π/2) in single precision is negative, rewarding g.
        along = jnp.concatenate([one, jnp.cumprod(cosine)])[::-1]
        across = jnp.concatenate([one, sine[::-1]])
        objectives = radius * along * across
        return Evaluation(jnp.sum(objectives), objectives=objectives)

    def front(self, count: int = 200, seed: int = 0) -> NDArray[np.float64]:
        """Return ``count`` points drawn evenly from the true front, ``[count, M]``."""
        points = np.abs(np.random.default_rng(seed).standard_normal((count, self.objectives)))
        return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))
