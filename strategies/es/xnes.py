"""Exponential natural evolution strategy (Glasmachers, Schaul, Sun, Wierstra & Schmidhuber 2010)."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.settings import NonNegative, Positive, Several, StepSize
from evometa.spaces import Space
from evometa.strategies.cma.sep_cmaes import STOP_REASONS, empty_history, record, stop_code
from evometa.strategies.cma.stagnation import extent, spread
from evometa.strategies.shared import warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import elsewhere
from evometa.strategies.shared.noise import standard_normal
from evometa.strategies.shared.ranks import places, recombination
from evometa.strategy import (
    Feedback,
    Strategy,
    refuse_unless_continuous,
    unless_all_failed,
)
from evometa.types import Key, Scalar


def place_values(population_size: int) -> NDArray[np.float64]:
    """Return the utility of each rank in natural evolution strategies, best first ``[P]``; at least 0, sum 1."""
    raw = np.maximum(0.0, math.log(population_size / 2 + 1) - np.log(np.arange(1, population_size + 1)))
    return np.asarray(raw / raw.sum())


class XNESState(NamedTuple):
    """The search distribution N(mean, σ² B Bᵀ), det B = 1."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """Overall step size σ, in genotype units."""
    shape: jax.Array
    """B ``[D, D]``."""
    noise: jax.Array
    """z ``[P, D]``, standard normal: the candidates last asked for are mean + σ B z."""
    generation: Scalar
    """Generations told, int32."""
    history: jax.Array
    """Best fitness of the last generations, a ring buffer; ``inf`` where there is none yet."""
    extent: Scalar
    """The largest difference of fitness within a generation so far; +inf before the first."""


@dataclasses.dataclass(frozen=True)
class XNES(Strategy[XNESState]):
    """Follow the natural gradient of the mean and of the full covariance, in exponential coordinates.

    Like CMA-ES, without evolution paths: one natural-gradient step updates everything, and the covariance stays
    positive definite by construction, since it is multiplied by the exponential of a symmetric matrix. Time grows as
    P·D², memory as D²; CMAES needs fewer evaluations. For up to about a hundred real
    numbers: with a thousand, the step sizes of the paper change the scale so little that a search hardly moves.

    Candidates of equal fitness share their utilities; failed candidates have the lowest, and the fewer are left, the
    slower σ and B change. A search ends by itself for
    the reasons in :attr:`stop_reasons`; a tolerance of 0 switches its reason off.

    Raises:
        ConfigurationError: population_size below 2, a sigma or learning rate that is not positive, or a negative
            tolerance.
    """

    population_size: Several = 32
    """Candidates in a generation, P >= 2; the paper's choice is ``CMAES.default_population_size(D)``."""
    sigma: StepSize = 0.3
    """First step size in genotype units."""
    learning_rate: Positive = 1.0
    """Of the mean; 1 moves it to the weighted mean of the better half."""
    covariance_learning_rate: Positive | None = None
    """Of σ and B; None for the paper's (9 + 3 ln D) / (5 D √D)."""
    tolfunhist: NonNegative = 1e-12
    """Stop when the best fitness of the last 10 + 30 D/P generations differ by less; up to the default, by less than
    1e-9 of the largest difference in any generation so far, if that is smaller still."""
    tolx: NonNegative = 1e-11
    """Stop when the distribution is narrower than this in every coordinate, in genotype units; up to the default,
    narrower than 1e-8 sigma, if that is smaller still."""

    told_when_all_fail: ClassVar[bool] = True
    stop_reasons: ClassVar[tuple[str, ...]] = STOP_REASONS

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> XNESState:
        """Start at the space's start, with B the identity."""
        mean = vector_space(self, space).start(key)
        d = len(mean)
        return XNESState(
            mean=mean,
            sigma=jnp.asarray(self.sigma, mean.dtype),
            shape=jnp.eye(d, dtype=mean.dtype),
            noise=jnp.zeros((self.population_size, d), mean.dtype),
            generation=jnp.int32(0),
            history=empty_history(self.population_size, d),
            extent=jnp.asarray(jnp.inf, mean.dtype),
        )

    def begun(self, state: XNESState, points: jax.Array) -> XNESState:
        """Take mean, σ and B from known points ``[K, D]``."""
        mean, covariance = warm_start.gaussian(points.astype(state.mean.dtype), self.sigma)
        factor = jnp.linalg.cholesky(covariance)
        sigma = jnp.exp(jnp.mean(jnp.log(jnp.diagonal(factor))))
        return state._replace(mean=mean, sigma=sigma, shape=factor / sigma)

    def resized(self, key: Key, state: XNESState, space: Space, former: Strategy[XNESState]) -> XNESState:
        """Keep the distribution; the flat history begins anew where its length changes."""
        fresh = self.init(key, space)
        history = state.history if len(state.history) == len(fresh.history) else fresh.history
        return state._replace(noise=fresh.noise, history=history)

    def ask(self, key: Key, state: XNESState) -> tuple[jax.Array, XNESState]:
        """Draw ``[P, D]`` candidates mean + σ B z, and keep z."""
        noise = standard_normal(key, state.noise.shape)
        return state.mean[None] + state.sigma * (noise @ state.shape.T), state._replace(noise=noise)

    def tell(self, key: Key, state: XNESState, genotypes: jax.Array, feedback: Feedback) -> XNESState:
        """Follow the natural gradient in the coordinates of z; the names are those of the paper's Algorithm 1."""
        fitness = feedback.fitness
        p, d = genotypes.shape
        rate = self.covariance_learning_rate or (9 + 3 * math.log(d)) / (5 * d * math.sqrt(d))
        gain, _, trust = recombination(place_values(p), places(fitness), 1.0)
        utility = gain - 1 / p
        # Σ u = 0, so the -I of each term of G_M drops out.
        gradient_sigma = utility @ jnp.sum(state.noise**2, axis=1) / d  # G_σ, the trace of G_M in parts of D
        shape = _changed(state.shape, state.noise, trust * (rate / 2 * utility))
        generation = state.generation + 1
        told = XNESState(
            mean=state.mean + self.learning_rate * (utility @ (genotypes - state.mean[None])),
            sigma=state.sigma * jnp.exp(trust * (rate / 2 * gradient_sigma)),
            shape=shape * jnp.exp(trust * (-rate / 2 * gradient_sigma)),  # G_B = G_M - G_σ I
            noise=state.noise,
            generation=generation,
            history=record(state.history, generation, fitness),
            extent=extent(state.extent, generation, spread(fitness)),
        )
        return unless_all_failed(fitness, told, elsewhere(state, self.sigma))

    def center(self, state: XNESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: XNESState) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        width = state.sigma * jnp.linalg.norm(state.shape, axis=1)
        return stop_code(self, state, width)

    def diagnostics(self, state: XNESState) -> dict[str, Scalar]:
        """Return σ."""
        return {"sigma": state.sigma}


def _changed(shape: jax.Array, noise: jax.Array, weight: jax.Array) -> jax.Array:
    """Return B exp(G_M) for G_M = Σ w z zᵀ, from the exponentials of its eigenvalues: exactly positive definite.

    G_M is zero outside the subspace that the z span, so where there are fewer z than coordinates no D³ operations are
    needed: with Q an orthonormal basis of that subspace, exp(G_M) = I + Q (exp(Qᵀ G_M Q) - I) Qᵀ.
    """
    basis, triangle = jnp.linalg.qr(noise.T)
    values, vectors = jnp.linalg.eigh((triangle * weight[None]) @ triangle.T)
    basis = basis @ vectors
    changed: jax.Array = shape + ((shape @ basis) * jnp.expm1(values)[None]) @ basis.T
    return changed
