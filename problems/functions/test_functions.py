"""Test functions: ω is a point, and there is no inner loop.

Branch of meta-learning: none; plain optimisation with a known answer, for checking and comparing strategies. They use
JAX's default float: with ``jax_enable_x64`` a strategy can be followed down to 1e-16; in float32 the relative precision
of the fitness is about 1e-7.
"""

import abc
import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import Problem
from evometa.problems.functions import black_boxes
from evometa.settings import Count, Natural
from evometa.spaces import Box
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class _TestFunction(Problem):
    """A function of a point ``[dimension]`` with minimum 0, to be minimised.

    Args:
        dimension: number of coordinates of a point.
        rotation_seed: seed of a random rotation of the function around its optimum, which makes separable functions
            non-separable; None for no rotation.
    """

    bounds: ClassVar[tuple[float, float]]
    """The usual lower and upper bound of every coordinate."""
    optimum: ClassVar[float] = 0.0
    """Every coordinate of the optimum, where the function is 0."""
    least_dimension: ClassVar[int] = 1
    """The smallest dimension in which the function is defined."""

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="none: plain optimisation",
        omega="a point",
        learner="none",
        recipe=Recipe("CMAES", {}, {"generations": 1000}),
    )

    dimension: Count = 10
    rotation_seed: Natural | None = None

    def __post_init__(self) -> None:
        if self.dimension < self.least_dimension:
            raise ConfigurationError(
                f"{type(self).__name__} expects dimension >= {self.least_dimension}, the coordinates of a point, "
                f"got {self.dimension}."
            )

    @property
    def space(self) -> Box:
        """A box with the function's usual bounds."""
        return Box((self.dimension,), *self.bounds)

    def evaluate(self, key: Key, omega: jax.Array) -> Scalar:
        """Return the function's value at a point ``[dimension]``."""
        if self.rotation_seed is None:
            return self._value(omega)
        rotation = jnp.asarray(_rotation(self.dimension, self.rotation_seed), omega.dtype)
        turned = jnp.matmul(rotation, omega - self.optimum, precision=jax.lax.Precision.HIGHEST)
        return self._value(turned + self.optimum)

    @abc.abstractmethod
    def _value(self, x: jax.Array) -> Scalar:
        """Return the value of the function, not rotated, at ``x`` ``[dimension]``."""


@functools.lru_cache(maxsize=16)
def _rotation(dimension: int, seed: int) -> NDArray[np.float64]:
    """Draw an orthogonal matrix from the uniform (Haar) distribution."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    return np.asarray(q * np.sign(np.diag(r)))


class Sphere(_TestFunction):
    """The sphere, Σ xᵢ², in [-5.12, 5.12]: separable, unimodal and well-conditioned (De Jong, 1975)."""

    bounds = (-5.12, 5.12)

    def _value(self, x: jax.Array) -> Scalar:
        return black_boxes.sphere(x)


class Rosenbrock(_TestFunction):
    """Rosenbrock's curved valley, Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)², in [-5, 10], optimum at (1, …, 1).

    Needs at least two dimensions. From four dimensions on there is a local minimum near (-1, 1, …, 1).

    Paper: Rosenbrock, "An automatic method for finding the greatest or least value of a function", 1960.
    """

    bounds = (-5.0, 10.0)
    optimum = 1.0
    least_dimension = 2

    def _value(self, x: jax.Array) -> Scalar:
        return black_boxes.rosenbrock(x)


class Ellipsoid(_TestFunction):
    """An ellipsoid of condition number 10⁶, Σ 10^(6 (i - 1) / (D - 1)) xᵢ², in [-5, 5].

    Paper: Hansen et al., "Real-parameter black-box optimization benchmarking 2009" (f2, f10), without its
    irregularities.
    """

    bounds = (-5.0, 5.0)

    def _value(self, x: jax.Array) -> Scalar:
        return black_boxes.ellipsoid(x)


class Rastrigin(_TestFunction):
    """Rastrigin's function, 10 D + Σ xᵢ² - 10 cos 2πxᵢ, in [-5.12, 5.12]: about 10^D local minima.

    Paper: Rastrigin, "Systems of extremal control", 1974.
    """

    bounds = (-5.12, 5.12)
    # CMA-ES with its usual population stops in one of the local minima; restarts find the best of them.
    card = _TestFunction.card._replace(recipe=Recipe("BIPOPCMAES", {}, {"evaluations": 300_000, "target": 1e-8}))

    def _value(self, x: jax.Array) -> Scalar:
        return black_boxes.rastrigin(x)
