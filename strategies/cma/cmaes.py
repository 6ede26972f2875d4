"""CMA-ES on a Cholesky factor (Hansen 2016, arXiv:1604.00772; Krause, Arbonès & Igel 2016)."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.asynchronous import AsynchronousStrategy
from evometa.settings import Count, NonNegative, Several, StepSize, checked
from evometa.spaces import Space
from evometa.strategies.cma.diagonal import Diagonal, adapt_diagonal, unit_diagonal
from evometa.strategies.cma.rates import Rates, rates
from evometa.strategies.cma.stagnation import (
    Progress,
    extent,
    narrowest,
    no_progress,
    record,
    spread,
    stagnates,
    tolerance,
    window,
)
from evometa.strategies.cma.update import adapt_sigma, add_to_diagonal, factorise, forgetting, pull, slowed
from evometa.strategies.shared import warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import elsewhere
from evometa.strategies.shared.noise import standard_normal
from evometa.strategies.shared.ranks import places, recombination, shares
from evometa.strategy import (
    Feedback,
    Strategy,
    refuse_unless_continuous,
    unless_all_failed,
)
from evometa.types import Key, Scalar


class CMAESState(NamedTuple):
    """The search distribution N(mean, σ² C) and the state of its adaptation."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """Overall step size σ, in genotype units."""
    covariance: jax.Array
    """C ``[D, D]``."""
    factor: jax.Array
    """L ``[D, D]``, lower triangular, with L Lᵀ = C as of the last refresh."""
    noise: jax.Array
    """z ``[P, D]``, standard normal: the candidates last asked for are mean + σ · scale · L z."""
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
    extent: Scalar
    """The largest difference of fitness within a generation so far; +inf before the first."""
    diagonal: Diagonal | tuple[()] = ()
    """Scales of the coordinates, with diagonal decoding only."""
    progress: Progress | tuple[()] = ()
    """The history of the fitness, where stagnation is looked for."""

    @property
    def scale(self) -> jax.Array | float:
        """The scales of the coordinates, ``[D]`` or 1: candidates are mean + σ · scale · L z."""
        return self.diagonal.scale if isinstance(self.diagonal, Diagonal) else 1.0

    @property
    def scale_of_rows(self) -> jax.Array | float:
        """The same for rows of candidates, ``[1, D]`` or 1."""
        return self.diagonal.scale[None] if isinstance(self.diagonal, Diagonal) else 1.0


@dataclasses.dataclass(frozen=True)
class CMAES(AsynchronousStrategy[CMAESState]):
    """Covariance matrix adaptation: learns the scale and the correlation of all coordinates.

    The first choice for up to a few hundred real numbers; time and memory grow as D². Candidates are mean + σ L z with
    L Lᵀ = C, so that a generation costs matrix products and, every few generations, one Cholesky factorisation; there
    is no eigendecomposition. The evolution path of σ is kept in the coordinates of z, where it is a running average of
    the selected noise.

    The update of C is active (bad candidates count against their directions). Candidates of equal fitness share their
    weights, and the paths are normalised by the weights as shared, so a plateau leaves σ unbiased. Failed candidates
    never pull the mean; their directions count as bad. Under ``jax_enable_x64`` the search reaches 1e-8 and below on
    ill-conditioned functions; in float32 it is sound as far as float32 resolves the fitness.

    In an asynchronous search the distribution is updated whenever P candidates are completed. Those that were drawn
    from an earlier distribution count as steps of the present one, shortened where they are longer than its own would
    be, as solutions from elsewhere are injected (Hansen 2011, arXiv:1110.4181). P should not be below the workers.

    A search ends by itself for the reasons that Hansen gives and pycma checks, as long as they make sense for a single
    run (:attr:`stop_reasons`). With a noisy fitness only the last ones can hold. A tolerance of 0 switches its reason
    off.

    Raises:
        ConfigurationError: population_size below 2, sigma not positive, or a negative tolerance.
    """

    population_size: Several = 32
    """Candidates in a generation, P >= 2. More is better against noise and many local optima, and costs little where
    candidates are evaluated in parallel; Hansen's choice for a smooth fitness evaluated one at a time is
    ``CMAES.default_population_size(D)``, 10 to 22 for D = 10 to 400."""
    sigma: StepSize = 0.3
    """First step size in genotype units: a fraction of the range of bounded coordinates. The optimum is best within
    about 3 sigma of the start."""
    diagonal_decoding: bool = False
    """Learn the scales of the coordinates by themselves, much faster than C does (Akimoto & Hansen 2020): a half to a
    tenth of the evaluations where coordinates differ in scale and are not strongly correlated."""
    stagnation: bool = False
    """Stop when neither best nor median fitness has improved for long. Off, since on noisy problems slow progress may
    look like none."""
    tolfun: NonNegative = 1e-11
    """Stop when all fitness of a generation, and the best ones of the last 10 + 30 D/P, differ by less. Up to
    the default, by less than 1e-9 of the largest difference in any generation so far, if that is smaller still, so that
    a fitness may be small; likewise the other two."""
    tolfunhist: NonNegative = 1e-12
    """Stop when the best fitness of the last 10 + 30 D/P generations differ by less."""
    tolx: NonNegative = 1e-11
    """Stop when the distribution is narrower than this in every coordinate, in genotype units; up to the default,
    narrower than 1e-8 sigma, if that is smaller still."""

    told_when_all_fail: ClassVar[bool] = True
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
        "tolstagnation: neither best nor median fitness has improved over the newest fifth of the search",
    )

    @staticmethod
    @checked
    def default_population_size(dimension: Count) -> int:
        """Return Hansen's 4 + ⌊3 ln D⌋, for a smooth fitness evaluated one candidate at a time."""
        return 4 + int(3 * math.log(dimension))

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> CMAESState:
        """Start at the space's start, with C the identity."""
        mean = vector_space(self, space).start(key)
        d, p = len(mean), self.population_size
        return start_at(mean, jnp.asarray(self.sigma, mean.dtype), decoded=self.diagonal_decoding)._replace(
            noise=jnp.zeros((p, d), mean.dtype),
            history=jnp.full((window(p, d),), jnp.inf, mean.dtype),
            progress=no_progress() if self.stagnation else (),
        )

    def begun(self, state: CMAESState, points: jax.Array) -> CMAESState:
        """Take mean and covariance from known points ``[K, D]``."""
        return begun_at(state, points, self.sigma)

    def resized(self, key: Key, state: CMAESState, space: Space, former: Strategy[CMAESState]) -> CMAESState:
        """Keep the distribution; the flat history begins anew where its length changes."""
        fresh = self.init(key, space)
        history = state.history if len(state.history) == len(fresh.history) else fresh.history
        return state._replace(noise=fresh.noise, history=history)

    def ask(self, key: Key, state: CMAESState) -> tuple[jax.Array, CMAESState]:
        """Draw ``[P, D]`` candidates mean + σ · scale · L z, and keep z."""
        noise = standard_normal(key, state.noise.shape)
        return decode(state, noise), state._replace(noise=noise)

    def tell(self, key: Key, state: CMAESState, genotypes: jax.Array, feedback: Feedback) -> CMAESState:
        """Move the mean towards the better candidates, then adapt σ and C; if all candidates failed, try another σ."""
        fitness = feedback.fitness
        p, d = genotypes.shape
        told = adapt(state, genotypes, fitness, rates(p, d))
        best = jnp.min(fitness).astype(state.mean.dtype)
        told = told._replace(history=state.history.at[told.generation % len(state.history)].set(best))
        differs = spread(fitness)
        told = told._replace(extent=extent(state.extent, told.generation, differs))
        stagnant: Scalar | bool = False
        if isinstance(told.progress, Progress):
            told = told._replace(progress=record(told.progress, told.generation, fitness, p))
            assert isinstance(told.progress, Progress)
            stagnant = stagnates(told.progress, told.generation, p, d)
        change = jnp.max(told.history) - jnp.min(told.history)
        reason = self.reason(told, differs, change, stagnant, self.sigma)
        told = told._replace(stopped=jnp.where(state.stopped > 0, state.stopped, reason))
        return unless_all_failed(fitness, told, elsewhere(state, self.sigma))

    @property
    def told_together(self) -> int:
        """P: a whole update at a time."""
        return self.population_size

    def ask_one(self, key: Key, state: CMAESState, number: Scalar) -> jax.Array:
        """Draw one candidate ``[D]``."""
        return decode(state, standard_normal(key, (1, len(state.mean))))[0]

    def tell_completed(self, key: Key, state: CMAESState, genotypes: jax.Array, feedback: Feedback) -> CMAESState:
        """Tell P candidates that were drawn from this distribution or from earlier ones."""
        noise, genotypes = injected(state, genotypes)
        return self.tell(key, state._replace(noise=noise), genotypes, feedback)

    def reason(
        self, state: CMAESState, differs: Scalar, change: Scalar, stagnant: Scalar | bool, sigma: Scalar | float
    ) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0.

        Args:
            state: the state after a generation.
            differs: largest minus smallest fitness of the generation.
            change: largest minus smallest best fitness of the last generations.
            stagnant: whether the fitness has stopped getting better.
            sigma: the first step size.
        """
        deviation = state.scale * jnp.sqrt(jnp.diagonal(state.covariance))
        width = state.sigma * deviation
        tolfun = tolerance(self.tolfun, state.extent)
        axis = state.scale * state.factor[:, state.generation % len(state.mean)]
        holds = (
            (differs < tolfun) & (change < tolfun),
            change < tolerance(self.tolfunhist, state.extent),
            jnp.all(
                jnp.maximum(width, state.sigma * state.scale * jnp.abs(state.path_c)) < narrowest(self.tolx, self.sigma)
            ),
            jnp.any(state.mean + 0.2 * width == state.mean),
            jnp.all(state.mean + 0.1 * state.sigma * axis == state.mean),
            _axis_ratio(state.factor) > 1e7,
            jnp.any(width > 1e3 * sigma),
            state.sigma > 1e20 * sigma * jnp.max(deviation),
            ~jnp.isfinite(jnp.sum(state.mean) + jnp.sum(width)),
            jnp.asarray(stagnant),
        )
        reason: Scalar = jnp.int32(0)
        for number, holds_now in reversed(list(enumerate(holds, start=1))):
            reason = jnp.where(holds_now, jnp.int32(number), reason)
        return reason

    def center(self, state: CMAESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: CMAESState) -> Scalar:
        """Return the stop code: 1 + the index of the first stop reason that has held since the start, or 0."""
        return state.stopped

    def diagnostics(self, state: CMAESState) -> dict[str, Scalar]:
        """Return σ and a lower bound of the ratio of the distribution's longest to its shortest axis."""
        return {"sigma": state.sigma, "axis_ratio": _axis_ratio(state.factor)}


