"""Test functions for black-box optimisation, of a point ``[D]``, with minimum 0 at the origin unless stated otherwise.

Numbers such as f1 are those of Hansen et al., "Real-parameter black-box optimization benchmarking 2009" (BBOB); the
functions here lack its irregularities, random shifts and rotations.
"""

from collections.abc import Callable
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.types import Scalar


def _spread(count: int) -> NDArray[np.float64]:
    """Return the relative index of each coordinate, evenly spaced from 0 to 1."""
    return np.arange(count) / max(count - 1, 1)


def sphere(x: jax.Array) -> Scalar:
    """Σ xᵢ² (f1)."""
    return jnp.sum(x**2)


def ellipsoid(x: jax.Array) -> Scalar:
    """Σ 10^(6 (i - 1) / (D - 1)) xᵢ² (f2, f10): condition number 10⁶."""
    return jnp.sum(jnp.asarray(10.0 ** (6.0 * _spread(len(x))), x.dtype) * x**2)


def rastrigin(x: jax.Array) -> Scalar:
    """10 D + Σ xᵢ² - 10 cos 2πxᵢ (f3): about 10^D local minima."""
    # 10 - 10 cos 2πx = 20 sin² πx, which keeps its precision near the optimum.
    return jnp.sum(x**2 + 20.0 * jnp.sin(jnp.pi * x) ** 2)


def rosenbrock(x: jax.Array) -> Scalar:
    """Σ 100 (xᵢ₊₁ - xᵢ²)² + (1 - xᵢ)² (f8), with minimum at (1, …, 1); at least two coordinates."""
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def moved_rosenbrock(x: jax.Array) -> Scalar:
    """The Rosenbrock function shifted so that its minimum is at the origin."""
    return rosenbrock(x + 1.0)


def discus(x: jax.Array) -> Scalar:
    """10⁶ x₁² + Σ xᵢ² over the others (f11): one direction is a thousand times as sensitive."""
    return 1e6 * x[0] ** 2 + jnp.sum(x[1:] ** 2)


def bent_cigar(x: jax.Array) -> Scalar:
    """x₁² + 10⁶ Σ xᵢ² over the others (f12, not bent): all directions but one are a thousand times as sensitive."""
    return x[0] ** 2 + 1e6 * jnp.sum(x[1:] ** 2)


def sharp_ridge(x: jax.Array) -> Scalar:
    """x₁² + 100 (Σ xᵢ² over the others)^(1/2) (f13): the gradient points across the ridge instead of along it."""
    return x[0] ** 2 + 100.0 * jnp.sqrt(jnp.sum(x[1:] ** 2))


def different_powers(x: jax.Array) -> Scalar:
    """(Σ |xᵢ|^(2 + 4 (i - 1) / (D - 1)))^(1/2) (f14): conditioning gets worse towards the optimum."""
    return jnp.sqrt(jnp.sum(jnp.abs(x) ** jnp.asarray(2.0 + 4.0 * _spread(len(x)), x.dtype)))


def schaffers(x: jax.Array) -> Scalar:
    """(mean of √sᵢ (1 + sin² 50 sᵢ^0.2))², sᵢ² = xᵢ² + xᵢ₊₁² (f17): highly multimodal; at least two coordinates."""
    s = jnp.sqrt(x[1:] ** 2 + x[:-1] ** 2)
    return jnp.mean(jnp.sqrt(s) * (1.0 + jnp.sin(50.0 * s**0.2) ** 2)) ** 2


def ackley(x: jax.Array) -> Scalar:
    """20 - 20 exp(-0.2 √(mean of xᵢ²)) + e - exp(mean of cos 2πxᵢ): a funnel with many local minima (Ackley 1987)."""
    return -20.0 * jnp.expm1(-0.2 * jnp.sqrt(jnp.mean(x**2))) - np.e * jnp.expm1(jnp.mean(jnp.cos(2 * jnp.pi * x)) - 1)


def zakharov(x: jax.Array) -> Scalar:
    """Σ xᵢ² + s² + s⁴, s = Σ i xᵢ / 2: a valley that is steep along one direction."""
    s = jnp.sum(jnp.asarray(0.5 * np.arange(1, len(x) + 1), x.dtype) * x)
    return jnp.sum(x**2) + s**2 + s**4


FUNCTIONS: MappingProxyType[str, Callable[[jax.Array], Scalar]] = MappingProxyType(
    {
        "sphere": sphere,
        "ellipsoid": ellipsoid,
        "rastrigin": rastrigin,
        "rosenbrock": moved_rosenbrock,
        "discus": discus,
        "bent_cigar": bent_cigar,
        "sharp_ridge": sharp_ridge,
        "different_powers": different_powers,
        "schaffers": schaffers,
        "ackley": ackley,
        "zakharov": zakharov,
    }
)
"""The functions by name, each with its minimum at the origin."""
