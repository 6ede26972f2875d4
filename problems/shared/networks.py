"""The network, the losses and the learner that several problems share; float32, whatever JAX's default float is."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from evometa.types import Key, Scalar


class MLP(nn.Module):
    """A multi-layer perceptron with ReLU between its layers.

    Args:
        features: width of each layer, the output layer last.
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
        """Draw initial weights for ``inputs`` features by flax's default initialiser (LeCun normal), in float32."""
        weights: dict[str, Any] = self.init(key, jnp.zeros((1, inputs), jnp.float32))["params"]
        return weights

    def run(self, weights: Any, x: jax.Array) -> jax.Array:
        """Map ``[B, inputs]`` to ``[B, outputs]`` with the given weights."""
        outputs: Any = self.apply({"params": weights}, x)
        return cast(jax.Array, outputs)


class Learner(NamedTuple):
    """A network that is being trained by SGD with momentum."""

    weights: Any
    velocity: Any
    """Like the weights: the decaying sum of gradients."""
    steps: jax.Array
    """``[]``, updates so far."""


def wider(hidden: tuple[int, ...]) -> tuple[int, ...]:
    """Return four times the width of each hidden layer: the wider network of shifted task distributions."""
    return tuple(4 * width for width in hidden)


def squared_error(prediction: jax.Array, target: jax.Array) -> Scalar:
    """Return the mean squared difference of two arrays of the same shape."""
    return jnp.mean((prediction - target) ** 2)


def cross_entropy(logits: jax.Array, target: jax.Array) -> Scalar:
    """Return the mean cross-entropy in nats of logits ``[B, C]`` and target probabilities ``[B, C]``."""
    # A sum against the target instead of indexing by label: the gradient of indexing is a scatter, slow on a CPU.
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - jnp.sum(logits * target, axis=-1))


def accuracy(logits: jax.Array, labels: jax.typing.ArrayLike) -> Scalar:
    """Return the share of examples whose largest logit, of ``[B, C]``, is that of their label, of ``[B]``; float32."""
    return jnp.mean(jnp.argmax(logits, axis=-1) == jnp.asarray(labels), dtype=jnp.float32)
