"""A small convolutional network for images of characters; float32."""

import math
from typing import Any, NamedTuple

import jax

from evometa.problems.few_shot.characters import SIZE
from evometa.problems.shared.feature_map import FeatureMap
from evometa.types import Key


class ConvNet(NamedTuple):
    """A :class:`FeatureMap` whose layers all have stride 2; the features of all places together are the image's."""

    channels: tuple[int, ...]

    @property
    def maps(self) -> FeatureMap:
        """The network."""
        return FeatureMap(self.channels, (2,) * len(self.channels))

    @property
    def features(self) -> int:
        """F, number of features of an image."""
        side: int = math.ceil(SIZE / self.maps.stride)
        return side**2 * self.channels[-1]

    def draw(self, key: Key) -> list[dict[str, jax.Array]]:
        """Draw the weights."""
        return self.maps.draw(key)

    def run(self, weights: Any, images: jax.Array) -> jax.Array:
        """Map images ``[N, H, W]`` to features ``[N, F]``."""
        return self.maps.run(weights, images).reshape(len(images), -1)
