"""Antithetic pairs: candidates 2i and 2i + 1 mirror each other at the center."""

import jax
import jax.numpy as jnp


def join(plus: jax.Array, minus: jax.Array) -> jax.Array:
    """Interleave ``[P/2, ...]`` and ``[P/2, ...]`` into ``[P, ...]``."""
    return jnp.stack([plus, minus], axis=1).reshape(-1, *plus.shape[1:])


def split(joined: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the ``[P/2, ...]`` of even and of odd members."""
    return joined[0::2], joined[1::2]


def drop_broken(fitness: jax.Array) -> jax.Array:
    """Return the fitness ``[P]`` with ``+inf`` for both members of each pair in which one has failed.

    One member alone gives no estimate of the slope between the two.
    """
    paired = fitness.reshape(-1, 2)
    return jnp.where(jnp.all(jnp.isfinite(paired), axis=1, keepdims=True), paired, jnp.inf).reshape(-1)
