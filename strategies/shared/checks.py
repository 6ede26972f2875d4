"""The check of spaces that many strategies share."""

from typing import Any, cast

from evometa.spaces import Space, VectorSpace
from evometa.strategy import Strategy, require_space


def vector_space(strategy: Strategy[Any], space: Space) -> VectorSpace:
    """Return the space of a strategy that refuses all but vectors, or raise its ConfigurationError."""
    require_space(strategy, space)
    return cast(VectorSpace, space)
