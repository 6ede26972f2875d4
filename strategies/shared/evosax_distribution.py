"""Algorithms of evosax (Lange 2022) behind the contract of strategies.

evosax is given final utilities, in which ties and failed candidates are accounted for, and does no fitness shaping: its
own shaping gives tied candidates weights that do not sum to zero. Since it takes these utilities as fitness, the best
solution in its state is meaningless here; the search keeps the best.
"""

import abc
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.spaces import Space
from evometa.strategies.shared import warm_start
from evometa.strategies.shared.checks import vector_space
from evometa.strategies.shared.failures import another_width
from evometa.strategy import Feedback, Strategy, refuse_unless_continuous, unless_all_failed
from evometa.types import Key, Scalar


class EvosaxState(NamedTuple):
    """The state of an evosax algorithm, a pytree of arrays."""

    inner: Any
    """evosax's own state, among others with ``mean`` and ``std``, each ``[D]``."""


def algorithms() -> Any:
    """Return the module ``evosax.algorithms``.

    Importing it takes half as long as importing JAX, so it is imported when a strategy that needs it is constructed.
    The module makes an array when it is imported, which must not happen inside a trace or in the precision of one
    search.
    """
    import evosax.algorithms

    return evosax.algorithms


def build(algorithm: Callable[..., Any], population_size: int, dimension: int, **settings: Any) -> Any:
    """Return an evosax algorithm without fitness shaping; it may be called, and cached, inside a trace."""
    from evosax.core.fitness_shaping import identity_fitness_shaping_fn  # slow to import, as the algorithms are

    with jax.ensure_compile_time_eval():
        return algorithm(
            population_size, jnp.zeros(dimension), fitness_shaping_fn=identity_fitness_shaping_fn, **settings
        )


def call(method: Callable[..., Any], *args: Any) -> Any:
    """Call a method of an algorithm; evosax relies on implicit rank promotion, which the user may have switched off."""
    with jax.numpy_rank_promotion("allow"):
        return method(*args)


def settle(state: Any) -> Any:
    """Return a state of evosax with Python numbers replaced by arrays: default floats and int32."""

    def one(leaf: Any) -> jax.Array:
        kind = jnp.result_type(float) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else jnp.int32
        return jnp.asarray(leaf, kind)

    return jax.tree.map(one, state)


class EvosaxDistribution(Strategy[EvosaxState]):
    """Base of strategies whose distribution, with a standard deviation for each coordinate, evosax adapts."""

    told_when_all_fail: ClassVar[bool] = True
    if TYPE_CHECKING:  # a field of each
        sigma: float

    def __post_init__(self) -> None:
        algorithms()

    @abc.abstractmethod
    def _build(self, dimension: int) -> Any:
        """Return evosax's algorithm."""

    @abc.abstractmethod
    def _parameters(self, algorithm: Any) -> Any:
        """Return the algorithm's parameters."""

    def _algorithm(self, mean: jax.Array) -> Any:
        return _built(self, len(mean), mean.dtype)

    def incompatibility(self, space: Space) -> str | None:
        """Refuse spaces with anything but real coordinates."""
        return refuse_unless_continuous(self, space)

    def init(self, key: Key, space: Space) -> EvosaxState:
        """Start at the space's start."""
        mean = vector_space(self, space).start(key)
        algorithm = self._algorithm(mean)
        return EvosaxState(settle(call(algorithm.init, key, mean, self._parameters(algorithm))))

    def begun(self, state: EvosaxState, points: jax.Array) -> EvosaxState:
        """Take mean and standard deviations from known points ``[K, D]``."""
        mean, deviation = warm_start.separate(points.astype(state.inner.mean.dtype), self.sigma)
        return EvosaxState(state.inner.replace(mean=mean, std=deviation))

    def _ask(self, key: Key, state: EvosaxState) -> tuple[jax.Array, EvosaxState]:
        """Return the algorithm's candidates ``[P, D]``."""
        algorithm = self._algorithm(state.inner.mean)
        genotypes, inner = call(algorithm.ask, key, state.inner, self._parameters(algorithm))
        return genotypes, EvosaxState(inner)

    def _tell(self, key: Key, state: EvosaxState, genotypes: jax.Array, utilities: jax.Array) -> EvosaxState:
        """Return the state after telling the algorithm the utilities ``[P]`` of its candidates."""
        algorithm = self._algorithm(state.inner.mean)
        inner, _ = call(algorithm.tell, key, genotypes, utilities, state.inner, self._parameters(algorithm))
        return EvosaxState(inner)

    def _unless_all_failed(
        self, feedback: Feedback, told: EvosaxState, state: EvosaxState, sigma: float
    ) -> EvosaxState:
        """Return the new state; if all failed the old one, with another step size while none has succeeded."""
        inner = state.inner
        width = jnp.where(inner.generation_counter == 0, another_width(inner.std, sigma), inner.std)
        return unless_all_failed(feedback.fitness, told, EvosaxState(inner.replace(std=width)))

    def center(self, state: EvosaxState) -> jax.Array:
        """Return the mean ``[D]``."""
        mean: jax.Array = state.inner.mean
        return mean

    def diagnostics(self, state: EvosaxState) -> dict[str, Scalar]:
        """Return the geometric mean of the standard deviations."""
        return {"sigma": jnp.exp(jnp.mean(jnp.log(state.inner.std)))}


@functools.cache
def _built(strategy: EvosaxDistribution, dimension: int, dtype: np.dtype[Any]) -> Any:
    # The dtype is part of the cache's key alone: what evosax builds depends on JAX's x64 switch.
    del dtype
    return strategy._build(dimension)
