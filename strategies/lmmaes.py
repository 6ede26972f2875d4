"""Limited-memory matrix adaptation (Loshchilov, Glasmachers & Beyer 2018, arXiv:1705.06693)."""

import dataclasses
import functools
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from evometa.spaces import Space
from evometa.strategies._checks import require_nonnegative, vector_space
from evometa.strategies._noise import standard_normal
from evometa.strategies._ranks import gains, places
from evometa.strategies.cmaes import rates as full_rates
from evometa.strategies.sep_cmaes import STOP_REASONS, empty_history, record, stop_code
from evometa.strategy import Strategy, refuse_unless_continuous, require_population, require_positive
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
    """Return the paper's constants, made for P well below D, with limits that keep them sound beyond."""
    p, d, number = population_size, dimension, np.arange(directions)
    full = full_rates(p, d)
    mu_eff = 1 / (full.gain**2).sum()
    return Rates(
        gain=full.gain,
        c_sigma=min(2 * p / d, 0.5),
        # CMA-ES's damping; the paper's 1 wherever μ_eff <= D + 2.
        d_sigma=1 + 2 * max(0.0, math.sqrt(max(0.0, mu_eff - 1) / (d + 1)) - 1),
        c_d=np.minimum(1 / (1.5**number * d), 0.5),
        c_c=np.minimum(p / (4.0**number * d), 0.5),
        norm=full.norm,
    )


@dataclasses.dataclass(frozen=True)
class LMMAES(Strategy[LMMAESState]):
    """Learn the few most useful directions of a very large space, at O(log D) of the cost of drawing the noise.

    For 10² to 10⁶ real numbers that depend on each other, when a full covariance is too large: time grows as P·M·D, the
    state as M·D with M = 4 + ⌊3 ln D⌋. It follows ridges and curved valleys (cigar, Rosenbrock) best; a spectrum of
    many different scales (ellipsoid) it learns slowly. It wants P well below D: with more candidates use CMAES, or
    SepCMAES.

    Only directions are kept, no noise: the noise of the selected mean is recovered from the candidates through R's
    inverse, one rank-one step at a time. Candidates of equal fitness share their weights; failed candidates have none.

    Raises:
        ConfigurationError: population_size below 2, fewer than one direction, sigma not positive, or a negative
            tolerance.
    """

    population_size: int = 32
    """Candidates in a generation, P >= 2; the paper's choice is ``CMAES.default_population_size(D)``."""
    sigma: float = 0.3
    """First step size in genotype units."""
    directions: int | None = None
    """Directions M that are remembered; None for 4 + ⌊3 ln D⌋."""
    tolfunhist: float = 1e-12
    """Stop when the best fitness of the last 10 + 30 D/P generations differ by less."""
    tolx: float = 1e-11
    """Stop when the distribution is narrower than this in every coordinate, in genotype units."""

    stop_reasons: ClassVar[tuple[str, ...]] = STOP_REASONS

    def __post_init__(self) -> None:
        require_population(self, least=2)
        require_positive(self, sigma=self.sigma)
        require_nonnegative(self, tolfunhist=self.tolfunhist, tolx=self.tolx)
        if self.directions is not None:
            require_positive(self, directions=self.directions)

    def refuses(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> LMMAESState:
        """Start at the space's start, with R the identity."""
        mean = vector_space(self, space).start(key)
        count = self.directions or 4 + int(3 * math.log(len(mean)))
        return LMMAESState(
            mean=mean,
            sigma=jnp.asarray(self.sigma, mean.dtype),
            directions=jnp.zeros((count, len(mean)), mean.dtype),
            path_sigma=jnp.zeros_like(mean),
            width=jnp.full_like(mean, self.sigma),
            generation=jnp.int32(0),
            history=empty_history(self.population_size, len(mean)),
        )

    def ask(self, key: Key, state: LMMAESState) -> tuple[jax.Array, LMMAESState]:
        """Draw ``[P, D]`` candidates mean + σ R z."""
        noise = standard_normal(key, (self.population_size, len(state.mean)))
        return state.mean + state.sigma * _bend(noise, state.directions, self._strengths(state)), state

    def tell(self, key: Key, state: LMMAESState, genotypes: jax.Array, fitness: jax.Array) -> LMMAESState:
        """Move the mean towards the better candidates, then adapt the directions and σ; lines are Algorithm 1's."""
        r = self._rates(state)
        gain = gains(r.gain, places(fitness))
        mu_eff = 1 / jnp.sum(gain**2)  # of the weights as shared: the paths stay standard normal under random ranks
        generation = state.generation + 1
        moves = genotypes - state.mean
        move = gain @ moves
        noise = _straighten(move / state.sigma, state.directions, self._strengths(state))  # Σ w z
        path_sigma = (1 - r.c_sigma) * state.path_sigma + jnp.sqrt(mu_eff * r.c_sigma * (2 - r.c_sigma)) * noise  # 15
        c_c = jnp.asarray(r.c_c, noise.dtype)[:, None]
        return LMMAESState(
            mean=state.mean + move,  # 14
            sigma=state.sigma * jnp.exp(r.c_sigma / r.d_sigma * (jnp.linalg.norm(path_sigma) / r.norm - 1)),  # 18
            directions=(1 - c_c) * state.directions + jnp.sqrt(mu_eff * c_c * (2 - c_c)) * noise,  # 16-17
            path_sigma=path_sigma,
            width=jnp.sqrt(jnp.mean(moves**2, axis=0)),
            generation=generation,
            history=record(state.history, generation, fitness),
        )

    def _rates(self, state: LMMAESState) -> Rates:
        count, d = state.directions.shape
        return rates(self.population_size, d, count)

    def _strengths(self, state: LMMAESState) -> jax.Array:
        """Return the strength of each direction ``[M]``: 0 for those that have not seen a generation each yet."""
        c_d = jnp.asarray(self._rates(state).c_d, state.mean.dtype)
        return jnp.where(jnp.arange(len(c_d)) < state.generation, c_d, 0.0)

    def center(self, state: LMMAESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: LMMAESState) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        return stop_code(state.mean, state.width, state.history, tolfunhist=self.tolfunhist, tolx=self.tolx)

    def diagnostics(self, state: LMMAESState) -> dict[str, Scalar]:
        """Return σ."""
        return {"sigma": state.sigma}


def _bend(noise: jax.Array, directions: jax.Array, strengths: jax.Array) -> jax.Array:
    """Return R z for each row z of ``[P, D]``: z <- (1 - c) z + c (m·z) m, direction by direction (lines 9-10)."""

    def step(z: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        m, c = one
        return (1 - c) * z + (c * (z @ m))[:, None] * m, None

    return lax.scan(step, noise, (directions, strengths))[0]


def _straighten(move: jax.Array, directions: jax.Array, strengths: jax.Array) -> jax.Array:
    """Return R⁻¹ of a move ``[D]``: each step of R undone, the last first (Sherman & Morrison)."""

    def step(y: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        m, c = one
        along = (m @ y) / (1 - c + c * (m @ m))
        return (y - c * along * m) / (1 - c), None

    return lax.scan(step, move, (directions, strengths), reverse=True)[0]
