"""Policy gradients with parameter-based exploration (Sehnke et al. 2010) and ClipUp (Toklu et al. 2020), by evosax.

Where noise is regenerated the update is our own, of the same mathematics: evosax takes candidates, not keys.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from evometa.backend.slices import Place, Vectors, vectors_of
from evometa.settings import Pairs, Positive, StepSize
from evometa.spaces import Space
from evometa.strategies.shared import antithetic, evosax_distribution
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.evosax_distribution import EvosaxDistribution, EvosaxState
from evometa.strategies.shared.noise import member_noise
from evometa.strategies.shared.optimizer import Optimizer
from evometa.strategies.shared.ranks import centered_ranks, places
from evometa.strategy import Feedback
from evometa.types import Key, Scalar


class RegeneratedState(NamedTuple):
    """What PGPE keeps with ``regenerate_noise`` in place of evosax's state, under the names that has."""

    mean: jax.Array
    """``[D]``."""
    std: jax.Array
    """``[D]``, the standard deviations."""
    opt_state: optax.OptState
    """Of the optimizer of the mean, arrays."""
    generation_counter: Scalar
    """Generations told, int32."""
    noise_key: jax.Array
    """Data of the key that the last candidates came from, uint32."""

    def replace(self, **changes: Any) -> "RegeneratedState":
        """Return the state with other values, as evosax's states do."""
        return self._replace(**changes)


