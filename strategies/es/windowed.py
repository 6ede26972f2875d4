"""Evolution strategies on unrolled inner training: one estimator, four ways to draw its noise.

====================  ==============================  ===============================  ============================
strategy              evaluates by                       noise is drawn                   the estimate is
====================  ==============================  ===============================  ============================
:class:`FullES`       whole inner training            for each generation              unbiased
:class:`TruncatedES`  a window of K inner steps       for each window                  biased: short horizon
:class:`PES`          a window of K inner steps       for each window, and summed      unbiased
:class:`NRES`         a window of K inner steps       for each episode                 unbiased
====================  ==============================  ===============================  ============================

The engine carries the learners and calls on these strategies as :mod:`evometa.evaluation.windowed_evaluator` says.
"""

import abc
import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax

from evometa.errors import ConfigurationError
from evometa.feasibility import ConstraintHandling
from evometa.settings import Count, Fraction, Pairs, Positive, StepSize
from evometa.spaces import Space
from evometa.strategies.shared import antithetic, populations
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.gradient_steps import GradientSteps
from evometa.strategies.shared.noise import standard_normal
from evometa.strategies.shared.optimizer import Optimizer
from evometa.strategy import (
    Feedback,
    Strategy,
    Unrolled,
    refuse_unless_continuous,
)
from evometa.types import Key, Scalar


class PairsState(NamedTuple):
    """The search distribution N(center, σ² I), the optimizer that moves it, and the pairs' noise."""

    center: jax.Array
    """θ, ``[D]``."""
    optimizer: optax.OptState
    """Moments and count of the optimizer, arrays."""
    direction: jax.Array
    """ξ ``[P/2, D]``: the noise that made each pair's learners differ, with which its losses are weighted."""
    begins: jax.Array
    """For which pairs the coming window is the first of an episode, bool ``[P/2]``."""
    generation: Scalar
    """Generations told, int32."""


