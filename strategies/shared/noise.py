"""Gaussian noise, the largest cost of a fast strategy."""

import jax
import jax.numpy as jnp

from evometa.backend.slices import Place, Vectors
from evometa.types import Key


def standard_normal(key: Key, shape: tuple[int, ...]) -> jax.Array:
    """Draw standard normal numbers in JAX's default float type; under x64 with the resolution of float32.

    That is enough, since the sum center + σ·noise is computed in the full precision of the state. Drawing in float32
    takes 0.6 times as long as in float64.
    """
    return jax.random.normal(key, shape, jnp.float32).astype(jnp.result_type(float))


def member_noise(over: Vectors, key_data: jax.Array, member: jax.typing.ArrayLike, place: Place) -> jax.Array:
    """Draw the noise of one member of a population, again wherever it is needed; ``[D]``, or what is at a place.

    Args:
        over: how the strategy computes with its vectors.
        key_data: data of the population's key, uint32.
        member: its number, int32 scalar.
        place: from :meth:`Vectors.each`.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(key_data), member)
    return standard_normal(over.key(key, place), (over.size,))
