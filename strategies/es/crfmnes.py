"""Cost-reduction fast moving natural evolution strategy (Nomura & Ono 2022, arXiv:2201.11422)."""

import dataclasses
import functools
import math
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.settings import NonNegative, Range, StepSize
from evometa.spaces import Space
from evometa.strategies.cma.rates import rates
from evometa.strategies.cma.sep_cmaes import STOP_REASONS, empty_history, record, stop_code
from evometa.strategies.cma.stagnation import extent, spread
from evometa.strategies.cma.update import cumulate
from evometa.strategies.es.xnes import place_values
from evometa.strategies.shared import antithetic, warm_start
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


class CRFMNESState(NamedTuple):
    """The search distribution N(mean, σ² D (I + v vᵀ) D), with D diagonal and v one direction."""

    mean: jax.Array
    """``[D]``."""
    sigma: Scalar
    """Overall step size σ, in genotype units."""
    scales: jax.Array
    """``[D]``, the diagonal of D; positive."""
    v: jax.Array
    """``[D]``."""
    path_sigma: jax.Array
    """``[D]``, the evolution path that tells moving from stagnation and convergence."""
    path_c: jax.Array
    """``[D]``, the evolution path of the mean."""
    generation: Scalar
    """Generations told, int32."""
    history: jax.Array
    """Best fitness of the last generations, a ring buffer; ``inf`` where there is none yet."""
    extent: Scalar
    """The largest difference of fitness within a generation so far; +inf before the first."""


LIMIT = 0.7
"""Largest relative change of v, and of a scale, in a generation: VD-CMA's (Akimoto, Auger & Hansen 2014).

The authors' package has none. v and D can both stretch one coordinate, and without a limit they run away from each
other now and then on a long slope, to infinity, there as here.
"""


@functools.cache
def distance_exponent(dimension: int) -> float:
    """Return h⁻¹ of the paper: how strongly distant candidates are weighted while the distribution moves."""
    from scipy.optimize import brentq  # takes half as long to import as JAX, and only this strategy needs it

    root: float = brentq(lambda a: (1 + a * a) * math.exp(a * a / 2) / 0.24 - 10 - dimension, 0.0, 30.0, xtol=1e-12)
    return root


