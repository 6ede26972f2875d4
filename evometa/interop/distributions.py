"""Optuna's search spaces as spaces of evometa, and ω as the values that Optuna's trials suggest."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Categorical, Dict, Integer, VectorSpace
from evometa.types import Omega


def space_of(distributions: Mapping[str, BaseDistribution]) -> Dict:
    """Return the space of the values that distributions allow, by their names; none of them has a single value."""
    return Dict({name: _space(name, each) for name, each in distributions.items()})


def values_of(distributions: Mapping[str, BaseDistribution], omega: Omega) -> dict[str, Any]:
    """Return an ω of :func:`space_of` as the values that a trial suggests."""
    return {name: _value(each, omega[name].item()) for name, each in distributions.items()}


def _space(name: str, distribution: BaseDistribution) -> VectorSpace:
    match distribution:
        case FloatDistribution(step=None):
            return Box((), distribution.low, distribution.high, log=distribution.log)
        case FloatDistribution(step=float() | int() as step):  # its steps are counted
            return Integer(0, round((distribution.high - distribution.low) / step))
        case IntDistribution():
            return Integer(distribution.low, distribution.high, step=distribution.step, log=distribution.log)
        case CategoricalDistribution():
            return Categorical(len(distribution.choices))
    raise ConfigurationError(
        f"EvometaSampler expects parameters that are floats, integers or categories, got {type(distribution).__name__} "
        f"for {name!r}; use one of those."
    )


def _value(distribution: BaseDistribution, found: Any) -> Any:
    match distribution:
        case FloatDistribution(step=float() | int() as step):
            return min(distribution.low + found * step, distribution.high)
        case CategoricalDistribution():
            return distribution.choices[found]
    return found