def start_at(mean: jax.Array, sigma: jax.Array, *, decoded: bool) -> CMAESState:
    """Return a distribution around a mean ``[D]`` with C the identity, and empty noise and history."""
    zeros, identity = jnp.zeros_like(mean), jnp.eye(len(mean), dtype=mean.dtype)
    return CMAESState(
        mean=mean,
        sigma=sigma,
        covariance=identity,
        factor=identity,
        noise=jnp.zeros((0, len(mean)), mean.dtype),
        path_sigma=zeros,
        path_c=zeros,
        generation=jnp.int32(0),
        history=jnp.zeros((0,), mean.dtype),
        stopped=jnp.int32(0),
        extent=jnp.asarray(jnp.inf, mean.dtype),
        diagonal=unit_diagonal(mean) if decoded else (),
    )


def begun_at(state: CMAESState, points: jax.Array, sigma: float) -> CMAESState:
    """Return a distribution with mean and covariance of known points ``[K, D]``; σ² is the D-th root of det σ² C."""
    mean, covariance = warm_start.gaussian(points.astype(state.mean.dtype), sigma)
    factor = jnp.linalg.cholesky(covariance)
    width = jnp.exp(jnp.mean(jnp.log(jnp.diagonal(factor))))
    return state._replace(mean=mean, sigma=width, covariance=covariance / width**2, factor=factor / width)


