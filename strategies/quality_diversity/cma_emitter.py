"""One emitter of CMA-ME: a CMA-ES with positive weights whose number of parents may change each generation."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.strategies.cma.rates import expected_norm, path_rates
from evometa.strategies.cma.update import adapt_sigma, forgetting, pull
from evometa.types import Scalar


class Emitter(NamedTuple):
    """The search distribution N(mean, σ² C)."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """σ, in genotype units."""
    covariance: jax.Array
    """C ``[D, D]``."""
    factor: jax.Array
    """L ``[D, D]``, lower triangular, with L Lᵀ = C as of the last refresh."""
    noise: jax.Array
    """z ``[B, D]``, standard normal: the candidates last asked for are mean + σ L z."""
    path_sigma: jax.Array
    """``[D]``, the evolution path of σ, in the coordinates of z."""
    path_c: jax.Array
    """``[D]``, the evolution path of C."""
    age: Scalar
    """Generations since it began, int32."""


class Rates(NamedTuple):
    """Weights and learning rates (Hansen 2016, Table 1) for each number of parents from 0 to B, or for one."""

    earned: Any
    """``[B + 1, B + 1]``: of n parents, the weights of the first so many together."""
    mu_eff: Any
    c_sigma: Any
    d_sigma: Any
    c_c: Any
    c_1: Any
    c_mu: Any
    norm: float
    """E‖N(0, I)‖."""


@functools.cache
def rates(most: int, d: int) -> Rates:
    """Return the rates for up to ``most`` parents in D dimensions; those for 0 parents are meaningless."""
    n, place = np.arange(most + 1)[:, None], np.arange(1, most + 1)
    raw = np.where(place <= n, np.log(n + 0.5) - np.log(place), 0.0)
    weights = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-300)
    mu_eff = np.append(1.0, 1 / (weights[1:] ** 2).sum(axis=1))
    c_sigma, d_sigma, c_c = path_rates(mu_eff, d, np)
    c_1 = 2 / ((d + 1.3) ** 2 + mu_eff)
    return Rates(
        earned=np.concatenate([np.zeros((most + 1, 1)), np.cumsum(weights, axis=1)], axis=1),
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=d_sigma,
        c_c=c_c,
        c_1=c_1,
        c_mu=np.minimum(1 - c_1, 2 * (mu_eff - 2 + 1 / mu_eff) / ((d + 2) ** 2 + mu_eff)),
        norm=expected_norm(d),
    )


def refresh(batch: int, d: int) -> int:
    """Return the generations from one factorisation of C to the next."""
    of = rates(batch, d)
    return max(1, int(0.5 / (d * (of.c_1[batch // 2] + of.c_mu[batch // 2]))))


def begin(mean: jax.Array, sigma: float, batch: int) -> Emitter:
    """Return an emitter at a mean ``[D]``, with C the identity."""
    identity, zeros = jnp.eye(len(mean), dtype=mean.dtype), jnp.zeros_like(mean)
    noise = jnp.zeros((batch, len(mean)), mean.dtype)
    return Emitter(mean, jnp.asarray(sigma, mean.dtype), identity, identity, noise, zeros, zeros, jnp.int32(0))


def weigh(status: jax.Array, gain: jax.Array, parents: Scalar) -> jax.Array:
    """Return recombination weights ``[B]``, ranked by status, then by gain; ties share their ranks.

    Args:
        status: ``[B]``, the first criterion; larger is better.
        gain: ``[B]``, the criterion among candidates of equal status.
        parents: how many of the best share the weights; with 0, all weights are 0.
    """
    equal = status[:, None] == status[None]
    tied = equal & (gain[:, None] == gain[None])
    before = (status[:, None] > status[None]) | (equal & (gain[:, None] > gain[None]))
    first, size = jnp.sum(before, axis=0, dtype=jnp.int32), jnp.sum(tied, axis=0, dtype=jnp.int32)
    earned = jnp.asarray(rates(len(status), 1).earned, gain.dtype)[parents]  # weights do not depend on D
    return (earned[first + size] - earned[first]) / size.astype(gain.dtype)


def adapt(one: Emitter, genotypes: jax.Array, weights: jax.Array, parents: Scalar) -> Emitter:
    """Return the emitter after a generation; L is refreshed separately. Without parents only the age changes.

    Equation numbers are those of Hansen's tutorial (2016, arXiv:1604.00772).

    Args:
        one: the emitter.
        genotypes: ``[B, D]``, the candidates it asked for.
        weights: ``[B]``.
        parents: how many of them are parents.
    """
    batch, d = genotypes.shape
    dtype = one.mean.dtype
    *table, norm = rates(batch, d)
    r = Rates._make([*(jnp.asarray(rate, dtype)[parents] for rate in table), norm])
    some = parents > 0
    mu_eff = 1 / jnp.where(some, jnp.sum(weights**2), 1.0)  # of the weights as shared by ties
    age = one.age + 1

    moves = (genotypes - one.mean[None]) / one.sigma
    move = weights @ moves
    mean = one.mean + one.sigma * move  # (42)
    # C^-1/2 is taken as L^-1.
    path_sigma, sigma, short = adapt_sigma(one.path_sigma, one.sigma, weights @ one.noise, age, mu_eff, r)
    path_c = (1 - r.c_c) * one.path_c + pull(short, r.c_c, mu_eff) * move
    # (47), the rank-one update as one more row of the rank-µ update
    rows = jnp.concatenate([moves, path_c[None]])
    scale = jnp.append(r.c_mu * weights, r.c_1)
    covariance = forgetting(r.c_1, r.c_mu, r.c_c, short) * one.covariance + (rows * scale[:, None]).T @ rows
    adapted = Emitter(mean, sigma, covariance, one.factor, one.noise, path_sigma, path_c, age)
    after: Emitter = jax.tree.map(lambda new, old: jnp.where(some, new, old), adapted, one._replace(age=age))
    return after


def converged(one: Emitter, status: jax.Array, gain: jax.Array, tolerance: Scalar, narrowest: float) -> Scalar:
    """Return whether an emitter has converged, by its distribution and by its last candidates ``[B]``.

    Args:
        one: the emitter.
        status: ``[B]``.
        gain: ``[B]``.
        tolerance: differences of gain below this count as 0.
        narrowest: the standard deviation below which a distribution has converged.
    """
    diagonal = jnp.diagonal(one.factor)
    width = one.sigma * jnp.sqrt(jnp.max(jnp.diagonal(one.covariance)))
    flat = (jnp.max(status) == jnp.min(status)) & ~(jnp.max(gain) - jnp.min(gain) >= tolerance)
    # Comparisons with what is no number are false, so these hold also for a distribution that is lost to rounding.
    long = ~(jnp.max(diagonal) < 1e7 * jnp.min(diagonal))
    return flat | long | ~(width >= narrowest) | ~jnp.isfinite(width + jnp.sum(one.mean))
