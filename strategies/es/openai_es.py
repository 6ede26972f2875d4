"""OpenAI-ES: gradient ascent by mirrored Gaussian noise (Salimans et al. 2017, arXiv:1703.03864)."""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from evometa.backend.slices import Place, Vectors, vectors_of
from evometa.feasibility import ConstraintHandling
from evometa.settings import Count, Fraction, NonNegative, Pairs, Positive, StepSize
from evometa.spaces import Space
from evometa.strategies.shared import antithetic
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.gradient_steps import GradientSteps
from evometa.strategies.shared.noise import member_noise, standard_normal
from evometa.strategies.shared.optimizer import Optimizer, decayed
from evometa.strategies.shared.ranks import centered_ranks, places
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous
from evometa.types import Key, Scalar


class OpenAIESState(NamedTuple):
    """The search distribution N(center, σ² I) and the optimizer that moves it."""

    center: jax.Array
    """``[D]``."""
    optimizer: optax.OptState
    """Moments of the optimizer, arrays."""
    generation: Scalar
    """Generations told, int32; σ and the learning rate follow from it."""
    noise_key: jax.Array
    """Data of the key that the last candidates came from, uint32; empty without ``regenerate_noise``."""


@dataclasses.dataclass(frozen=True)
class OpenAIES(GradientSteps, Strategy[OpenAIESState]):
    """Estimate the gradient of the fitness, smoothed by noise, from mirrored pairs, and pass it to an optimizer.

    The choice for network weights and noisy fitness: time and memory grow as P·D, and the population averages the
    noise. It keeps one σ for all coordinates. Only half the noise is drawn, and none is stored: it is recovered from
    the candidates, or drawn again (``regenerate_noise``). A pair in which one member failed is dropped.

    Raises:
        ConfigurationError: an odd population_size; sigma, learning_rate or decay_generations not positive; a negative
            weight_decay; a final fraction outside (0, 1].
    """

    population_size: Pairs = 256
    """Candidates in a generation, P even: P/2 mirrored pairs."""
    sigma: StepSize = 0.03
    """Standard deviation of the noise in genotype units."""
    learning_rate: Positive = 0.01
    """Step of the optimizer in genotype units: for Adam about the step of each coordinate in a generation."""
    optimizer: Optimizer | str = "adam"
    """What turns gradient estimates into steps; see :class:`Optimizer`."""
    shaping: Literal["centered_rank", "pair_difference"] = "centered_rank"
    """What a pair contributes, u+ - u-: the difference of its members' ranks in the population, or the difference of
    their fitness in root mean squares of all differences, clipped at 3. The latter compares within pairs only, which
    suits tasks_per_pair."""
    weight_decay: NonNegative = 0.0
    """Part of the center taken away in a generation, times the learning rate (decoupled, as in AdamW)."""
    decay_generations: Count = 1000
    """Generations over which sigma and the learning rate fall exponentially to their final fractions; then constant."""
    learning_rate_final: Fraction = 1.0
    """Final fraction of the learning rate, in (0, 1]."""
    sigma_final: Fraction = 1.0
    """Final fraction of sigma, in (0, 1]."""
    tasks_per_pair: bool = False
    """Give each pair tasks of its own instead of one set for the whole population: more tasks in a generation for the
    same cost, which helps where tasks differ much."""
    regenerate_noise: bool = False
    """Draw the noise of each pair from a key of its own, and again where it is needed, instead of reading it off the
    candidates (Salimans et al. send keys instead of noise for the same reason). A search then needs memory for a few
    vectors ``[D]`` whatever the population: candidates are drawn where they are evaluated. It draws twice. From 2¹⁸
    numbers on several devices share these vectors out, with the same results to the bit on any number of them. Adam,
    ClipUp and all that compute a step of a coordinate from its own gradients work on these slices; other optimizers of
    optax (such as lamb) have the whole on each device."""

    @property
    def constraint_handling(self) -> ConstraintHandling:
        """By ranks, or by values with ``shaping="pair_difference"``."""
        return "ranked" if self.shaping == "centered_rank" else "penalised"

    @property
    def members_per_task_set(self) -> int:
        """2 with ``tasks_per_pair``, else 0: the whole population shares its tasks."""
        return 2 if self.tasks_per_pair else 0

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> OpenAIESState:
        """Start at the space's start."""
        center = vector_space(self, space).start(key)
        noise_key = jax.random.key_data(key) if self.regenerate_noise else jnp.zeros(0, jnp.uint32)
        return OpenAIESState(center, self._transformation(self.weight_decay).init(center), jnp.int32(0), noise_key)

    def begun(self, state: OpenAIESState, points: jax.Array) -> OpenAIESState:
        """Take the mean of known points ``[K, D]``; σ is a setting."""
        return state._replace(center=jnp.mean(points.astype(state.center.dtype), axis=0))

    def ask(self, key: Key, state: OpenAIESState) -> tuple[jax.Array, OpenAIESState]:
        """Draw ``[P, D]`` candidates center ± σ ε, in pairs of + and -."""
        if self.regenerate_noise:
            state = state._replace(noise_key=jax.random.key_data(key))
            pairs = jnp.arange(self.population_size // 2)
            return antithetic.join(*jax.vmap(functools.partial(self._pair, state))(pairs)), state
        noise = standard_normal(key, (self.population_size // 2, len(state.center)))
        step = self._sigma(state.generation) * noise
        return antithetic.join(state.center[None] + step, state.center[None] - step), state

    @property
    def redraws(self) -> bool:
        """As :attr:`regenerate_noise` says."""
        return self.regenerate_noise

    def member(self, state: OpenAIESState, index: jax.typing.ArrayLike) -> jax.Array | None:
        """Return only candidate ``index`` of the last ask, ``[D]``; None without ``regenerate_noise``."""
        if not self.regenerate_noise:
            return None
        over = self._over(state)

        def one(place: Place, shared: Any, center: jax.Array) -> jax.Array:
            sigma, key_data, odd, pair = shared
            step = sigma * member_noise(over, key_data, pair, place)
            return center + jnp.where(odd == 0, step, -step)

        pair, odd = jnp.divmod(jnp.asarray(index), 2)
        drawn: jax.Array = over.each(one, (self._sigma(state.generation), state.noise_key, odd, pair), state.center)
        return drawn

    def tell(self, key: Key, state: OpenAIESState, genotypes: jax.Array, feedback: Feedback) -> OpenAIESState:
        """Step against the estimated gradient, the mean over pairs of (u+ - u-)/2 · ε/σ."""
        weights = self._pair_weights(feedback.fitness) / self._sigma(state.generation)
        over = self._over(state)
        if self.regenerate_noise:
            gradient = over.each(functools.partial(_weighted_noise, over), (state.noise_key, weights), state.center)
        else:
            plus, minus = antithetic.split(genotypes)
            gradient = weights / (2 * self._sigma(state.generation)) @ (plus - minus)  # x+ - x- = 2 σ ε
        transformation = self._transformation(self.weight_decay, over)
        updates, optimizer = transformation.update(gradient, state.optimizer, state.center)
        center = state.center + jnp.asarray(updates)
        return OpenAIESState(center, optimizer, state.generation + 1, state.noise_key)

    def _over(self, state: OpenAIESState) -> Vectors:
        return vectors_of(len(state.center), split=self.regenerate_noise)

    def _pair(self, state: OpenAIESState, pair: jax.typing.ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Return both candidates ``[D]`` of a pair."""
        over = self._over(state)

        def both(place: Place, shared: Any, center: jax.Array) -> tuple[jax.Array, jax.Array]:
            sigma, key_data, pair = shared
            step = sigma * member_noise(over, key_data, pair, place)
            return center + step, center - step

        found: tuple[jax.Array, jax.Array] = over.each(
            both, (self._sigma(state.generation), state.noise_key, pair), state.center
        )
        return found

    def _pair_weights(self, fitness: jax.Array) -> jax.Array:
        """Return each pair's (u+ - u-)/2 over the number of pairs, ``[P/2]``; 0 where a member failed."""
        fitness = antithetic.drop_broken(fitness)
        dtype = jnp.result_type(float)
        valid = jnp.isfinite(fitness[0::2])
        count = jnp.maximum(jnp.sum(valid), 1).astype(dtype)
        if self.shaping == "centered_rank":
            plus, minus = antithetic.split(centered_ranks(places(fitness)))
            return (plus - minus) / (2 * count)
        plus, minus = antithetic.split(jnp.where(jnp.isfinite(fitness), fitness / 2, 0.0))
        difference = (plus - minus).astype(dtype)
        # The largest goes out first, so that squares neither overflow nor vanish.
        largest = jnp.max(jnp.abs(difference))
        difference = difference / jnp.where(largest > 0, largest, 1.0)
        deviation = jnp.sqrt(jnp.sum(difference**2) / count)
        return jnp.clip(difference / jnp.where(deviation > 0, deviation, 1.0), -3.0, 3.0) / (2 * count)

    def _sigma(self, generation: Scalar) -> Scalar:
        return decayed(self.sigma, generation, self.decay_generations, self.sigma_final)

    def center(self, state: OpenAIESState) -> jax.Array:
        """Return the center ``[D]``."""
        return state.center

    def diagnostics(self, state: OpenAIESState) -> dict[str, Scalar]:
        """Return σ and the learning rate."""
        return {"sigma": self._sigma(state.generation), "learning_rate": self._learning_rate(state.generation)}


def _weighted_noise(over: Vectors, place: Place, shared: tuple[jax.Array, jax.Array], center: jax.Array) -> jax.Array:
    """Return the sum over pairs of weight times noise."""
    key_data, weights = shared

    def add(pair: jax.Array, total: jax.Array) -> jax.Array:
        return total + weights[pair] * member_noise(over, key_data, pair, place)

    summed: jax.Array = jax.lax.fori_loop(0, len(weights), add, jnp.zeros_like(center))
    return summed
