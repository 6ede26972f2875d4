"""The protected functions of the default primitive set.

Each function and its gradient are finite for all inputs of ordinary size. A protection needs two ``where``: one around
the result and one around the input. With the first alone, the gradient of the branch that was not taken is NaN at the
pole, and NaN times zero is NaN. Functions do not call each other, since an exported expression copies their source.

Truth values are numbers, 1.0 for true and 0.0 for false.
"""

import jax
import jax.numpy as jnp


def divide(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a / b, and 1 where b is closer to 0 than 1e-6."""
    small = jnp.abs(b) < 1e-6
    return jnp.where(small, 1.0, a / jnp.where(small, 1.0, b))


def log(a: jax.Array) -> jax.Array:
    """Return log|a|, and 0 where a is closer to 0 than 1e-6."""
    size = jnp.abs(a)
    small = size < 1e-6
    return jnp.where(small, 0.0, jnp.log(jnp.where(small, 1.0, size)))


def exp(a: jax.Array) -> jax.Array:
    """Return the exponential of a clipped to [-10, 10]."""
    return jnp.exp(jnp.clip(a, -10.0, 10.0))


def sqrt(a: jax.Array) -> jax.Array:
    """Return √|a|, and 0 where a is closer to 0 than 1e-6."""
    size = jnp.abs(a)
    small = size < 1e-6
    return jnp.where(small, 0.0, jnp.sqrt(jnp.where(small, 1.0, size)))


def power(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a to the power of b, between e^-50 and e^50.

    If b is not a whole number, |a| takes the place of a. Where a is closer to 0 than 1e-6 it is 0 for b > 0, otherwise
    1.
    """
    size = jnp.abs(a)
    small = size < 1e-6
    value = jnp.exp(jnp.clip(b * jnp.log(jnp.where(small, 1.0, size)), -50.0, 50.0))
    odd = (b == jnp.round(b)) & (jnp.round(b / 2) * 2 != b)
    return jnp.where(small, jnp.where(b > 0, 0.0, 1.0), jnp.where(odd & (a < 0), -value, value))


def tan(a: jax.Array) -> jax.Array:
    """Return the tangent of a, and 0 where its cosine is closer to 0 than 1e-6."""
    pole = jnp.abs(jnp.cos(a)) < 1e-6
    return jnp.where(pole, 0.0, jnp.tan(jnp.where(pole, 0.0, a)))


def less(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return whether a < b."""
    return jnp.where(a < b, jnp.ones_like(a), jnp.zeros_like(a))


def if_then_else(condition: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a where the condition holds, otherwise b."""
    return jnp.where(condition > 0.5, a, b)


def mean(a: jax.Array) -> jax.Array:
    """Return the mean over all entries, at every entry."""
    return jnp.full_like(a, jnp.mean(a))


def sum(a: jax.Array) -> jax.Array:
    """Return the sum over all entries, at every entry."""
    return jnp.full_like(a, jnp.sum(a))


def largest(a: jax.Array) -> jax.Array:
    """Return the largest of all entries, at every entry."""
    return jnp.full_like(a, jnp.max(a))
