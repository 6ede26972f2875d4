"""The error of a broken contract, and the comparisons by which the checks find one."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from evometa.errors import EvometaError


class ContractError(EvometaError, AssertionError):
    """A strategy or problem breaks the contract with the search."""


def nans(state: Any) -> int:
    """Return how many numbers of a state are NaN."""
    return sum(int(np.isnan(leaf).sum()) for leaf in jax.tree.leaves(jax.device_get(state)))


def compiled(function: Callable[..., Any]) -> Any:
    """Compile for programs that are small and run once: faster to compile, slower to run."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def require(holds: bool, promise: str) -> None:
    """Raise ContractError with the promise, as a sentence, unless it holds."""
    if not holds:
        raise ContractError(f"{promise}.")


def frozen(thing: Any) -> bool:
    """Return whether an object is a frozen dataclass."""
    return dataclasses.is_dataclass(thing) and bool(vars(type(thing))["__dataclass_params__"].frozen)


def alike(what: str, expected: Any, found: Any) -> None:
    """Require that a pytree has the expected structure, shapes and types."""
    wanted, given = jax.tree.structure(expected), jax.tree.structure(found)
    require(str(wanted) == str(given), f"{what} expects the structure {wanted}, got {given}")
    flat = jax.tree_util.tree_flatten_with_path(expected)[0]
    for (path, one), other in zip(flat, jax.tree.leaves(found), strict=True):
        require(
            (one.shape, one.dtype) == (other.shape, other.dtype),
            f"{what}{jax.tree_util.keystr(path)} expects {one.dtype}{list(one.shape)}, "
            f"got {other.dtype}{list(other.shape)}",
        )


def pure(function: Callable[..., Any], *args: Any) -> bool:
    """Return whether two traces give one program."""
    return traces_to(jax.make_jaxpr(function)(*args), function, *args)


def traces_to(jaxpr: Any, function: Callable[..., Any], *args: Any) -> bool:
    """Return whether a new trace gives the same program; what reads anything but its arguments gives another."""
    return str(jaxpr) == str(jax.make_jaxpr(lambda *given: function(*given))(*args))


def match(same: Callable[[Any, Any], bool], first: Any, second: Any) -> bool:
    """Return whether all leaves of two pytrees are the same, by :func:`equal` or :func:`close`."""
    leaves, others = jax.tree.leaves(first), jax.tree.leaves(second)
    return len(leaves) == len(others) and all(map(same, leaves, others))


def equal(first: Any, second: Any) -> bool:
    """Return whether two arrays are equal bit for bit."""
    return np.asarray(first).tobytes() == np.asarray(second).tobytes()


def close(first: Any, second: Any) -> bool:
    """Return whether two arrays are equal up to rounding."""
    return np.allclose(np.asarray(first, float), np.asarray(second, float), rtol=1e-3, atol=1e-5, equal_nan=True)
