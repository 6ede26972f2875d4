"""CMA-ES on a Cholesky factor (Hansen 2016, arXiv:1604.00772; Krause, Arbonès & Igel 2016)."""

import dataclasses
import functools
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.space import Space
from evometa.strategies._checks import require_nonnegative, vector_space
from evometa.strategies._noise import standard_normal
from evometa.strategies._ranks import gains, places, shares
from evometa.strategy import Strategy, refuse_unless_continuous, require_population, require_positive
from evometa.types import Key, Scalar


class CMAESState(NamedTuple):
    """The search distribution N(mean, σ² C) and what adapts it."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """Overall step size σ, in genotype units."""
    covariance: jax.Array
    """C ``[D, D]``; only its lower triangle is read."""
    factor: jax.Array
    """L ``[D, D]``, lower triangular, with L Lᵀ = C as of the last refresh."""
    noise: jax.Array
    """z ``[P, D]``, standard normal: the candidates last asked for are mean + σ L z."""
    path_sigma: jax.Array
    """``[D]``, the evolution path of σ, in the coordinates of z."""
    path_c: jax.Array
    """``[D]``, the evolution path of C."""
    generation: Scalar
    """Generations told, int32."""
    history: jax.Array
    """Best fitness of the last generations, a ring buffer; ``inf`` where there is none yet."""
    stopped: Scalar
    """What :meth:`CMAES.stop` returns, int32."""


class Rates(NamedTuple):
    """Table 1 of the tutorial, for one population size and dimension."""

    gain: NDArray[np.float64]
    """``[P]``, the weights > 0 by place, best first; sum 1."""
    loss: NDArray[np.float64]
    """``[P]``, the sizes of the weights < 0 by place."""
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    norm: float
    """E‖N(0, I)‖."""
    refresh: int
    """Generations between two factorisations of C."""


@functools.cache
def rates(population_size: int, dimension: int) -> Rates:
    """Return the weights and learning rates of Table 1; equation numbers are the tutorial's."""
    p, d = population_size, dimension
    raw = math.log((p + 1) / 2) - np.log(np.arange(1, p + 1))  # (49)
    gain, loss = np.maximum(raw, 0), np.maximum(-raw, 0)
    mu_eff = gain.sum() ** 2 / (gain**2).sum()  # (8)
    mu_eff_loss = loss.sum() ** 2 / (loss**2).sum()
    c_sigma = (mu_eff + 2) / (d + mu_eff + 5)  # (55)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (d + 1)) - 1) + c_sigma
    c_c = (4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d)  # (56)
    c_1 = 2 * min(1, p / 6) / ((d + 1.3) ** 2 + mu_eff)  # (57), and pycma's care for tiny populations
    c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((d + 2) ** 2 + mu_eff))  # (58)
    total_loss = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_loss / (mu_eff + 2), (1 - c_1 - c_mu) / (d * c_mu))  # (50-52)
    return Rates(
        gain=gain / gain.sum(),  # (53)
        loss=total_loss * loss / loss.sum(),
        c_sigma=c_sigma,
        d_sigma=d_sigma,
        c_c=c_c,
        c_1=c_1,
        c_mu=c_mu,
        norm=math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d)),
        refresh=max(1, int(1 / (10 * d * (c_1 + c_mu)))),  # so the factor lags C by a tenth of its time scale
    )


