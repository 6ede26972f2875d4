"""The ZDT functions: two conflicting objectives with a known Pareto front.

Branch of meta-learning: none; plain optimisation with a known answer, for multi-objective strategies.

Paper: Zitzler, Deb & Thiele, "Comparison of multiobjective evolutionary algorithms: empirical results", 2000. The fifth
function of the paper, on bit strings, is not included.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.problem import Evaluation, Problem
from evometa.settings import Several
from evometa.spaces import Box
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class _ZDT(Problem):
    """Two objectives of a point ``[dimension]``, both to be minimised; the fitness is their sum.

    f₁ depends on the first coordinate alone, and f₂ = g h(f₁, g), where g has its minimum, 1, on the front. There is no
    inner loop.

    Args:
        dimension: number of coordinates of a point, at least 2.
    """

    objective_names: ClassVar[tuple[str, ...]] = ("f₁", "f₂")
    card: ClassVar[ProblemCard] = ProblemCard(
        branch="none: two objectives",
        omega="a point",
        learner="none",
        paper="Zitzler et al. 2000",
        recipe=Recipe("NSGA2", {}, {"generations": 250}),
    )

    dimension: Several = 30

    @property
    def space(self) -> Box:
        """The unit cube."""
        return Box((self.dimension,), 0.0, 1.0)

    def evaluate(self, key: Key, omega: jax.Array) -> Evaluation:
        """Return both objectives ``[2]`` of a point ``[dimension]``."""
        first, g = self._first(omega[0]), self._distance(omega[1:])
        objectives = jnp.stack([first, g * self._shape(first, g, jnp)])
        return Evaluation(jnp.sum(objectives), objectives=objectives)

    def front(self, count: int = 200) -> NDArray[np.float64]:
        """Return about ``count`` points of the true front, ``[N, 2]``, in ascending order of the first objective."""
        first = np.sort(np.asarray(self._first(np.linspace(0.0, 1.0, count), np)))
        points = np.stack([first, np.asarray(self._shape(first, 1.0, np))], axis=1)
        before = np.minimum.accumulate(np.append(np.inf, points[:-1, 1]))
        return points[points[:, 1] < before]  # ZDT3's curve rises between the pieces of its front

    def _first(self, x: Any, xp: Any = jnp) -> Any:
        return x

    def _distance(self, rest: jax.Array) -> Scalar:
        return 1.0 + 9.0 * jnp.mean(rest)

    @abc.abstractmethod
    def _shape(self, first: Any, g: Any, xp: Any) -> Any:
        """Return h(f₁, g), computed by ``xp``, which is numpy or JAX's."""


class ZDT1(_ZDT):
    """A convex front: f₂ = 1 - √f₁."""

    def _shape(self, first: Any, g: Any, xp: Any) -> Any:
        return 1.0 - xp.sqrt(first / g)


class ZDT2(_ZDT):
    """A concave front: f₂ = 1 - f₁²."""

    def _shape(self, first: Any, g: Any, xp: Any) -> Any:
        return 1.0 - (first / g) ** 2


class ZDT3(_ZDT):
    """A front in five pieces: f₂ = 1 - √f₁ - f₁ sin 10πf₁, where it is not dominated."""

    def _shape(self, first: Any, g: Any, xp: Any) -> Any:
        return 1.0 - xp.sqrt(first / g) - first / g * xp.sin(10.0 * np.pi * first)


@dataclasses.dataclass(frozen=True)
class ZDT4(_ZDT):
    """The front of ZDT1 with many local fronts: g has 21⁹ local minima in ten dimensions."""

    dimension: int = 10

    @property
    def space(self) -> Box:
        """The first coordinate between 0 and 1, the others between -5 and 5."""
        low, high = np.full(self.dimension, -5.0), np.full(self.dimension, 5.0)
        low[0], high[0] = 0.0, 1.0
        return Box((self.dimension,), low, high)

    def _distance(self, rest: jax.Array) -> Scalar:
        # 10 - 10 cos 4πx = 20 sin² 2πx, which keeps its precision near the optimum.
        return 1.0 + jnp.sum(rest**2 + 20.0 * jnp.sin(2.0 * jnp.pi * rest) ** 2)

    def _shape(self, first: Any, g: Any, xp: Any) -> Any:
        return 1.0 - xp.sqrt(first / g)


@dataclasses.dataclass(frozen=True)
class ZDT6(_ZDT):
    """The front of ZDT2 for f₁ above 0.28, with a non-uniform density of points that decreases towards the front."""

    dimension: int = 10

    def _first(self, x: Any, xp: Any = jnp) -> Any:
        return 1.0 - xp.exp(-4.0 * x) * xp.sin(6.0 * np.pi * x) ** 6

    def _distance(self, rest: jax.Array) -> Scalar:
        return 1.0 + 9.0 * jnp.mean(rest) ** 0.25

    def _shape(self, first: Any, g: Any, xp: Any) -> Any:
        return 1.0 - (first / g) ** 2