@dataclasses.dataclass(frozen=True)
class CRFMNES(Strategy[CRFMNESState]):
    """Natural gradient on a covariance of 2 D numbers: a scale for each coordinate and one direction.

    For 10² to 10⁶ real numbers: time and memory grow as P·D. It learns scales as quickly as separable strategies,
    follows one long direction through the coordinates, and takes longer steps while it moves, so it does well on
    ellipsoids, cigars and curved valleys; it cannot represent many correlated directions. Only half the noise is drawn
    (mirrored pairs), and none is stored: it is recovered from the candidates.

    The update is that of the authors' package ``crfmnes``, with the sums over the population taken first, and
    with a limit on the change of v and D that keeps it from diverging. Candidates of equal fitness share
    their weights. With failed candidates the learning rates fall, as the paper asks for infeasible ones; they never
    pull the mean, whereas the package lets those close to the mean do so once more than half have failed.

    Raises:
        ConfigurationError: a population_size that is odd or below 4, sigma not positive, or a negative tolerance.
    """

    population_size: Annotated[int, Range(least=4, even=True)] = 32
    """Candidates in a generation, P even and at least 4: P/2 mirrored pairs, of which one alone never changes σ."""
    sigma: StepSize = 0.3
    """First step size in genotype units."""
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

    def init(self, key: Key, space: Space) -> CRFMNESState:
        """Start at the space's start, with D the identity and v a random direction of length about 1."""
        key_mean, key_v = jax.random.split(key)
        mean = vector_space(self, space).start(key_mean)
        d = len(mean)
        return CRFMNESState(
            mean=mean,
            sigma=jnp.asarray(self.sigma, mean.dtype),
            scales=jnp.ones_like(mean),
            v=standard_normal(key_v, (d,)) / math.sqrt(d),
            path_sigma=jnp.zeros_like(mean),
            path_c=jnp.zeros_like(mean),
            generation=jnp.int32(0),
            history=empty_history(self.population_size, d),
            extent=jnp.asarray(jnp.inf, mean.dtype),
        )

    def begun(self, state: CRFMNESState, points: jax.Array) -> CRFMNESState:
        """Take mean, σ and the scales of the coordinates from known points ``[K, D]``."""
        mean, deviation = warm_start.separate(points.astype(state.mean.dtype), self.sigma)
        sigma, scales = warm_start.scaled(deviation / jnp.sqrt(1 + state.v**2))  # v adds to the spread
        return state._replace(mean=mean, sigma=sigma, scales=scales)

    def resized(self, key: Key, state: CRFMNESState, space: Space, former: Strategy[CRFMNESState]) -> CRFMNESState:
        """Keep the distribution; the flat history begins anew where its length changes."""
        fresh = self.init(key, space)
        history = state.history if len(state.history) == len(fresh.history) else fresh.history
        return state._replace(history=history)

    def ask(self, key: Key, state: CRFMNESState) -> tuple[jax.Array, CRFMNESState]:
        """Draw ``[P, D]`` candidates ``mean ± σ D (z + (√(1 + |v|²) - 1) (v̄·z) v̄)``, each + before its -.

        v̄ is ``v / |v|``.
        """
        noise = standard_normal(key, (self.population_size // 2, len(state.mean)))
        norm, unit = _polar(state.v)
        step = (state.sigma * state.scales)[None] * _stretch(noise, unit, jnp.sqrt(1 + norm**2))
        return antithetic.join(state.mean[None] + step, state.mean[None] - step), state

    def tell(self, key: Key, state: CRFMNESState, genotypes: jax.Array, feedback: Feedback) -> CRFMNESState:
        """Weigh the candidates by rank and distance, then move the mean and adapt D, v and σ."""
        fitness = feedback.fitness
        p, d = genotypes.shape
        at = places(fitness)
        valid = jnp.sum(at.valid).astype(state.mean.dtype)  # λ_F
        norm, unit = _polar(state.v)
        moves = genotypes - state.mean[None]
        y = moves / (state.sigma * state.scales)[None]
        z = _stretch(y, unit, 1 / jnp.sqrt(1 + norm**2))
        squares = jnp.sum(z**2, axis=1)

        # Whether the distribution moves, stagnates or converges, and the weights and the learning rate of σ for it.
        gain, mu_eff, trust = recombination(place_values(p), at, 1.0)
        c_sigma = (mu_eff + 2) / (d + mu_eff + 5)
        path_sigma = cumulate(state.path_sigma, c_sigma, mu_eff, gain @ z)
        length = jnp.linalg.norm(path_sigma)
        expected = rates(p, d).norm
        moving = length >= expected
        exponent = distance_exponent(d) * min(1.0, math.sqrt(p / d)) * jnp.sqrt(valid / p)  # α
        distance = exponent * jnp.sqrt(squares)
        far = gain * jnp.exp(distance - jnp.max(distance))
        weights = jnp.where(moving, far / jnp.sum(far), gain) - 1 / p
        rate_sigma = trust * jnp.where(
            moving,
            1.0,
            jnp.where(
                length >= 0.1 * expected,
                jnp.tanh((0.024 * valid + 0.7 * d + 20) / (d + 12)),
                2 * jnp.tanh((0.025 * valid + 0.75 * d + 10) / (d + 4)),
            ),
        )

        # Mean
        move = weights @ moves
        c_c = (4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d)
        path_c = (1 - c_c) * state.path_c + jnp.sqrt(c_c * (2 - c_c) * mu_eff) * move / state.sigma

        # D and v, by the population and by the path
        rate = trust * jnp.tanh((jnp.minimum(0.02 * valid, 3 * math.log(d)) + 5) / (0.23 * d + 25))  # η_B
        c_1 = trust * 2 / ((d + 1.3) ** 2 + mu_eff) * max(0, d - 5) / 6 * valid / p
        s, t = _natural_gradient(
            jnp.concatenate([y, (path_c / state.scales)[None]]),
            jnp.append(rate * weights, c_1),
            norm,
            unit,
        )
        change = t / norm
        v = state.v + change * jnp.minimum(1.0, LIMIT * norm / jnp.linalg.norm(change))
        scales = state.scales * (1 + s * jnp.minimum(1.0, LIMIT / jnp.max(jnp.abs(s))))
        volume = (jnp.sum(jnp.log(scales)) + jnp.log1p(v @ v) / 2) / d
        generation = state.generation + 1
        told = CRFMNESState(
            mean=state.mean + move,
            sigma=state.sigma * jnp.exp(rate_sigma / 2 * (weights @ (squares - d)) / d),
            scales=scales * jnp.exp(-volume),  # det D (I + v vᵀ)^½ = 1
            v=v,
            path_sigma=path_sigma,
            path_c=path_c,
            generation=generation,
            history=record(state.history, generation, fitness),
            extent=extent(state.extent, generation, spread(fitness)),
        )
        return unless_all_failed(fitness, told, elsewhere(state, self.sigma))

    def center(self, state: CRFMNESState) -> jax.Array:
        """Return the mean ``[D]``."""
        return state.mean

    def stop(self, state: CRFMNESState) -> Scalar:
        """Return 1 + the index of the first stop reason that holds, or 0."""
        width = state.sigma * state.scales * jnp.sqrt(1 + state.v**2)
        return stop_code(self, state, width)

    def diagnostics(self, state: CRFMNESState) -> dict[str, Scalar]:
        """Return σ and the length of v."""
        return {"sigma": state.sigma, "v_norm": jnp.linalg.norm(state.v)}


def _polar(v: jax.Array) -> tuple[Scalar, jax.Array]:
    norm = jnp.linalg.norm(v)
    return norm, v / norm


def _stretch(rows: jax.Array, unit: jax.Array, factor: Scalar) -> jax.Array:
    """Multiply the part of each row ``[P, D]`` along a unit vector by a factor."""
    return rows + ((factor - 1) * (rows @ unit))[:, None] * unit[None]


def _natural_gradient(y: jax.Array, weights: jax.Array, norm: Scalar, unit: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the weighted sums of s (for D) and t (for v), ``[D]`` each, of Akimoto & Hansen's VD-CMA (2014).

    Most terms are linear in the candidates, which are therefore summed first: only two products with ``[P + 1, D]``
    remain.

    Args:
        y: ``[P + 1, D]``, candidates in the coordinates where D = I, and the path.
        weights: ``[P + 1]``.
        norm: |v|.
        unit: v̄ ``[D]``.
    """
    square, gamma = norm**2, 1 + norm**2
    unit2 = unit**2
    # 1 - α², where (2 + |v|²)² - |v|⁴ is written as 4 γ: float32 would lose the difference for a long v.
    lack = jnp.maximum(0.0, 4 - (2 - 1 / jnp.sqrt(gamma)) / jnp.max(unit2))
    alpha2 = 1 - lack * gamma / (2 + square) ** 2
    alpha = jnp.sqrt(alpha2)
    b = 2 * alpha2 - lack * (square / (2 + square)) ** 2
    inverse = 1 / (2 - (b + 2 * alpha2) * unit2)  # H⁻¹
    along = y @ unit
    total = jnp.sum(weights)
    mixed = (weights * along) @ y
    t = mixed - unit * (weights @ along**2 + gamma * total) / 2
    s = weights @ y**2 - square / gamma * unit * mixed - total
    s = s - alpha / gamma * ((2 + square) * unit * t - square * unit2 * (unit @ t))
    scaled = inverse * unit2
    s = inverse * s - b / (1 + b * (unit2 @ scaled)) * scaled * (scaled @ s)
    t = t - alpha * ((2 + square) * unit * s - unit * (unit2 @ s))
    return s, t
