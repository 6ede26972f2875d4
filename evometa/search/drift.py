"""How the weights of ω move while a search runs: rows for ``drift.csv``."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.backend.static_leaves import abstract
from evometa.search.driver import Driver
from evometa.search.generation import SearchState
from evometa.search.starting import index_of_start
from evometa.spaces import VectorSpace
from evometa.storage.drift import OTHERS, drift_columns, largest_layers
from evometa.storage.history import format_rows
from evometa.storage.omega_values import weights
from evometa.storage.result import Counters
from evometa.types import Genotype

GROWTH = 1.02
"""Generations from one row to the next grow by this factor: 10⁸ of them have 700 rows."""


def columns_of(driver: Driver) -> tuple[str, ...]:
    """Return the columns of ``drift.csv`` for a search; empty where ω does not consist of weights.

    That is where the space is not one of vectors, or ω has few numbers (:func:`~evometa.storage.omega_values.weights`).
    """
    space = driver.space
    if not isinstance(space, VectorSpace):
        return ()
    with driver.precision():
        shapes = abstract(space.decode, jax.ShapeDtypeStruct((space.size,), jnp.result_type(float)))
    found = weights(jax.tree.map(_empty, shapes))
    return drift_columns(_layers(found)) if found else ()


def _empty(leaf: Any) -> Any:
    """Return an array of a shape that takes no memory."""
    is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape) if is_shape else leaf


def _layers(found: dict[str, NDArray[Any]]) -> list[str]:
    largest = largest_layers(found)
    return largest if len(largest) == len(found) else [*largest, OTHERS]


class Drift:
    """Follows the weights of a search.

    Args:
        driver: knows center and space.
        state: the state of the search.
        done: its counters.
        newest: the generation of the last row there is, 0 where there is none.
    """

    def __init__(self, driver: Driver, state: SearchState, done: Counters, newest: int) -> None:
        self._driver, self._due, self._rows = driver, _next(newest), b""
        self._index = index_of_start(driver.space, done.start)
        if not done.generation:
            if self._index is not None:
                self._start = self._weights(driver.center(state))
            self._due = 0
            self.follow(state, 0)

    @functools.cached_property
    def _start(self) -> dict[str, NDArray[Any]] | None:
        """The weights with which the search began; of a resumed one compiled anew, at its first row."""
        return None if self._index is None else self._weights(self._driver.first_center(self._index))

    def follow(self, state: SearchState, generation: int) -> None:
        """Add a row for the state after a generation, unless the last one is recent."""
        if generation < self._due:
            return
        found = self._weights(self._driver.center(state))
        norms, start = _norms(found), self._start
        distances = np.full_like(norms, math.nan)
        if start is not None:
            distances = _norms({name: found[name] - start[name] for name in found})
        values = np.concatenate([[_total(norms), _total(distances)], norms, distances])
        self._rows += format_rows(np.array([[generation]], np.int64), values[None])
        self._due = _next(generation)

    def taken(self) -> bytes:
        """Return the rows since the last call."""
        rows, self._rows = self._rows, b""
        return rows

    def _weights(self, genotype: Genotype) -> dict[str, NDArray[Any]]:
        with self._driver.precision():
            return weights(self._driver.decode(genotype))


def _next(generation: int) -> float:
    """Return from which generation on a row follows that of a generation."""
    return GROWTH * generation + 1


def _norms(found: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return the Euclidean norm of each layer."""
    squares = {name: float(np.sum(np.square(array, dtype=np.float64))) for name, array in found.items()}
    own = _layers(found)
    rest = sum(square for name, square in squares.items() if name not in own)
    return np.sqrt([squares.get(name, rest) for name in own])


def _total(norms: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(norms))