@dataclasses.dataclass(frozen=True)
class _AntitheticES(GradientSteps, Strategy[PairsState]):
    """The estimator that all four share: g = mean over pairs of ξ (L+ - L-) / (2 σ²), passed to an optimizer.

    Losses are used as they are, not as ranks, so that the mean over the windows of an episode is the whole episode's
    gradient. Where the problem has constraints, the loss of a candidate that violates one is the worst feasible loss of
    the generation plus the violation.
    """

    population_size: Pairs = 64
    """Candidates in a generation, P even: P/2 mirrored pairs, each with tasks of its own."""
    sigma: StepSize = 0.03
    """Standard deviation of the noise in genotype units."""
    learning_rate: Positive = 0.003
    """Step of the optimizer in genotype units: for Adam about the step of each coordinate in a generation."""
    optimizer: Optimizer | str = "adam"
    """What turns gradient estimates into steps; see :class:`Optimizer`."""
    largest_norm: Positive = 1.0
    """Longer gradient estimates are shortened to this Euclidean norm, in fitness over genotype units."""
    decay_generations: Count = 1000
    """Generations over which the learning rate falls exponentially to its final fraction; then constant."""
    learning_rate_final: Fraction = 1.0
    """Final fraction of the learning rate, in (0, 1]."""

    constraint_handling: ClassVar[ConstraintHandling] = "penalised"

    @abc.abstractmethod
    def _noise(self, drawn: jax.Array, begins: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the noise ε of each pair for this window, and its new direction ξ; ``[P/2, D]`` each.

        Args:
            drawn: fresh noise ``[P/2, D]``.
            begins: ``[P/2, 1]``, whether an episode begins.
            direction: ξ so far, ``[P/2, D]``.
        """

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> PairsState:
        """Start at the space's start."""
        center = vector_space(self, space).start(key)
        pairs = self.population_size // 2
        direction, begins = jnp.zeros((pairs, len(center)), center.dtype), jnp.ones((pairs,), bool)
        return PairsState(center, self._transformation().init(center), direction, begins, jnp.int32(0))

    def begun(self, state: PairsState, points: jax.Array) -> PairsState:
        """Take the mean of known points ``[K, D]``; σ is a setting."""
        return state._replace(center=jnp.mean(points.astype(state.center.dtype), axis=0))

    def resized(self, key: Key, state: PairsState, space: Space, former: Strategy[PairsState]) -> PairsState:
        """Keep the first pairs in their episodes; additional pairs begin their first one."""
        fresh = self.init(key, space)
        direction, begins = populations.resized((state.direction, state.begins), (fresh.direction, fresh.begins))
        return state._replace(direction=direction, begins=begins)

    def ask(self, key: Key, state: PairsState) -> tuple[jax.Array, PairsState]:
        """Return ``[P, D]`` candidates center ± ε, in pairs of + and -."""
        drawn = self.sigma * standard_normal(key, state.direction.shape)
        noise, direction = self._noise(drawn, state.begins[:, None], state.direction)
        state = state._replace(direction=direction, begins=jnp.zeros_like(state.begins))
        return antithetic.join(state.center[None] + noise, state.center[None] - noise), state

    def tell(self, key: Key, state: PairsState, genotypes: jax.Array, feedback: Feedback) -> PairsState:
        """Step against the estimated gradient, clipped where it is too long."""
        gradient, scale = self._gradient(state, feedback.fitness)
        norm = jnp.linalg.norm(gradient)
        gradient = gradient * jnp.minimum(scale, self.largest_norm / jnp.where(norm > 0, norm, 1.0))
        updates, optimizer = self._transformation().update(gradient, state.optimizer, state.center)
        center = state.center + jnp.asarray(updates)
        return state._replace(center=center, optimizer=optimizer, generation=state.generation + 1)

    def gradient(self, state: PairsState, fitness: jax.Array) -> jax.Array:
        """Return the estimate ``[D]`` of the gradient in genotype units, before clipping.

        Args:
            state: the state that ``ask`` returned.
            fitness: ``[P]`` of the candidates that came with it; pairs with a failed member are dropped.
        """
        gradient, scale = self._gradient(state, fitness)
        return gradient * scale

    def _gradient(self, state: PairsState, fitness: jax.Array) -> tuple[jax.Array, Scalar]:
        """Return the estimate as a vector of moderate size and a factor, so that a large fitness does not overflow."""
        dtype = state.center.dtype
        fitness = antithetic.drop_broken(fitness)
        valid = jnp.isfinite(fitness[0::2])
        plus, minus = antithetic.split(jnp.where(jnp.isfinite(fitness), fitness / 2, 0.0))
        difference = (plus - minus).astype(dtype)
        largest = jnp.max(jnp.abs(difference))
        largest = jnp.where(largest > 0, largest, 1.0)
        count = jnp.maximum(jnp.sum(valid, dtype=jnp.int32), 1).astype(dtype)
        return (difference / largest / count) @ state.direction / self.sigma**2, largest

    def center(self, state: PairsState) -> jax.Array:
        """Return the center ``[D]``."""
        return state.center

    def diagnostics(self, state: PairsState) -> dict[str, Scalar]:
        """Return the learning rate."""
        return {"learning_rate": self._learning_rate(state.generation)}


@dataclasses.dataclass(frozen=True)
class FullES(_AntitheticES):
    """Evaluate each pair by whole inner training on tasks of its own.

    The baseline of the unrolled strategies: unbiased, but each update costs all inner steps. Works with any problem and
    objective.

    Raises:
        ConfigurationError: an odd population_size, a number that is not positive, a fraction outside (0, 1].
    """

    @property
    def members_per_task_set(self) -> int:
        """2: each pair has tasks of its own."""
        return 2

    def _noise(self, drawn: jax.Array, begins: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        return drawn, drawn


@dataclasses.dataclass(frozen=True)
class _WindowedES(_AntitheticES, Unrolled[PairsState]):
    """What strategies that evaluate by windows have in common.

    Raises:
        ConfigurationError: an odd population_size, a number that is not positive, a fraction outside (0, 1]; with the
            problem: an unroll_length beyond the shortest horizon, or an objective without a loss in some window.
    """

    unroll_length: Count = 10
    """K, inner steps in a window."""
    shortest_horizon: Count | None = None
    """None: each episode has the problem's inner_steps. A number: horizons are drawn log-uniformly from it up to
    inner_steps, so that early inner steps are seen more often."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest_horizon is not None and self.shortest_horizon < self.unroll_length:
            raise ConfigurationError(
                f"{type(self).__name__} expects a shortest_horizon that is not shorter than unroll_length, the inner "
                f"steps in a window, got {self.shortest_horizon} and {self.unroll_length}."
            )

    def begin_episodes(self, state: PairsState, begins: jax.Array) -> PairsState:
        """Remember for ``ask`` which pairs, ``[P/2]`` bool, begin an episode."""
        return state._replace(begins=begins)


@dataclasses.dataclass(frozen=True)
class TruncatedES(_WindowedES):
    """Truncated unrolls: estimate the gradient of each window as if inner training began with it.

    Cheap, but it ignores the effect of ω on losses beyond the window, so it converges to where truncated gradients
    vanish, which may be far from the optimum (Metz et al. 2019, arXiv:1810.10180). The baseline of PES and NRES.
    """

    def _noise(self, drawn: jax.Array, begins: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        return drawn, drawn


@dataclasses.dataclass(frozen=True)
class PES(_WindowedES):
    """Persistent evolution strategies (Vicol, Metz & Sohl-Dickstein 2021, arXiv:2112.13835).

    Each window has new noise, and its losses are multiplied by the sum of all noise since the episode began, which
    all has influenced the learners. Unbiased; its variance grows with the number of windows in an episode.
    """

    def _noise(self, drawn: jax.Array, begins: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        return drawn, jnp.where(begins, 0.0, direction) + drawn  # ξ_t = ξ_{t-1} + ε_t


@dataclasses.dataclass(frozen=True)
class NRES(_WindowedES):
    """Noise-reuse evolution strategies (Li et al. 2023, arXiv:2304.12180).

    The noise of a pair stays the same for a whole episode. Unbiased, and with less variance than PES
    where losses are smooth: the first choice of the four.
    """

    def _noise(self, drawn: jax.Array, begins: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise = jnp.where(begins, drawn, direction)
        return noise, noise
