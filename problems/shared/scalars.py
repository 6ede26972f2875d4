"""Spaces of single numbers, for the hyperparameters in a problem's ω."""

import jax.numpy as jnp

from evometa.spaces import Box


def number(low: float, high: float, start: float, *, log: bool = False) -> Box:
    """Return a space of one float32.

    Args:
        low: lower bound.
        high: upper bound.
        start: where a search starts.
        log: whether it is searched on a logarithmic scale.
    """
    return Box((), low, high, log=log, start=start, dtype=jnp.float32)


LEARNING_RATE = number(1e-3, 1.0, 0.03, log=True)
"""Of learners whose step size is part of ω."""