@dataclasses.dataclass(frozen=True)
class CMAES(Strategy[CMAESState]):
    """Covariance matrix adaptation: learns the scale and the correlation of all coordinates.

    The first choice for up to a few hundred real numbers; time and memory grow as D². Candidates are mean + σ L z with
    L Lᵀ = C, so that a generation costs matrix products and, now and then, one Cholesky factorisation; no eigenvalues.
    The path of σ is kept in the coordinates of z, where it is a plain average of the noise that was selected.

    The update of C is active (bad candidates count against their directions). Candidates of equal fitness share their
    weights, and the paths are normalised by the weights as shared, so a plateau leaves σ unbiased. Failed candidates
    never pull the mean; their directions count as bad. Under ``jax_enable_x64`` the search reaches 1e-8 and below on
    ill-conditioned functions; in float32 it is sound as far as float32 resolves the fitness.

    A search ends by itself for the reasons that Hansen gives and pycma checks, as long as they make sense for a single
    run (:attr:`stop_reasons`). With a fitness that differs between generations by noise only the last ones can come
    true. A tolerance of 0 switches its reason off.

    Raises:
        ConfigurationError: population_size below 2, sigma not positive, or a negative tolerance.
    """

    population_size: int = 32
    """Candidates in a generation, P >= 2. More is better against noise and many local optima, and costs little where
    candidates are judged in parallel; Hansen's choice for a smooth fitness judged one at a time is
    ``CMAES.default_population_size(D)``, 10 to 22 for D = 10 to 400."""
    sigma: float = 0.3
    """First step size in genotype units: a fraction of the range of bounded coordinates. The optimum is best within
    about 3 sigma of the start."""
    tolfun: float = 1e-11
    """Stop when all fitness of a generation, and the best ones of the last 10 + 30 D/P, differ by less."""
    tolfunhist: float = 1e-12
    """Stop when the best fitness of the last 10 + 30 D/P generations differ by less."""
    tolx: float = 1e-11
    """Stop when the distribution is narrower than this in every coordinate, in genotype units."""

    stop_reasons: ClassVar[tuple[str, ...]] = (
        "tolfun: all fitness of this generation and the best of the last ones are equal",
        "tolfunhist: the best fitness has not changed for many generations",
        "tolx: the search distribution has become a point",
        "noeffectcoord: a fifth of a standard deviation does not change some coordinate of the mean",
        "noeffectaxis: a tenth of a step along an axis of the distribution does not change the mean",
        "tolconditioncov: the condition number of the covariance has passed 1e14",
        "tolfacupx: the distribution has grown a thousandfold in a coordinate; sigma was far too small",
        "tolupsigma: sigma grew out of proportion; the fitness has no minimum or is flat",
        "nonfinite: the search distribution has left the numbers that the float type can hold",
    )

    def __post_init__(self) -> None:
        require_population(self, least=2)
        require_positive(self, sigma=self.sigma)
        require_nonnegative(self, tolfun=self.tolfun, tolfunhist=self.tolfunhist, tolx=self.tolx)

    @staticmethod
    def default_population_size(dimension: int) -> int:
        """Return Hansen's 4 + ⌊3 ln D⌋, for a smooth fitness judged one candidate at a time."""
        return 4 + int(3 * math.log(dimension))

    def refuses(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> CMAESState:
        """Start at the space's start, with C the identity."""
        mean = vector_space(self, space).start(key)
        d, zeros, identity = len(mean), jnp.zeros_like(mean), jnp.eye(len(mean), dtype=mean.dtype)
        return CMAESState(
            mean=mean,
            sigma=jnp.asarray(self.sigma, mean.dtype),
            covariance=identity,
            factor=identity,
            noise=jnp.zeros((self.population_size, d), mean.dtype),
            path_sigma=zeros,
            path_c=zeros,
            generation=jnp.int32(0),
            history=jnp.full((10 + math.ceil(30 * d / self.population_size),), jnp.inf, mean.dtype),
            stopped=jnp.int32(0),
        )

    def ask(self, key: Key, state: CMAESState) -> tuple[jax.Array, CMAESState]:
        """Draw ``[P, D]`` candidates mean + σ L z, and keep z."""
        noise = standard_normal(key, state.noise.shape)
        return state.mean + state.sigma * (noise @ state.factor.T), state._replace(noise=noise)

    def tell(self, key: Key, state: CMAESState, genotypes: jax.Array, fitness: jax.Array) -> CMAESState:
        """Move the mean towards the better candidates, then adapt σ and C; equation numbers are the tutorial's."""
        p, d = genotypes.shape
        r = rates(p, d)
        dtype = state.mean.dtype
        at = places(fitness)
        gain = gains(r.gain, at)
        loss = shares(r.loss, at)
        mu_eff = 1 / jnp.sum(gain**2)  # of the weights as shared: the paths stay standard normal under random ranks
        generation = state.generation + 1

        # Mean, from the candidates as they were judged, rounding included.
        moves = genotypes - state.mean
        move = gain @ moves
        mean = state.mean + move  # (42)

        # σ
        path_sigma = (1 - r.c_sigma) * state.path_sigma + jnp.sqrt(r.c_sigma * (2 - r.c_sigma) * mu_eff) * (
            gain @ state.noise
        )  # (43), with C^-1/2 taken as L^-1
        length = jnp.linalg.norm(path_sigma)
        sigma = state.sigma * jnp.exp(jnp.minimum(1.0, r.c_sigma / r.d_sigma * (length / r.norm - 1)))  # (44)

        # C
        warm = 1 - (1 - r.c_sigma) ** (2 * generation.astype(dtype))
        short = (length**2 < (2 + 4 / (d + 1)) * d * warm).astype(dtype)  # h_σ
        path_c = (1 - r.c_c) * state.path_c + short * jnp.sqrt(r.c_c * (2 - r.c_c) * mu_eff) * move / state.sigma
        squared = jnp.maximum(jnp.sum(state.noise**2, axis=1), jnp.finfo(dtype).tiny)
        weights = gain - loss * d / squared  # (46)
        decay = 1 - r.c_1 - r.c_mu * (1 - r.loss.sum()) + r.c_1 * (1 - short) * r.c_c * (2 - r.c_c)
        covariance = (
            decay * state.covariance
            + r.c_1 * path_c[:, None] * path_c[None, :]
            + (moves * (r.c_mu * weights / state.sigma**2)[:, None]).T @ moves
        )  # (47)
        factor, ridge = state.factor, jnp.zeros_like(mean)
        if r.refresh == 1:
            factor, ridge = _factorise(covariance, factor)
        else:
            factor, ridge = jax.lax.cond(
                generation % r.refresh == 0, _factorise, lambda _, last: (last, ridge), covariance, factor
            )
        covariance = covariance.at[jnp.arange(d), jnp.arange(d)].add(ridge)
        best = jnp.min(fitness).astype(dtype)
        told = CMAESState(
            mean=mean,
            sigma=sigma,
            covariance=covariance,
            factor=factor,
            noise=state.noise,
            path_sigma=path_sigma,
            path_c=path_c,
            generation=generation,
            history=state.history.at[generation % len(state.history)].set(best),
            stopped=state.stopped,
        )
        reason = self._reason(told, jnp.max(jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf)) - jnp.min(fitness))
        return told._replace(stopped=jnp.where(state.stopped > 0, state.stopped, reason))

    def _reason(self, state: CMAESState, spread: Scalar) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        deviation = jnp.sqrt(jnp.diagonal(state.covariance))
        width = state.sigma * deviation
        history = jnp.max(state.history) - jnp.min(state.history)
        axis = state.factor[:, state.generation % len(state.mean)]
        holds = (
            (spread < self.tolfun) & (history < self.tolfun),
            history < self.tolfunhist,
            jnp.all(jnp.maximum(width, state.sigma * jnp.abs(state.path_c)) < self.tolx),
            jnp.any(state.mean + 0.2 * width == state.mean),
            jnp.all(state.mean + 0.1 * state.sigma * axis == state.mean),
            _axis_ratio(state.factor) > 1e7,
            jnp.any(width > 1e3 * self.sigma),
            state.sigma > 1e20 * self.sigma * jnp.max(deviation),
            ~jnp.isfinite(jnp.sum(state.mean) + jnp.sum(width)),
        )
        reason: Scalar = jnp.int32(0)
        for number, holds_now in reversed(list(enumerate(holds, start=1))):
            reason = jnp.where(holds_now, jnp.int32(number), reason)
        return reason

    def center(self, state: CMAESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: CMAESState) -> Scalar:
        """Return the first reason to stop that has come true since the start, or 0."""
        return state.stopped

    def diagnostics(self, state: CMAESState) -> dict[str, Scalar]:
        """Return σ and a lower bound of the ratio of the distribution's longest to its shortest axis."""
        return {"sigma": state.sigma, "axis_ratio": _axis_ratio(state.factor)}


