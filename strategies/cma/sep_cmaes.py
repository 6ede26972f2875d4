"""Separable CMA-ES (Ros & Hansen 2008, A simple modification in CMA-ES achieving linear time and space complexity)."""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.backend.slices import Place, Sliced, Vectors, Whole, vectors_of
from evometa.settings import NonNegative, Several, StepSize
from evometa.spaces import Space
from evometa.strategies.cma.cmaes import CMAES
from evometa.strategies.cma.rates import rates
from evometa.strategies.cma.stagnation import (
    cell_length,
    empty_cells,
    extent,
    narrowest,
    record_in_cells,
    spread,
    tolerance,
    window,
)
from evometa.strategies.cma.update import cumulate, forgetting, pull, slowed, step_size
from evometa.strategies.shared import warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import elsewhere
from evometa.strategies.shared.noise import member_noise, standard_normal
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
    return jnp.full((window(population_size, dimension),), jnp.inf)


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
    mean = state.mean
    return first_reason(
        strategy,
        state,
        narrow=jnp.all(width < narrowest(strategy.tolx, strategy.sigma)),
        without_effect=jnp.any(mean + 0.2 * width == mean),
        nonfinite=~jnp.isfinite(jnp.sum(mean) + jnp.sum(width)),
    )


def first_reason(strategy: Any, state: Any, *, narrow: Scalar, without_effect: Scalar, nonfinite: Scalar) -> Scalar:
    """Return 1 + the index in STOP_REASONS of the first that holds, or 0, given those about the coordinates, bool."""
    history = state.history
    flat = jnp.max(history) - jnp.min(history) < tolerance(strategy.tolfunhist, state.extent)
    holds = (flat, narrow, without_effect, nonfinite)
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
    """Best fitness of the last generations, a ring buffer; ``inf`` where there is none yet. Of long vectors with
    ``regenerate_noise`` its extremes in parts of that time, ``[2, N]``, N at most 1024."""
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
    and draws twice. From 2¹⁸ numbers on several devices share these vectors out, and ``tolfunhist`` compares a window
    that is longer by up to 0.4 %, since only the extremes of its parts are kept."""

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
            history=self._empty(len(mean)),
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
        empty, d = self._empty(len(state.mean)), len(state.mean)
        sizes = (self.population_size, former.population_size)
        lengths = {cell_length(window(size, d)) if empty.ndim > 1 else window(size, d) for size in sizes}
        return state if len(lengths) == 1 else state._replace(history=empty)

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

    def _over(self, state: SepCMAESState) -> Vectors:
        return vectors_of(len(state.mean), split=self.regenerate_noise)

    def _empty(self, dimension: int) -> jax.Array:
        """Return the history before the first generation."""
        if isinstance(vectors_of(dimension, split=self.regenerate_noise), Sliced):
            return empty_cells(window(self.population_size, dimension))
        return empty_history(self.population_size, dimension)

    def _recorded(self, history: jax.Array, generation: Scalar, fitness: jax.Array, dimension: int) -> jax.Array:
        if history.ndim == 1:
            return record(history, generation, fitness)
        return record_in_cells(history, generation, fitness, window(self.population_size, dimension))

    def _drawn(self, state: SepCMAESState, index: jax.typing.ArrayLike) -> jax.Array:
        over = self._over(state)

        def one(place: Place, shared: Any, vectors: Any) -> jax.Array:
            (sigma, key_data, index), (mean, variance) = shared, vectors
            drawn: jax.Array = mean + sigma * (jnp.sqrt(variance) * member_noise(over, key_data, index, place))
            return drawn

        whole: jax.Array = over.each(one, (state.sigma, state.noise_key, index), (state.mean, state.variance))
        return whole

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

        over = self._over(state)

        if self.regenerate_noise:
            redrawn = functools.partial(_weighted_moves, over)
            move, squares = over.each(redrawn, (state.noise_key, gain), state.variance)
        else:
            moves = (genotypes - state.mean[None]) / state.sigma
            move, squares = gain @ moves, gain @ moves**2

        def longer(_: Place, mu_eff: Scalar, vectors: Any) -> jax.Array:
            path, move, variance = vectors
            return cumulate(path, r.c_sigma, mu_eff, move / jnp.sqrt(variance))  # (43)

        path_sigma = over.each(longer, mu_eff, (state.path_sigma, move, state.variance))
        _, sigma, short = step_size(path_sigma, over.norm(path_sigma), state.sigma, generation, r)

        def adapted(_: Place, shared: Any, vectors: Any) -> Any:
            (sigma, mu_eff, trust, short), (mean, path_c, old, move, squares) = shared, vectors
            path_c = (1 - r.c_c) * path_c + pull(short, r.c_c, mu_eff) * move
            variance = forgetting(c_1, c_mu, r.c_c, short) * old + c_1 * path_c**2 + c_mu * squares
            variance = slowed(variance, old, trust)
            # Where rounding leaves a coordinate without noise, its variance must not vanish.
            return mean + sigma * move, path_c, jnp.maximum(variance, jnp.finfo(variance.dtype).tiny)

        mean, path_c, variance = over.each(
            adapted,
            (state.sigma, mu_eff, trust, short),
            (state.mean, state.path_c, state.variance, move, squares),
        )
        told = SepCMAESState(
            mean=mean,
            sigma=sigma,
            variance=variance,
            path_sigma=path_sigma,
            path_c=path_c,
            generation=generation,
            history=self._recorded(state.history, generation, fitness, d),
            extent=extent(state.extent, generation, spread(fitness)),
            noise_key=state.noise_key,
        )
        return unless_all_failed(fitness, told, elsewhere(state, self.sigma))

    def center(self, state: SepCMAESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: SepCMAESState) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        over = self._over(state)
        if isinstance(over, Whole):
            return stop_code(self, state, state.sigma * jnp.sqrt(state.variance))

        def signs(_: Place, sigma: Scalar, vectors: Any) -> Any:
            mean, variance = vectors
            width = sigma * jnp.sqrt(variance)
            wide = width >= narrowest(self.tolx, self.sigma)
            nonfinite = ~jnp.isfinite(mean + width)
            return [sign.astype(jnp.int32) for sign in (wide | nonfinite, mean + 0.2 * width == mean, nonfinite)]

        wide, without_effect, nonfinite = over.largest(signs, state.sigma, (state.mean, state.variance))
        return first_reason(self, state, narrow=wide == 0, without_effect=without_effect > 0, nonfinite=nonfinite > 0)

    def diagnostics(self, state: SepCMAESState) -> dict[str, Scalar]:
        """Return σ and the ratio of the largest to the smallest standard deviation of a coordinate."""
        return {
            "sigma": state.sigma,
            "axis_ratio": jnp.sqrt(jnp.max(state.variance) / jnp.min(state.variance)),
        }


def _weighted_moves(over: Vectors, place: Place, shared: Any, variance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the sums over the last candidates of weight times move √C z, and times its square."""
    key_data, gain = shared

    def add(index: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        one = jnp.sqrt(variance) * member_noise(over, key_data, index, place)
        return sums[0] + gain[index] * one, sums[1] + gain[index] * one**2

    none = jnp.zeros_like(variance)
    found: tuple[jax.Array, jax.Array] = jax.lax.fori_loop(0, len(gain), add, (none, none))
    return found
