"""Diagonal decoding for CMA-ES (Akimoto & Hansen 2020, "Diagonal acceleration for covariance matrix adaptation").

The scales of the coordinates are learned beside C, at a rate of 1/D where C needs 1/D². The more
correlated C is, the more the changes of the scales are damped.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.strategies.cma.rates import Rates
from evometa.types import Scalar


class Diagonal(NamedTuple):
    """Scales of the coordinates and the state of their adaptation; ``[D]`` each."""

    scale: jax.Array
    """Candidates are mean + σ · scale · L z."""
    path: jax.Array
    """The evolution path of the scales, in the coordinates of z."""
    longest: jax.Array
    """Estimate of the longest axis of the correlation matrix of C, a unit vector."""
    shortest: jax.Array
    """Likewise of the shortest."""


def unit_diagonal(like: jax.Array) -> Diagonal:
    """Return scales of one, for vectors like the given ``[D]``."""
    # Two different directions, neither of them orthogonal to an axis.
    rising = jnp.linspace(0.5, 1.0, len(like), dtype=like.dtype)
    alternating = jnp.where(jnp.arange(len(like)) % 2 == 0, rising, -rising)
    unit = [vector / jnp.linalg.norm(vector) for vector in (rising, alternating)]
    return Diagonal(jnp.ones_like(like), jnp.zeros_like(like), *unit)


def adapt_diagonal(
    diagonal: Diagonal,
    covariance: jax.Array,
    factor: jax.Array,
    noise: jax.Array,
    gain: jax.Array,
    loss: jax.Array,
    short: Scalar,
    trust: Scalar,
    r: Rates,
) -> Diagonal:
    """Return the scales after one generation.

    Args:
        diagonal: the scales.
        covariance: C ``[D, D]``.
        factor: L ``[D, D]``.
        noise: z ``[P, D]``.
        gain: weights > 0 of the candidates ``[P]``.
        loss: absolute values of the weights < 0 ``[P]``.
        short: h_σ, 1 while the path of σ is not too long, otherwise 0.
        trust: factor of the learning rates.
        r: the learning rates of C.
    """
    d = len(diagonal.scale)
    # Rates of one number for each coordinate (pycma's, slower than the paper's, which are less safe for small D).
    c_1 = 1 / (5 + 2 * d + r.mu_eff / 2)
    c_mu = jnp.minimum((r.mu_eff + 1 / r.mu_eff - 2 + 1 / 7) / (5 + 2 * d + r.mu_eff / 2), 1 - c_1)
    c_c = jnp.sqrt(r.mu_eff * c_1) / 2
    mu_eff = jnp.where(trust < 1, 1 / jnp.sum(gain**2), r.mu_eff)
    path = (1 - c_c) * diagonal.path + short * jnp.sqrt(c_c * (2 - c_c) * mu_eff) * (gain @ noise)
    diagonal, condition = _condition(diagonal._replace(path=path), covariance, factor)
    damping = jnp.maximum(1.0, jnp.sqrt(condition) - 1.0)  # β of Algorithm 1
    weights = gain - loss
    change = trust * (c_1 * (path**2 - 1) + c_mu * (weights @ noise**2 - jnp.sum(weights)))
    return diagonal._replace(scale=diagonal.scale * jnp.exp(jnp.clip(change / (2 * damping), -1.0, 1.0)))


def _condition(diagonal: Diagonal, covariance: jax.Array, factor: jax.Array) -> tuple[Diagonal, Scalar]:
    """Return the condition number of the correlation matrix of C, by one step of power iteration at either end.

    The axes change slowly, so one step of power iteration a generation is enough; an eigendecomposition would cost more
    than all the rest.
    """
    deviation = jnp.sqrt(jnp.diagonal(covariance))

    def normal(vector: jax.Array) -> tuple[jax.Array, Scalar]:
        length = jnp.linalg.norm(vector)
        return vector / length, length

    longest, most = normal(covariance @ (diagonal.longest / deviation) / deviation)
    half = jax.scipy.linalg.solve_triangular(factor, diagonal.shortest * deviation, lower=True)
    shortest, least = normal(jax.scipy.linalg.solve_triangular(factor, half, lower=True, trans=1) * deviation)
    return diagonal._replace(longest=longest, shortest=shortest), most * least
