"""What every CMA-ES does in a generation, whatever the form of its covariance: paths, step size, factorisation.

Equation numbers are those of Hansen's tutorial (2016, arXiv:1604.00772).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Scalar


class StepSize(NamedTuple):
    """σ after a generation, and what the length of its path means for the path of C."""

    path_sigma: jax.Array
    """``[D]``."""
    sigma: Scalar
    short: Scalar
    """h_σ: 1 while the path of σ is not too long, otherwise 0."""


def cumulate(path: jax.Array, rate: Any, mu_eff: Any, move: jax.Array) -> jax.Array:
    """Return an evolution path ``[D]`` with one more selected step, normalised to unit variance."""
    longer: jax.Array = (1 - rate) * path + jnp.sqrt(rate * (2 - rate) * mu_eff) * move
    return longer


def adapt_sigma(
    path_sigma: jax.Array, sigma: Scalar, noise: jax.Array, generation: Scalar, mu_eff: Scalar, r: Any
) -> StepSize:
    """Return the step size after a generation: cumulative step-size adaptation.

    Args:
        path_sigma: the evolution path of σ ``[D]``.
        sigma: σ.
        noise: the selected noise ``[D]``, Σ w z: C^-1/2 of the mean's move, over σ.
        generation: generations told with this one, int32.
        mu_eff: the variance-effective number of parents.
        r: the rates ``c_sigma`` and ``d_sigma``, and ``norm``, E‖N(0, I)‖.
    """
    path_sigma = cumulate(path_sigma, r.c_sigma, mu_eff, noise)  # (43)
    return step_size(path_sigma, jnp.linalg.norm(path_sigma), sigma, generation, r)


def step_size(path_sigma: jax.Array, length: Scalar, sigma: Scalar, generation: Scalar, r: Any) -> StepSize:
    """Return the step size after a generation by the path of σ with this generation's step, and its length."""
    d = len(path_sigma)
    sigma = sigma * jnp.exp(jnp.minimum(1.0, r.c_sigma / r.d_sigma * (length / r.norm - 1)))  # (44)
    warm = 1 - (1 - r.c_sigma) ** (2 * generation.astype(path_sigma.dtype))
    short = (length**2 < (2 + 4 / (d + 1)) * d * warm).astype(path_sigma.dtype)
    return StepSize(path_sigma, sigma, short)


def pull(short: Scalar, c_c: Any, mu_eff: Any) -> Scalar:
    """Return the weight of the mean's step in the path of C (45); 0 while σ grows fast."""
    weight: Scalar = short * jnp.sqrt(c_c * (2 - c_c) * mu_eff)
    return weight


def forgetting(c_1: Any, c_mu: Any, c_c: Any, short: Scalar) -> Scalar:
    """Return the factor of the old C (47), which is larger where the update of the path of C is stalled (h_σ = 0)."""
    kept: Scalar = 1 - c_1 - c_mu + c_1 * (1 - short) * c_c * (2 - c_c)
    return kept


def slowed(learned: jax.Array, last: jax.Array, trust: Scalar) -> jax.Array:
    """Return C as it is learned with its learning rates times a factor; where that is 1, bit for bit as learned."""
    # A branch, since a select would be fused with what computes C, and change its rounding.
    found: jax.Array = jax.lax.cond(trust < 1, lambda c, k: k + trust * (c - k), lambda c, _: c, learned, last)
    return found


def factorise(covariance: jax.Array, last: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the Cholesky factor of C, and what had to be added to C's diagonal, usually zeros.

    Where C is no longer positive definite because of rounding errors, the diagonal is raised by their size, relative to
    the variance of each coordinate so that small ones are kept. If that is not enough, the last factor is used again,
    and the next factorisation raises the diagonal once more.

    Args:
        covariance: C ``[..., D, D]``.
        last: the factor before ``[..., D, D]``.

    Returns:
        The factor ``[..., D, D]`` and the addition ``[..., D]``.
    """
    factor = jax.lax.linalg.cholesky(covariance, symmetrize_input=False)
    definite = jnp.isfinite(factor[..., -1, -1])

    def repaired() -> tuple[jax.Array, jax.Array]:
        d = last.shape[-1]
        ridge = d * float(jnp.finfo(last.dtype).eps) * jnp.sum(last**2, axis=-1)
        ridge = jnp.where(definite[..., None], 0.0, ridge)
        raised = covariance + ridge[..., None] * jnp.broadcast_to(jnp.eye(d, dtype=last.dtype), last.shape)
        again = jax.lax.linalg.cholesky(raised, symmetrize_input=False)
        return jnp.where(jnp.isfinite(again[..., -1:, -1:]), again, last), ridge

    found: tuple[jax.Array, jax.Array] = jax.lax.cond(
        jnp.all(definite), lambda: (factor, jnp.zeros_like(last[..., 0])), repaired
    )
    return found


def add_to_diagonal(covariance: jax.Array, ridge: jax.Array) -> jax.Array:
    """Return C ``[..., D, D]`` with ``[..., D]`` added to its diagonal."""
    each = jnp.arange(ridge.shape[-1])
    return covariance.at[..., each, each].add(ridge)
