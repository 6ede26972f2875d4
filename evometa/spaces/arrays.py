"""Shapes of ω, and numbers that broadcast to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Natural

Shape = Sequence[Natural]
"""The shape of an array; a single number is none."""


def array_of(owner: str, name: str, value: Any) -> NDArray[Any]:
    """Return an array of whatever it is, or raise ConfigurationError where it has no shape."""
    try:
        return np.asarray(value)
    except ValueError:  # nested sequences of different lengths
        raise ConfigurationError(
            f"{owner} expects {name} as one array, got {value!r}; give its rows the same length."
        ) from None


def flat(owner: str, name: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a number or array as one vector of floats after broadcasting it to a shape."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{owner} expects {name} as a number or an array of numbers, got {value!r}.") from None
    try:
        return np.broadcast_to(array, shape).reshape(-1)
    except ValueError:
        raise ConfigurationError(
            f"{owner} expects {name} to broadcast to its shape {shape}, got shape {array.shape}."
        ) from None