def _axis_ratio(factor: jax.Array) -> Scalar:
    diagonal: jax.Array = jnp.diagonal(factor)
    ratio: Scalar = jnp.max(diagonal) / jnp.min(diagonal)
    return ratio


def _factorise(covariance: jax.Array, last: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the Cholesky factor of C, and what had to be added to C's diagonal, ``[D]``, usually zeros.

    When rounding has cost C its definiteness, the diagonal is raised by what rounding may have taken, relative to each
    coordinate's own variance so that small coordinates keep theirs. Should that not be enough yet, the last factor
    serves on, and the next refresh raises the diagonal again.
    """
    factor: jax.Array = jax.lax.linalg.cholesky(covariance, symmetrize_input=False)

    def mend() -> tuple[jax.Array, jax.Array]:
        ridge = len(last) * float(jnp.finfo(last.dtype).eps) * jnp.sum(last**2, axis=1)
        again = jax.lax.linalg.cholesky(covariance + jnp.diag(ridge), symmetrize_input=False)
        return jnp.where(jnp.isfinite(again[-1, -1]), again, last), ridge

    definite = jnp.isfinite(factor[-1, -1])
    factor, ridge = jax.lax.cond(definite, lambda: (factor, jnp.zeros_like(last[0])), mend)
    return factor, ridge
