"""Checks of hyperparameters and spaces that several strategies share."""

import numbers
from typing import Any, cast

from evometa.errors import ConfigurationError
from evometa.spaces import Space, VectorSpace
from evometa.strategy import Strategy, require_space


def vector_space(strategy: Strategy[Any], space: Space) -> VectorSpace:
    """Return the space of a strategy that refuses all but vectors, or raise ConfigurationError in its own words."""
    require_space(strategy, space)
    return cast(VectorSpace, space)


def require_nonnegative(owner: object, **values: float) -> None:
    """Raise ConfigurationError for the first value that is not a finite number of at least zero."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not 0 <= value < float("inf"):
            raise ConfigurationError(f"{type(owner).__name__} expects {name} >= 0 and finite, got {value!r}.")


def require_fraction(owner: object, **values: float) -> None:
    """Raise ConfigurationError for the first value outside (0, 1]."""
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not 0 < value <= 1:
            raise ConfigurationError(
                f"{type(owner).__name__} expects 0 < {name} <= 1, the part that is left in the end, got {value!r}."
            )
