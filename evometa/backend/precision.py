"""Double precision where it does not depend on JAX's switch, and keys of all 64 bits of a seed."""

import contextlib
import contextvars
import functools
import importlib
import operator
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError

enable_x64: Any = (jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")).enable_x64
"""JAX's context of double precision; in ``jax.experimental`` before JAX 0.8."""

Given = ParamSpec("Given")
Found = TypeVar("Found")


_switched: contextvars.ContextVar[bool] = contextvars.ContextVar("switched", default=False)


@contextlib.contextmanager
def precision(*, double: bool) -> Iterator[None]:
    """Compute in double precision within a context; where not asked to, as JAX's switch says."""
    if not double or jnp.result_type(float) == jnp.float64:
        yield
        return
    token = _switched.set(True)
    try:
        with enable_x64(True):
            yield
    finally:
        _switched.reset(token)


@contextlib.contextmanager
def users_precision(*, double: bool) -> Iterator[None]:
    """Run the user's own code with JAX's switch as the user has it, inside or outside of :func:`precision`."""
    token = _switched.set(False)
    try:
        with enable_x64(double):
            yield
    finally:
        _switched.reset(token)


def draw_type() -> np.dtype:
    """Return the type in which a space draws: float32 where only :func:`precision` made the computation double.

    So a plain-Python problem is searched from the same draws as it would be in single precision.
    """
    return np.dtype(np.float32) if _switched.get() else jnp.dtype(jnp.result_type(float))


def compiled(function: Callable[Given, Found], *, double: bool) -> Callable[Given, Found]:
    """Return a function compiled, in double precision whatever JAX's switch where asked to."""
    program = jax.jit(function)

    @functools.wraps(function)
    def call(*args: Given.args, **settings: Given.kwargs) -> Found:
        with precision(double=double):
            found: Found = program(*args, **settings)
            return found

    return call


def whole_seed(owner: str, seed: object) -> int:
    """Return a seed as an integer.

    Raises:
        ConfigurationError: it is no whole number of 64 bits with a sign.
    """
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        number = 2**64
    if not -(2**63) <= number < 2**63:
        raise ConfigurationError(
            f"{owner} expects seed as a whole number from -2**63 to 2**63 - 1, from which all randomness follows, got "
            f"{seed!r}."
        )
    return number


def key_of(seed: int) -> jax.Array:
    """Return the key of a seed, of which every bit counts whatever JAX's switch."""
    with precision(double=True):
        return jax.random.key(seed)


def entropy_of(seed: int) -> int:
    """Return a seed for NumPy's generators, which take no negative ones; another for each seed."""
    return seed % 2**64
