"""Which library computes: an agent acts in compiled programs and, step by step, in plain Python."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def library(array: Any) -> Any:
    """Return ``jax.numpy`` for an array of JAX, otherwise ``numpy``, whose calls take a hundredth of the time."""
    return jnp if isinstance(array, jax.Array) else np


def sigmoid(array: Any) -> Any:
    """Return 1 / (1 + exp(-x)) of each number."""
    return jax.nn.sigmoid(array) if isinstance(array, jax.Array) else (1 + np.tanh(array / 2)) / 2
