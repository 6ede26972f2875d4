"""A small convolutional network that gives each place of an image its features; float32."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.backend.convolution import conv2d
from evometa.types import Key


class FeatureMap(NamedTuple):
    """Convolutions, 5 × 5 in the first layer and 3 × 3 in the others, with layer norm and ReLU between them.

    Each image is normalised by its own mean and variance over pixels and channels (layer normalisation, Ba, Kiros and
    Hinton 2016, arXiv:1607.06450), so that its features do not depend on other images.
    """

    channels: tuple[int, ...]
    """Of each layer."""
    strides: tuple[int, ...]
    """Of each layer."""
    inputs: int = 1
    """Channels of an image."""

    @property
    def stride(self) -> int:
        """Pixels from one place to the next, along rows and along columns."""
        return math.prod(self.strides)

    def draw(self, key: Key) -> list[dict[str, jax.Array]]:
        """Draw kernels of variance 2 / inputs (He et al. 2015), and biases of zero."""
        layers, inputs, side = [], self.inputs, 5
        for k, outputs in zip(jax.random.split(key, len(self.channels)), self.channels, strict=True):
            kernel = jax.random.normal(k, (side, side, inputs, outputs), jnp.float32) * math.sqrt(
                2 / (side**2 * inputs)
            )
            layers.append({"kernel": kernel, "bias": jnp.zeros(outputs, jnp.float32)})
            inputs, side = outputs, 3
        return layers

    def run(self, weights: Any, images: jax.Array) -> jax.Array:
        """Map images ``[N, H, W]``, or ``[N, H, W, inputs]``, to features ``[N, H / stride, W / stride, F]``."""
        x = images if images.ndim == 4 else images[..., None]
        for number, (layer, stride) in enumerate(zip(weights, self.strides, strict=True)):
            x = conv2d(x, layer["kernel"], stride=stride)
            mean, variance = (f(x, axis=(1, 2, 3), keepdims=True) for f in (jnp.mean, jnp.var))
            x = (x - mean) * jax.lax.rsqrt(variance + 1e-5) + layer["bias"][None, None, None]
            if number < len(weights) - 1:
                x = jax.nn.relu(x)
        return x
