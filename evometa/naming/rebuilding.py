"""Whether an object can be built again from the description of its fields, as resuming and worker processes do."""

import functools
from typing import Any

import numpy as np

from evometa.errors import ConfigurationError, EvometaError
from evometa.naming.descriptions import describe, rebuild


def require_rebuildable(thing: Any, purpose: str) -> None:
    """Raise ConfigurationError unless a problem or strategy is what its class makes of its fields.

    A class with an ``__init__`` of its own may not take its fields, may take other values for them, or may keep what no
    field holds; and a field may hold what cannot be found by name, such as a lambda. All this would show only when the
    run is resumed or the workers start.

    Args:
        thing: the problem or strategy.
        purpose: what builds it again, in words that follow "so that".
    """
    name = type(thing).__name__
    advice = "make it a frozen dataclass that holds all its settings as fields, without an __init__ of its own"
    expected = f"{name} expects to be built again from its fields, so that {purpose}, and "
    described = describe(thing)
    try:
        again = rebuild(described)
    except EvometaError as error:
        raise ConfigurationError(f"{expected}that fails: {str(error).rstrip('.')}; {advice}.") from None
    except Exception as error:
        raise ConfigurationError(f"{expected}that raises {type(error).__name__}: {error}; {advice}.") from error
    if describe(again) != described:
        raise ConfigurationError(
            f"{expected}its fields then change from {thing!r} to {again!r}; {advice}, and do not change fields after "
            "they are set."
        )
    derived = {
        name
        for cls in type(thing).__mro__
        for name, value in vars(cls).items()
        if isinstance(value, functools.cached_property)  # computed from the fields when it is asked for
    }
    kept = {key: value for key, value in vars(thing).items() if key not in derived}
    lost = [key for key, value in kept.items() if _differs(value, vars(again).get(key))]
    if lost:
        raise ConfigurationError(f"{expected}{', '.join(lost)} then has another value; {advice}.")


def _differs(value: Any, other: Any) -> bool:
    """Return whether two values are certainly different; only plain values and arrays of numbers are compared."""
    if isinstance(value, (tuple, list)):
        return not (
            isinstance(other, (tuple, list)) and len(value) == len(other) and not any(map(_differs, value, other))
        )
    if isinstance(value, (bool, int, float, str, bytes)):
        return not (value == other or value != value)  # NaN is not even equal to itself
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return not (isinstance(other, np.ndarray) and np.array_equal(value, other, equal_nan=value.dtype.kind in "fc"))
    return False
