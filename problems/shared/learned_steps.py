"""Learned initialisations with learned step sizes (Li et al., "Meta-SGD", 2017)."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.spaces import Dict, Like
from evometa.types import Key


def weights_and_rates(draw: Callable[[Key], Any], learning_rate: float) -> Dict:
    """Return the space of ``weights`` and ``log_rates``, the logarithm of a step size for each tensor of them.

    Args:
        draw: from a key to the weights with which a search starts.
        learning_rate: step size at which the search for step sizes starts.
    """
    shapes = jax.eval_shape(draw, jax.random.key(0))
    rates = jax.tree.map(lambda _: np.float32(math.log(learning_rate)), shapes)
    return Dict({"weights": Like(draw), "log_rates": Like(rates)})


def descend(weights: Any, log_rates: Any, gradient: Any) -> Any:
    """Return weights after a step of gradient descent; step sizes are of tensors or of single weights."""
    return jax.tree.map(lambda w, r, g: w - jnp.exp(r) * g, weights, log_rates, gradient)
