"""Separable CMA-ES (Ros & Hansen 2008, A simple modification in CMA-ES achieving linear time and space complexity)."""

import dataclasses
import functools
import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.settings import NonNegative, Several, StepSize
from evometa.spaces import Space
from evometa.strategies.cma.cmaes import CMAES
from evometa.strategies.cma.rates import rates
from evometa.strategies.cma.stagnation import extent, narrowest, spread, tolerance
from evometa.strategies.cma.update import adapt_sigma, forgetting, pull, slowed
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

STOP_REASONS = tuple(
    reason
    for reason in CMAES.stop_reasons
    if reason.partition(":")[0] in ("tolfunhist", "tolx", "noeffectcoord", "nonfinite")
)
"""Why the strategies for large dimensions stop: those of CMA-ES's reasons that cost little to check."""


def empty_history(population_size: int, dimension: int) -> jax.Array:
    """Return a ring buffer for the best fitness of the last 10 + 30 D/P generations, filled with ``inf``."""
    return jnp.full((10 + math.ceil(30 * dimension / population_size),), jnp.inf)


def record(history: jax.Array, generation: Scalar, fitness: jax.Array) -> jax.Array:
    """Return the ring buffer with the best of this generation's fitness ``[P]``."""
    return history.at[generation % len(history)].set(jnp.min(fitness).astype(history.dtype))


def stop_code(strategy: Any, state: Any, width: jax.Array) -> Scalar:
    """Return 1 + the index in STOP_REASONS of the first that holds, or 0.

    Args:
        strategy: with ``sigma``, ``tolfunhist`` and ``tolx``.
        state: with ``mean`` ``[D]``, ``extent``, and ``history``, the ring buffer of best fitness.
        width: ``[D]``, the standard deviation of each coordinate of the candidates.
    """
    mean, history = state.mean, state.history
    holds = (
        jnp.max(history) - jnp.min(history) < tolerance(strategy.tolfunhist, state.extent),
        jnp.all(width < narrowest(strategy.tolx, strategy.sigma)),
        jnp.any(mean + 0.2 * width == mean),
        ~jnp.isfinite(jnp.sum(mean) + jnp.sum(width)),
    )
    numbers = [jnp.int32(number) for number in range(1, len(holds) + 1)]
    return jnp.select(holds, numbers, jnp.int32(0))


