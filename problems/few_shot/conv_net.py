"""A small convolutional network for images of characters; float32."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.backend.convolution import conv2d
from evometa.problems.few_shot.characters import SIZE
from evometa.types import Key


class ConvNet(NamedTuple):
    """Convolutions with stride 2, 5 × 5 in the first layer and 3 × 3 in the others, with layer norm and ReLU.

    Each image is normalised by its own mean and variance over pixels and channels (layer normalisation, Ba, Kiros and
    Hinton 2016, arXiv:1607.06450), so that its features do not depend on other images.
    """

    channels: tuple[int, ...]

    @property
    def features(self) -> int:
        """F, number of features of an image."""
        side: int = math.ceil(SIZE / 2 ** len(self.channels))
        return side**2 * self.channels[-1]

    def draw(self, key: Key) -> list[dict[str, jax.Array]]:
        """Draw kernels of variance 2 / inputs (He et al. 2015), and biases of zero."""
        layers, inputs, side = [], 1, 5
        for k, outputs in zip(jax.random.split(key, len(self.channels)), self.channels, strict=True):
            kernel = jax.random.normal(k, (side, side, inputs, outputs), jnp.float32) * math.sqrt(
                2 / (side**2 * inputs)
            )
            layers.append({"kernel": kernel, "bias": jnp.zeros(outputs, jnp.float32)})
            inputs, side = outputs, 3
        return layers

    def run(self, weights: Any, images: jax.Array) -> jax.Array:
        """Map images ``[N, H, W]`` to features ``[N, F]``."""
        x = images[..., None]
        for number, layer in enumerate(weights):
            x = conv2d(x, layer["kernel"], stride=2)
            mean, variance = (f(x, axis=(1, 2, 3), keepdims=True) for f in (jnp.mean, jnp.var))
            x = (x - mean) * jax.lax.rsqrt(variance + 1e-5) + layer["bias"]
            if number < len(weights) - 1:
                x = jax.nn.relu(x)
        return x.reshape(len(x), -1)
