"""The sphere with linear projections as measures, a benchmark of quality-diversity.

Branch of meta-learning: none; plain optimisation with a known answer, for quality-diversity strategies.

Paper: Fontaine, Togelius, Nikolaidis & Hoover, "Covariance matrix adaptation for the rapid illumination of behavior
space", 2020, section 4; in the form of the pyribs benchmark.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problem import Evaluation, Problem
from evometa.settings import Several
from evometa.spaces import Box
from evometa.types import Key

EDGE = 5.12
SHIFT = 0.4 * EDGE
"""Every coordinate of the optimum."""


@dataclasses.dataclass(frozen=True)
class LinearProjection(Problem):
    """A shifted sphere, with value 100 at its optimum and 0 at the distance of the corner (-5.12, …), to be maximised.

    The two measures are the sums of the first and of the second half of the coordinates, scaled to [0, 1]. Sums of many
    coordinates are hard to spread: most points have measures near 1/2. A coordinate beyond ±5.12 contributes 5.12
    divided by its value, so that the ends of the range can only be reached with every coordinate at ±5.12.

    Args:
        dimension: number of coordinates of a point, at least 2.
    """

    direction = "maximize"

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="none: an archive of solutions",
        omega="a point",
        learner="none",
        paper="Fontaine et al. 2020",
        recipe=Recipe("CMAME", {}, {"generations": 500}),
    )

    dimension: Several = 20

    @property
    def space(self) -> Box:
        """Unbounded; a search starts at the origin."""
        return Box((self.dimension,), start=np.zeros(self.dimension))

    def evaluate(self, key: Key, omega: jax.Array) -> Evaluation:
        """Return fitness and measures ``[2]`` of a point ``[dimension]``."""
        worst = self.dimension * (EDGE + SHIFT) ** 2
        fitness = 100.0 * (1.0 - jnp.sum((omega - SHIFT) ** 2) / worst)
        beyond = jnp.abs(omega) > EDGE
        inside = jnp.where(beyond, EDGE / jnp.where(beyond, omega, 1.0), omega)
        half = self.dimension // 2
        sums = jnp.stack([jnp.sum(inside[:half]), jnp.sum(inside[half:])])
        extent = 0.5 * self.dimension * EDGE
        return Evaluation(fitness, measures=0.5 + 0.5 * sums / extent)
