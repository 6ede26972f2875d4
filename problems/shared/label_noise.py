"""Label noise: training labels of which some are wrong."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.types import Key


def noisy(key_wrong: Key, key_class: Key, labels: NDArray[np.int32], classes: int, share: float) -> jax.Array:
    """Replace each label of ``[N]`` with probability ``share`` by one of the other classes, drawn uniformly; int32."""
    wrong = jax.random.bernoulli(key_wrong, share, labels.shape)
    other = jax.random.randint(key_class, labels.shape, 1, classes, jnp.int32)
    return jnp.where(wrong, (labels + other) % classes, labels)
