"""Gaussian noise, the largest cost of a light strategy."""

import jax
import jax.numpy as jnp

from evometa.types import Key


def standard_normal(key: Key, shape: tuple[int, ...]) -> jax.Array:
    """Draw standard normal numbers in JAX's default float type, of float32's resolution also under x64.

    Noise needs its resolution relative to itself: what a strategy makes of it, center + σ·noise, has the full
    precision of the state. Draws in float32 take 0.6 of the time of float64.
    """
    return jax.random.normal(key, shape, jnp.float32).astype(jnp.result_type(float))
