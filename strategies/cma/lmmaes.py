"""Limited-memory matrix adaptation (Loshchilov, Glasmachers & Beyer 2019, arXiv:1705.06693)."""

import dataclasses
import functools
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from evometa.settings import Count, NonNegative, Several, StepSize
from evometa.spaces import Space
from evometa.strategies.cma.rates import rates as full_rates
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


class LMMAESState(NamedTuple):
    """The search distribution N(mean, σ² R Rᵀ), with R a product of one rank-one change per direction."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """Overall step size σ, in genotype units."""
    directions: jax.Array
    """``[M, D]``, evolution paths of the noise, each remembering four times as long as the one before."""
    path_sigma: jax.Array
    """``[D]``, the evolution path of σ, of the noise too."""
    width: jax.Array
    """``[D]``, root mean square of the last candidates' distance from the mean."""
    generation: Scalar
    """Generations told, int32."""
    history: jax.Array
    """Best fitness of the last generations, a ring buffer; ``inf`` where there is none yet."""
    extent: Scalar
    """The largest difference of fitness within a generation so far; +inf before the first."""


class Rates(NamedTuple):
    """Algorithm 1's constants, for one population size, dimension and number of directions M."""

    gain: NDArray[np.float64]
    """``[P]``, the weights by place, best first; sum 1."""
    c_sigma: float
    d_sigma: float
    c_d: NDArray[np.float64]
    """``[M]``, the strength of each direction."""
    c_c: NDArray[np.float64]
    """``[M]``, how fast each direction forgets."""
    norm: float
    """E‖N(0, I)‖."""


@functools.cache
def rates(population_size: int, dimension: int, directions: int) -> Rates:
    """Return the paper's constants, made for P well below D; from P > D/4 on σ adapts as in CMA-ES instead."""
    p, d, number = population_size, dimension, np.arange(directions, dtype=np.float64)
    full, few = full_rates(p, d), 4 * p <= d
    return Rates(
        gain=full.gain,
        c_sigma=2 * p / d if few else full.c_sigma,
        d_sigma=1.0 if few else full.d_sigma,
        c_d=np.minimum(1 / (1.5**number * d), 0.5),
        c_c=min(p / d, 0.5) / 4.0**number,
        norm=full.norm,
    )


