"""Lexicase selection: parents are selected by one case after another, in a random order for each parent."""

import jax
import jax.numpy as jnp

from evometa.types import Key, Scalar


def lexicase(key: Key, cases: jax.Array, count: int) -> jax.Array:
    """Return which members become parents, int32 ``[count]``, by ε-lexicase (La Cava, Spector & Danai 2016).

    For one case after another, in a random order, only members whose error is within ε of the least remaining error
    are kept; ε is the median absolute deviation of the case's errors over the population. Of those that remain at the
    end one is drawn.

    Args:
        key: random key.
        cases: errors ``[P, C]``, +inf for failed members.
        count: how many parents.
    """
    size, number = cases.shape
    finite = jnp.isfinite(cases)
    known = jnp.where(finite, cases, jnp.nan)
    middle = jnp.nanmedian(known, axis=0)
    epsilon = jnp.nan_to_num(jnp.nanmedian(jnp.abs(known - middle), axis=0))

    def one(key: Key) -> Scalar:
        key_order, key_last = jax.random.split(key)
        order = jax.random.permutation(key_order, number)

        def narrow(place: Scalar, left: jax.Array) -> jax.Array:
            errors = jnp.where(left, cases[:, order[place]], jnp.inf)
            return left & (errors <= jnp.min(errors) + epsilon[order[place]])

        left = jax.lax.fori_loop(0, number, narrow, jnp.ones(size, bool))
        return jnp.argmax(jnp.where(left, jax.random.uniform(key_last, (size,)), -1.0)).astype(jnp.int32)

    return jax.vmap(one)(jax.random.split(key, count))