class SepCMAESState(NamedTuple):
    """The search distribution N(mean, σ² diag(variance)) and the state of its adaptation."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """Overall step size σ, in genotype units."""
    variance: jax.Array
    """``[D]``, the diagonal of C."""
    path_sigma: jax.Array
    """``[D]``, the evolution path of σ, in standard deviations of each coordinate."""
    path_c: jax.Array
    """``[D]``, the evolution path of C."""
    generation: Scalar
    """Generations told, int32."""
    history: jax.Array
    """Best fitness of the last generations, a ring buffer; ``inf`` where there is none yet."""
    extent: Scalar
    """The largest difference of fitness within a generation so far; +inf before the first."""
    noise_key: jax.Array
    """Data of the key that the last candidates came from, uint32; empty without ``regenerate_noise``."""


@dataclasses.dataclass(frozen=True)
class SepCMAES(Strategy[SepCMAESState]):
    """CMA-ES with a diagonal covariance: learns the scale of each coordinate quickly.

    For many real numbers that depend little on each other: time grows as P·D and the state as D, and the scales are
    learned (D + 2)/3 times faster than the full covariance would allow. On rotated, ill-conditioned functions it is
    slow: use CMAES there.

    Candidates of equal fitness share their weights; failed candidates have none. A search ends by itself for the
    reasons in :attr:`stop_reasons`; a tolerance of 0 switches its reason off.

    Raises:
        ConfigurationError: population_size below 2, sigma not positive, or a negative tolerance.
    """

    population_size: Several = 32
    """Candidates in a generation, P >= 2; the paper's choice is ``CMAES.default_population_size(D)``."""
    sigma: StepSize = 0.3
    """First step size in genotype units."""
    tolfunhist: NonNegative = 1e-12
    """Stop when the best fitness of the last 10 + 30 D/P generations differ by less; up to the default, by less than
    1e-9 of the largest difference in any generation so far, if that is smaller still."""
    tolx: NonNegative = 1e-11
    """Stop when the distribution is narrower than this in every coordinate, in genotype units; up to the default,
    narrower than 1e-8 sigma, if that is smaller still."""

    regenerate_noise: bool = False
    """Draw each candidate from a key of its own, and again where it is needed, as in
    :class:`~evometa.strategies.OpenAIES`: a search then needs memory for a few vectors ``[D]`` whatever the population,
    and draws twice."""

    told_when_all_fail: ClassVar[bool] = True
    stop_reasons: ClassVar[tuple[str, ...]] = STOP_REASONS

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> SepCMAESState:
        """Start at the space's start, with C the identity."""
        mean = vector_space(self, space).start(key)
        return SepCMAESState(
            mean=mean,
            sigma=jnp.asarray(self.sigma, mean.dtype),
            variance=jnp.ones_like(mean),
            path_sigma=jnp.zeros_like(mean),
            path_c=jnp.zeros_like(mean),
            generation=jnp.int32(0),
            history=empty_history(self.population_size, len(mean)),
            extent=jnp.asarray(jnp.inf, mean.dtype),
            noise_key=jax.random.key_data(key) if self.regenerate_noise else jnp.zeros(0, jnp.uint32),
        )

    def begun(self, state: SepCMAESState, points: jax.Array) -> SepCMAESState:
        """Take mean and variances from known points ``[K, D]``."""
        mean, deviation = warm_start.separate(points.astype(state.mean.dtype), self.sigma)
        sigma, scale = warm_start.scaled(deviation)
        return state._replace(mean=mean, sigma=sigma, variance=scale**2)

    def resized(self, key: Key, state: SepCMAESState, space: Space, former: Strategy[SepCMAESState]) -> SepCMAESState:
        """Keep the distribution; the flat history begins anew where its length changes."""
        fresh = self.init(key, space)
        history = state.history if len(state.history) == len(fresh.history) else fresh.history
        return state._replace(history=history)

    def ask(self, key: Key, state: SepCMAESState) -> tuple[jax.Array, SepCMAESState]:
        """Draw ``[P, D]`` candidates mean + σ √C z."""
        if self.regenerate_noise:
            state = state._replace(noise_key=jax.random.key_data(key))
            return jax.vmap(functools.partial(self._drawn, state))(jnp.arange(self.population_size)), state
        noise = standard_normal(key, (self.population_size, len(state.mean)))
        return state.mean[None] + (state.sigma * jnp.sqrt(state.variance))[None] * noise, state

    @property
    def redraws(self) -> bool:
        """As :attr:`regenerate_noise` says."""
        return self.regenerate_noise

    def member(self, state: SepCMAESState, index: jax.typing.ArrayLike) -> jax.Array | None:
        """Return only candidate ``index`` of the last ask, ``[D]``; None without ``regenerate_noise``."""
        return self._drawn(state, index) if self.regenerate_noise else None

    @staticmethod
    def _drawn(state: SepCMAESState, index: jax.typing.ArrayLike) -> jax.Array:
        return state.mean + state.sigma * _move(state, index)

    def tell(self, key: Key, state: SepCMAESState, genotypes: jax.Array, feedback: Feedback) -> SepCMAESState:
        """Move the mean towards the better candidates, then adapt σ and the variances."""
        fitness = feedback.fitness
        p, d = self.population_size, len(state.mean)
        r = rates(p, d)
        # What Ros & Hansen change: a diagonal has D numbers to learn instead of D (D + 1)/2.
        faster = (d + 2) / 3
        c_1 = min(1.0, faster * r.c_1)
        c_mu = min(1 - c_1, faster * r.c_mu)
        gain, mu_eff, trust = recombination(r.gain, places(fitness), 0.5)
        generation = state.generation + 1

        if self.regenerate_noise:

            def add(index: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                one = _move(state, index)
                return sums[0] + gain[index] * one, sums[1] + gain[index] * one**2

            none = jnp.zeros_like(state.mean)
            move, squares = jax.lax.fori_loop(0, p, add, (none, none))
        else:
            moves = (genotypes - state.mean[None]) / state.sigma
            move, squares = gain @ moves, gain @ moves**2
        deviation = jnp.sqrt(state.variance)
        path_sigma, sigma, short = adapt_sigma(state.path_sigma, state.sigma, move / deviation, generation, mu_eff, r)
        path_c = (1 - r.c_c) * state.path_c + pull(short, r.c_c, mu_eff) * move
        decay = forgetting(c_1, c_mu, r.c_c, short)
        variance = decay * state.variance + c_1 * path_c**2 + c_mu * squares
        variance = slowed(variance, state.variance, trust)
        told = SepCMAESState(
            mean=state.mean + state.sigma * move,
            sigma=sigma,
            # Where rounding leaves a coordinate without noise, its variance must not vanish.
            variance=jnp.maximum(variance, jnp.finfo(variance.dtype).tiny),
            path_sigma=path_sigma,
            path_c=path_c,
            generation=generation,
            history=record(state.history, generation, fitness),
            extent=extent(state.extent, generation, spread(fitness)),
            noise_key=state.noise_key,
        )
        return unless_all_failed(fitness, told, elsewhere(state, self.sigma))

    def center(self, state: SepCMAESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: SepCMAESState) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        width = state.sigma * jnp.sqrt(state.variance)
        return stop_code(self, state, width)

    def diagnostics(self, state: SepCMAESState) -> dict[str, Scalar]:
        """Return σ and the ratio of the largest to the smallest standard deviation of a coordinate."""
        return {
            "sigma": state.sigma,
            "axis_ratio": jnp.sqrt(jnp.max(state.variance) / jnp.min(state.variance)),
        }


def _move(state: SepCMAESState, index: jax.typing.ArrayLike) -> jax.Array:
    """Return √C z ``[D]`` of one of the last candidates."""
    key = jax.random.wrap_key_data(state.noise_key)
    return jnp.sqrt(state.variance) * standard_normal(jax.random.fold_in(key, index), state.mean.shape)
