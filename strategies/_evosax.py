"""The seam to evosax (Lange 2022): its algorithms behind this package's contract.

evosax is handed utilities that are ready to use, ties and failed candidates already dealt with, and shapes nothing
itself: its own shaping gives tied candidates weights that do not sum to zero. Since it takes those utilities for
fitness, the best solution in its state means nothing here; the search keeps the best.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from evosax.core.fitness_shaping import identity_fitness_shaping_fn

from evometa.types import Key


class EvosaxState(NamedTuple):
    """The state of an evosax algorithm, a pytree of arrays."""

    inner: Any
    """evosax's own state, among others with ``mean`` and ``std``, each ``[D]``."""


def build(algorithm: Callable[..., Any], population_size: int, dimension: int, **settings: Any) -> Any:
    """Return an evosax algorithm that takes utilities as they are; safe to call, and to cache, inside a trace."""
    with jax.ensure_compile_time_eval():
        return algorithm(
            population_size, jnp.zeros(dimension), fitness_shaping_fn=identity_fitness_shaping_fn, **settings
        )


def settle(state: Any) -> Any:
    """Return a state of evosax with its numbers made arrays of the types they keep: default floats and int32."""

    def one(leaf: Any) -> jax.Array:
        kind = jnp.result_type(float) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else jnp.int32
        return jnp.asarray(leaf, kind)

    return jax.tree.map(one, state)


def start(algorithm: Any, key: Key, mean: jax.Array, parameters: Any) -> EvosaxState:
    """Return the first state of an algorithm that keeps a distribution."""
    return EvosaxState(settle(algorithm.init(key, mean, parameters)))