@dataclasses.dataclass(frozen=True)
class LMMAES(Strategy[LMMAESState]):
    """Limited-memory matrix adaptation: a covariance of M = O(log D) directions, for very large spaces.

    For 10² to 10⁶ real numbers that depend on each other, when a full covariance is too large: time grows as P·M·D, the
    state as M·D with M = 4 + ⌊3 ln D⌋. It follows ridges and curved valleys (cigar, Rosenbrock) best; it is
    slow on a spectrum of many different scales (ellipsoid). P should be well below D: for larger populations use CMAES
    or SepCMAES.

    The noise is not stored: that of the mean's move is recovered from the candidates by the inverse of R, one rank-one
    factor at a time. Candidates of equal fitness share their weights; failed candidates have none.

    Raises:
        ConfigurationError: population_size below 2, fewer than one direction, sigma not positive, or a negative
            tolerance.
    """

    population_size: Several = 32
    """Candidates in a generation, P >= 2; the paper's choice is ``CMAES.default_population_size(D)``."""
    sigma: StepSize = 0.3
    """First step size in genotype units."""
    directions: Count | None = None
    """Directions M that are remembered; None for the paper's 4 + ⌊3 ln D⌋, but D/4 at most."""
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

    def init(self, key: Key, space: Space) -> LMMAESState:
        """Start at the space's start, with R the identity."""
        mean = vector_space(self, space).start(key)
        # Under random selection R stretches each of the directions by chance: they must stay few beside D.
        count = self.directions or min(4 + int(3 * math.log(len(mean))), len(mean) // 4)
        return LMMAESState(
            mean=mean,
            sigma=jnp.asarray(self.sigma, mean.dtype),
            directions=jnp.zeros((count, len(mean)), mean.dtype),
            path_sigma=jnp.zeros_like(mean),
            width=jnp.full_like(mean, self.sigma),
            generation=jnp.int32(0),
            history=empty_history(self.population_size, len(mean)),
            extent=jnp.asarray(jnp.inf, mean.dtype),
        )

    def begun(self, state: LMMAESState, points: jax.Array) -> LMMAESState:
        """Take mean and step size from known points ``[K, D]``; the directions are learned."""
        mean, deviation = warm_start.separate(points.astype(state.mean.dtype), self.sigma)
        return state._replace(mean=mean, sigma=warm_start.scaled(deviation)[0])

    def resized(self, key: Key, state: LMMAESState, space: Space, former: Strategy[LMMAESState]) -> LMMAESState:
        """Keep the distribution; the flat history begins anew where its length changes."""
        fresh = self.init(key, space)
        history = state.history if len(state.history) == len(fresh.history) else fresh.history
        return state._replace(history=history)

    def ask(self, key: Key, state: LMMAESState) -> tuple[jax.Array, LMMAESState]:
        """Draw ``[P, D]`` candidates mean + σ R z."""
        noise = standard_normal(key, (self.population_size, len(state.mean)))
        gram, c_d = state.directions @ state.directions.T, self._strengths(state)
        a, t = _combine(gram, 1 - c_d, c_d)  # lines 9-10: z <- (1 - c) z + c m (mᵀ z), direction by direction
        step = a * noise + (noise @ state.directions.T) @ t.T @ state.directions
        return state.mean[None] + state.sigma * step, state

    def tell(self, key: Key, state: LMMAESState, genotypes: jax.Array, feedback: Feedback) -> LMMAESState:
        """Move the mean towards the better candidates, then adapt the directions and σ; lines are Algorithm 1's."""
        fitness = feedback.fitness
        r = self._rates(state)
        gain, mu_eff, _ = recombination(r.gain, places(fitness), 0.5)
        generation = state.generation + 1
        moves = genotypes - state.mean[None]
        move = gain @ moves
        noise = self._noise_of(state, move / state.sigma)  # Σ w z
        path_sigma = (1 - r.c_sigma) * state.path_sigma + jnp.sqrt(mu_eff * r.c_sigma * (2 - r.c_sigma)) * noise  # 15
        c_c = jnp.asarray(r.c_c, noise.dtype)[:, None]
        told = LMMAESState(
            mean=state.mean + move,  # 14
            sigma=state.sigma * jnp.exp(r.c_sigma / r.d_sigma * (jnp.linalg.norm(path_sigma) / r.norm - 1)),  # 18
            directions=(1 - c_c) * state.directions + jnp.sqrt(mu_eff * c_c * (2 - c_c)) * noise[None],  # 16-17
            path_sigma=path_sigma,
            width=jnp.sqrt(jnp.mean(moves**2, axis=0)),
            generation=generation,
            history=record(state.history, generation, fitness),
            extent=extent(state.extent, generation, spread(fitness)),
        )
        return unless_all_failed(fitness, told, elsewhere(state, self.sigma))

    def _noise_of(self, state: LMMAESState, step: jax.Array) -> jax.Array:
        """Return R⁻¹ of a step ``[D]``: the inverse of each factor of R, the last one first (Sherman & Morrison)."""
        gram, c_d = state.directions @ state.directions.T, self._strengths(state)
        keep = 1 - c_d
        a, t = _combine(gram, 1 / keep, -c_d / (keep * (keep + c_d * jnp.diagonal(gram))), reverse=True)
        return a * step + t @ (state.directions @ step) @ state.directions

    def _rates(self, state: LMMAESState) -> Rates:
        count, d = state.directions.shape
        return rates(self.population_size, d, count)

    def _strengths(self, state: LMMAESState) -> jax.Array:
        """Return the strength of each direction ``[M]``: 0 for those not updated yet."""
        c_d = jnp.asarray(self._rates(state).c_d, state.mean.dtype)
        return jnp.where(jnp.arange(len(c_d)) < state.generation, c_d, 0.0)

    def center(self, state: LMMAESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: LMMAESState) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        return stop_code(self, state, state.width)

    def diagnostics(self, state: LMMAESState) -> dict[str, Scalar]:
        """Return σ."""
        return {"sigma": state.sigma}


def _combine(gram: jax.Array, keep: jax.Array, add: jax.Array, *, reverse: bool = False) -> tuple[Scalar, jax.Array]:
    """Return a and T ``[M, M]`` such that the product of all ``keep_j I + add_j m_j m_jᵀ`` is ``a I + Mᵀ T M``.

    The first direction is applied first (with ``reverse`` the last one). Only two matrix products then have operands of
    length D, instead of one pass over the candidates for each direction.

    Args:
        gram: ``[M, M]``, the inner products of the directions.
        keep: ``[M]``.
        add: ``[M]``.
        reverse: whether the directions are applied in reverse order.
    """

    def step(carry: tuple[Scalar, jax.Array], one: tuple[jax.Array, ...]) -> tuple[tuple[Scalar, jax.Array], None]:
        (a, t), (inner, keep_j, add_j, which) = carry, one
        along = inner @ t + a * which  # m_jᵀ (a I + Mᵀ T M), as the coefficients of the directions
        return (keep_j * a, keep_j * t + add_j * which[:, None] * along[None]), None

    first = jnp.ones((), gram.dtype), jnp.zeros_like(gram)
    return lax.scan(step, first, (gram, keep, add, jnp.eye(len(gram), dtype=gram.dtype)), reverse=reverse)[0]
