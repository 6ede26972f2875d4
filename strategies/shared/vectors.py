"""How many objectives or measures a problem gives: what strategies that size their state by it must agree with."""

from typing import Any, Literal

import jax

from evometa.errors import ConfigurationError
from evometa.evaluation.compatibility import vector_lengths
from evometa.problem import BaseProblem
from evometa.strategy import Strategy

Name = Literal["objectives", "measures"]


def refuse_unless_length(
    strategy: Strategy[Any], problem: BaseProblem, name: Name, length: int, fields: str
) -> str | None:
    """Return why a strategy cannot search for a problem with a vector of another length, or None when it can.

    Args:
        strategy: the strategy.
        problem: the problem; one that gives no such vector is not refused here, but by the search.
        name: which vector.
        length: how long it must be.
        fields: the fields of the strategy that decide it.
    """
    found = vector_lengths(problem).get(name)
    return None if found in (None, length) else _reason(strategy, name, found, length, fields)


def require_length(
    strategy: Strategy[Any], name: Name, vector: jax.Array | None, length: int, fields: str
) -> jax.Array:
    """Return the vectors ``[P, length]`` that a strategy is told.

    Raises:
        ConfigurationError: there are none, or they are of another length.
    """
    if vector is None or vector.shape[1] != length:
        found = None if vector is None else vector.shape[1]
        raise ConfigurationError(_reason(strategy, name, found, length, fields))
    return vector


def _reason(strategy: Strategy[Any], name: Name, found: int | None, length: int, fields: str) -> str:
    return (
        f"{type(strategy).__name__} expects {length} {name}, as its {fields} say, and is given {found or 'none'}; "
        f"change {fields}, or the problem's {name}."
    )