@dataclasses.dataclass(frozen=True)
class PGPE(EvosaxDistribution):
    """Follow the gradient of the mean and of one standard deviation per coordinate, from mirrored pairs.

    For network weights, as OpenAI-ES, with standard deviations that adapt and ClipUp as the optimizer: each step has a
    bounded length, whatever the size of the gradient. A pair in which one member failed is dropped.

    Raises:
        ConfigurationError: an odd population_size, or a number that is not positive.
    """

    population_size: Pairs = 256
    """Candidates in a generation, P even: P/2 mirrored pairs."""
    sigma: StepSize = 0.1
    """First standard deviation of every coordinate, in genotype units."""
    max_speed: Positive = 0.067
    """Longest step of the mean in a generation by ClipUp, in radii of the first cloud of candidates, sigma √D: its
    authors advise 1/15. Half of it is the learning rate of the optimizer, whichever it is."""
    sigma_learning_rate: Positive = 0.1
    """Of the standard deviations."""
    sigma_max_change: Positive = 0.2
    """Largest relative change of a standard deviation in a generation."""
    optimizer: Optimizer | str = "clip_up"
    """What turns gradient estimates of the mean into steps; see :class:`Optimizer`."""
    regenerate_noise: bool = False
    """Draw the noise of each pair from a key of its own, and again where it is needed, as in
    :class:`~evometa.strategies.OpenAIES`: a search then needs memory for a few vectors ``[D]`` whatever the population,
    several devices share these out, and it draws twice."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Optimizer.of(self.optimizer)

    def init(self, key: Key, space: Space) -> EvosaxState:
        """Start at the space's start."""
        if not self.regenerate_noise:
            return super().init(key, space)
        mean = vector_space(self, space).start(key)
        state = RegeneratedState(
            mean=mean,
            std=jnp.full_like(mean, self.sigma),
            opt_state=self._transformation(len(mean)).init(mean),
            generation_counter=jnp.int32(0),
            noise_key=jax.random.key_data(key),
        )
        return EvosaxState(state)

    def ask(self, key: Key, state: EvosaxState) -> tuple[jax.Array, EvosaxState]:
        """Draw ``[P, D]`` candidates mean ± σ ε, in pairs of + and -."""
        if self.regenerate_noise:
            state = EvosaxState(state.inner.replace(noise_key=jax.random.key_data(key)))
            drawn = functools.partial(self._drawn, state.inner)
            return jax.vmap(drawn)(jnp.arange(self.population_size)), state
        halves, state = self._ask(key, state)
        return antithetic.join(*jnp.split(halves, 2)), state

    @property
    def redraws(self) -> bool:
        """As :attr:`regenerate_noise` says."""
        return self.regenerate_noise

    def member(self, state: EvosaxState, index: jax.typing.ArrayLike) -> jax.Array | None:
        """Return only candidate ``index`` of the last ask, ``[D]``; None without ``regenerate_noise``."""
        return self._drawn(state.inner, index) if self.regenerate_noise else None

    def tell(self, key: Key, state: EvosaxState, genotypes: jax.Array, feedback: Feedback) -> EvosaxState:
        """Follow the gradient of the centred ranks; a pair with a failed member ranks in the middle, without effect."""
        ranks = centered_ranks(places(antithetic.drop_broken(feedback.fitness)))
        if self.regenerate_noise:
            told = EvosaxState(self._stepped(state.inner, *antithetic.split(ranks)))
        else:
            halves, ranks = (jnp.concatenate(antithetic.split(both)) for both in (genotypes, ranks))
            told = self._tell(key, state, halves, ranks)
        return self._unless_all_failed(feedback, told, state, self.sigma)

    def diagnostics(self, state: EvosaxState) -> dict[str, Scalar]:
        """Return the geometric mean of the standard deviations."""
        over = self._over(state.inner)
        return {"sigma": jnp.exp(over.mean(over.each(lambda _, __, std: jnp.log(std), (), state.inner.std)))}

    def _over(self, inner: Any) -> Vectors:
        return vectors_of(len(inner.mean), split=self.regenerate_noise)

    def _drawn(self, inner: RegeneratedState, index: jax.typing.ArrayLike) -> jax.Array:
        """Return candidate ``index`` ``[D]``."""
        over = self._over(inner)

        def one(place: Place, shared: Any, vectors: Any) -> jax.Array:
            (key_data, odd, pair), (mean, std) = shared, vectors
            step = std * member_noise(over, key_data, pair, place)
            candidate: jax.Array = mean + jnp.where(odd == 0, step, -step)
            return candidate

        pair, odd = jnp.divmod(jnp.asarray(index), 2)
        drawn: jax.Array = over.each(one, (inner.noise_key, odd, pair), (inner.mean, inner.std))
        return drawn

    def _stepped(self, inner: RegeneratedState, plus: jax.Array, minus: jax.Array) -> RegeneratedState:
        """Return the state after a generation, by the ranks of the first and of the second of each pair, ``[P/2]``."""
        over = self._over(inner)

        def gradients(place: Place, shared: Any, std: jax.Array) -> tuple[jax.Array, jax.Array]:
            key_data, slopes, curvatures = shared

            def add(pair: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                noise = member_noise(over, key_data, pair, place)
                return sums[0] + slopes[pair] * noise, sums[1] + curvatures[pair] * (noise**2 - 1)

            first, second = jax.lax.fori_loop(0, len(slopes), add, (jnp.zeros_like(std), jnp.zeros_like(std)))
            return std * first, std * second

        def widened(_: Place, __: Any, both: Any) -> jax.Array:
            std, gradient = both
            most = self.sigma_max_change * std
            return jnp.clip(std - self.sigma_learning_rate * gradient, std - most, std + most)

        # The ranks are centred: their mean, the baseline, is 0.
        weights = ((plus - minus) / self.population_size, (plus + minus) / self.population_size)
        gradient, by_std = over.each(gradients, (inner.noise_key, *weights), inner.std)
        steps, opt_state = self._transformation(over.length, over).update(gradient, inner.opt_state, inner.mean)
        return inner.replace(
            mean=inner.mean + jnp.asarray(steps),
            std=over.each(widened, (), (inner.std, by_std)),
            opt_state=opt_state,
            generation_counter=inner.generation_counter + 1,
        )

    def _transformation(self, dimension: int, over: Vectors | None = None) -> optax.GradientTransformation:
        learning_rate = self.max_speed * self.sigma * math.sqrt(dimension) / 2
        return Optimizer.of(self.optimizer).transformation(learning_rate, over=over)

    def _build(self, dimension: int) -> Any:
        return evosax_distribution.build(
            evosax_distribution.algorithms().PGPE,
            self.population_size,
            dimension,
            optimizer=self._transformation(dimension),
        )

    def _parameters(self, algorithm: Any) -> Any:
        return algorithm.default_params.replace(
            std_init=self.sigma, std_lr=self.sigma_learning_rate, std_max_change=self.sigma_max_change
        )