def decode(state: CMAESState, noise: jax.Array) -> jax.Array:
    """Return the candidates mean + σ · scale · L z of noise z ``[N, D]``."""
    return state.mean[None] + state.sigma * (state.scale_of_rows * (noise @ state.factor.T))


def injected(state: CMAESState, genotypes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the noise ``[N, D]`` with which the distribution would have made candidates, and the candidates.

    Those farther out than √D + 2D / (D + 2), which hardly any of its own is, are moved there (Hansen 2011,
    arXiv:1110.4181, section 3): one long step would change σ and C too much.
    """
    d = len(state.mean)
    steps = (genotypes - state.mean[None]) / (state.sigma * state.scale_of_rows)
    noise = jax.lax.linalg.triangular_solve(state.factor, steps, left_side=False, lower=True, transpose_a=True)
    length = jnp.linalg.norm(noise, axis=1, keepdims=True)
    longest = math.sqrt(d) + 2 * d / (d + 2)
    noise = noise * jnp.minimum(1.0, longest / jnp.maximum(length, longest))
    return noise, jnp.where(length > longest, decode(state, noise), genotypes)


def adapt(state: CMAESState, genotypes: jax.Array, fitness: jax.Array, r: Rates) -> CMAESState:
    """Return the distribution after one generation; equation numbers are the tutorial's.

    Args:
        state: the state whose noise made the candidates.
        genotypes: ``[P, D]``.
        fitness: ``[P]``.
        r: weights and learning rates.
    """
    d = genotypes.shape[1]
    dtype = state.mean.dtype
    at = places(fitness, r.size)
    gain, mu_eff, trust = recombination(r.gain, at, 0.5, r.size)
    loss = shares(r.loss, at)
    generation = state.generation + 1

    # Mean, from the candidates as they were evaluated, rounding included.
    moves = genotypes - state.mean[None]
    mean = state.mean + gain @ moves  # (42)
    moves = moves / state.scale_of_rows
    move = gain @ moves

    # σ, with C^-1/2 taken as L^-1
    path_sigma, sigma, short = adapt_sigma(state.path_sigma, state.sigma, gain @ state.noise, generation, mu_eff, r)

    # C
    path_c = (1 - r.c_c) * state.path_c + pull(short, r.c_c, mu_eff) * move / state.sigma
    squared = jnp.maximum(jnp.sum(state.noise**2, axis=1), jnp.finfo(dtype).tiny)
    weights = gain - loss * d / squared  # (46)
    decay = forgetting(r.c_1, r.c_mu * (1 - r.loss.sum()), r.c_c, short)
    covariance = (
        decay * state.covariance
        + r.c_1 * path_c[:, None] * path_c[None, :]
        + (moves * (r.c_mu * weights / state.sigma**2)[:, None]).T @ moves
    )  # (47)
    covariance = slowed(covariance, state.covariance, trust)
    diagonal = state.diagonal
    if isinstance(diagonal, Diagonal):
        diagonal = adapt_diagonal(diagonal, state.covariance, state.factor, state.noise, gain, loss, short, trust, r)
    factor, ridge = state.factor, jnp.zeros_like(mean)
    if isinstance(r.refresh, jax.Array) or r.refresh > 1:
        factor, ridge = jax.lax.cond(
            generation % r.refresh == 0, factorise, lambda _, last: (last, ridge), covariance, factor
        )
    else:
        factor, ridge = factorise(covariance, factor)
    return state._replace(
        mean=mean,
        sigma=sigma.astype(dtype),
        covariance=add_to_diagonal(covariance, ridge).astype(dtype),
        factor=factor.astype(dtype),
        path_sigma=path_sigma.astype(dtype),
        path_c=path_c.astype(dtype),
        generation=generation,
        diagonal=jax.tree.map(lambda leaf: leaf.astype(dtype), diagonal),
    )


def _axis_ratio(factor: jax.Array) -> Scalar:
    diagonal: jax.Array = jnp.diagonal(factor)
    ratio: Scalar = jnp.max(diagonal) / jnp.min(diagonal)
    return ratio
