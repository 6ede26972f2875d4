"""The network and the losses that several problems share; float32, whatever JAX's default float is."""

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from evometa.types import Key, Scalar


class MLP(nn.Module):
    """A multi-layer perceptron with ReLU between its layers.

    Args:
        features: width of each layer, the output's last.
    """

    features: Sequence[int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map ``[B, inputs]`` to ``[B, outputs]``."""
        *hidden, outputs = self.features
        for width in hidden:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(outputs)(x)

    def draw(self, key: Key, inputs: int) -> dict[str, Any]:
        """Draw the weights for ``inputs`` features with flax's own initialiser (LeCun's), in float32."""
        weights: dict[str, Any] = self.init(key, jnp.zeros((1, inputs), jnp.float32))["params"]
        return weights

    def run(self, weights: Any, x: jax.Array) -> jax.Array:
        """Map ``[B, inputs]`` to ``[B, outputs]`` with the given weights."""
        outputs: Any = self.apply({"params": weights}, x)
        return cast(jax.Array, outputs)


def squared_error(prediction: jax.Array, target: jax.Array) -> Scalar:
    """Return the mean squared difference of two arrays of one shape."""
    return jnp.mean((prediction - target) ** 2)


def cross_entropy(logits: jax.Array, target: jax.Array) -> Scalar:
    """Return the mean cross-entropy in nats of ``[B, classes]`` logits under ``[B, classes]`` target probabilities."""
    # A sum against the target, not a look-up by label: its gradient needs no scatter, which is slow on a CPU.
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - jnp.sum(logits * target, axis=-1))
