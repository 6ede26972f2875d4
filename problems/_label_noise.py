"""Labels some of which are wrong."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.types import Key


def noisy(key_wrong: Key, key_class: Key, labels: NDArray[np.int32], classes: int, share: float) -> jax.Array:
    """Return labels ``[N]`` of which a share, drawn for each on its own, are one of the other classes, int32."""
    wrong = jax.random.bernoulli(key_wrong, share, labels.shape)
    other = jax.random.randint(key_class, labels.shape, 1, classes, jnp.int32)
    return jnp.where(wrong, (labels + other) % classes, labels)


def require_share(owner: str, label_noise: float) -> None:
    """Raise ConfigurationError unless some labels stay right."""
    if not 0 <= label_noise < 1:
        raise ConfigurationError(f"{owner} expects 0 <= label_noise < 1, a share of the labels, got {label_noise}.")
