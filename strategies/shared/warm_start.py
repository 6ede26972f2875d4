"""The distribution of points that are known to be good, from which a search begins (Nomura et al. 2021)."""

import jax
import jax.numpy as jnp

from evometa.spaces import VectorSpace
from evometa.strategies.shared import categorical
from evometa.types import Scalar

PRIOR = 1 / 3
"""The standard deviation of the Gaussian around each point, in first step sizes: the paper's 0.1 of the range for the
usual first step size of 0.3."""


def gaussian(points: jax.Array, sigma: float) -> tuple[jax.Array, jax.Array]:
    """Return mean ``[D]`` and covariance ``[D, D]`` of Gaussians around all points ``[K, D]``; eqs. 8 and 9."""
    mean, moves = _around(points)
    prior = (PRIOR * sigma) ** 2 * jnp.eye(points.shape[1], dtype=points.dtype)
    return mean, prior + moves.T @ moves / len(points)


def separate(points: jax.Array, sigma: float) -> tuple[jax.Array, jax.Array]:
    """Return mean and standard deviations, both ``[D]``, of the same where coordinates are independent."""
    mean, moves = _around(points)
    return mean, jnp.sqrt((PRIOR * sigma) ** 2 + jnp.mean(moves**2, axis=0))


def scaled(deviation: jax.Array) -> tuple[Scalar, jax.Array]:
    """Return the geometric mean of deviations ``[D]``, and these as multiples of it."""
    sigma = jnp.exp(jnp.mean(jnp.log(deviation)))
    return sigma, deviation / sigma


def choices(space: VectorSpace, points: jax.Array) -> jax.Array:
    """Return the probabilities ``[D, K]`` of choices: how often the points have them, and each as if once by chance."""
    has = categorical.available(space)
    chance = jnp.asarray(has / has.sum(axis=1, keepdims=True), points.dtype)
    weights = jnp.ones(len(points), points.dtype)
    return (categorical.frequencies(space, weights, points) + chance) / (len(points) + 1)


def _around(points: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = jnp.mean(points, axis=0)
    return mean, points - mean[None]
