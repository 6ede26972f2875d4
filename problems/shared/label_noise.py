"""Label noise: training labels of which some are wrong."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.types import Key


def noisy(key_wrong: Key, key_class: Key, labels: NDArray[np.int32], classes: int, share: float) -> jax.Array:
    """Replace each label of ``[N]`` with probability ``share`` by one of the other classes, drawn uniformly; int32."""
    wrong = jax.random.bernoulli(key_wrong, share, labels.shape)
    other = jax.random.randint(key_class, labels.shape, 1, classes, jnp.int32)
    return jnp.where(wrong, (labels + other) % classes, labels)


def require_share(owner: str, label_noise: float) -> None:
    """Raise ConfigurationError unless ``label_noise`` is a probability below 1."""
    if not 0 <= label_noise < 1:
        raise ConfigurationError(f"{owner} expects 0 <= label_noise < 1, a share of the labels, got {label_noise}.")
