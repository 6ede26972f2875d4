"""Integers and unordered choices."""

import math
from collections.abc import Iterable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Advice, Count, Numbers, Range
from evometa.spaces.arrays import Shape, array_of, flat
from evometa.spaces.base import CATEGORY, INTEGER, Coordinates, VectorSpace
from evometa.spaces.exactness import countable, integer_type, require_integers
from evometa.types import Omega

_Number = Annotated[int, Range(least=1, most=2**24)]
"""Genotypes of type float32 do not hold every index above that."""


class Integer(VectorSpace):
    """Integers from ``low`` to ``high``, both included, in steps; ω is int32 of the given shape, int64 for wide bounds.

    More than 2²⁴ steps, and bounds beyond int32, need ``jax_enable_x64`` or a :class:`~evometa.HostProblem`.

    Args:
        low: the smallest.
        high: the largest; with a step, the largest that ω may be is the last one at or below it.
        shape: shape of ω, an array of independent integers.
        step: from one to the next.
        log: draw and change their logarithm, so that 1 to 10 is as much as 10 to 100; needs ``low >= 1`` and no step.
        start: the ω at which a search begins, a number or an array that broadcasts to ``shape``; None draws it.

    Raises:
        ConfigurationError: bounds that are not whole numbers with ``low <= high``, or that int64 does not hold; a step
            below 1, ``log`` with ``low < 1`` or a step, or a start that is not one of the integers.
    """

    def __init__(
        self,
        low: int,
        high: int,
        shape: Shape = (),
        *,
        step: Count = 1,
        log: bool = False,
        start: Annotated[ArrayLike, Numbers()] | None = None,
    ) -> None:
        if low > high:
            raise ConfigurationError(f"Integer expects low <= high, got low={low} and high={high}; swap them.")
        if log and (low < 1 or step != 1):
            raise ConfigurationError(
                f"Integer(log=True) expects low >= 1 and no step, got low={low} and step={step}; the logarithm is "
                "defined only there, and equal steps are not equal in it."
            )
        self.shape = tuple(shape)
        self.low, self.high, self.step, self.log = low, high, step, log
        self._type = integer_type(self.low, self.high)
        # In steps the genotype counts them from low, so that a step is a unit.
        self._origin = self.low if step > 1 or (not log and not countable(self.low, self.high)) else 0
        self._first, self._last = ((n - self._origin) // self.step for n in (self.low, self.high))
        self.coordinates = Coordinates.of(math.prod(self.shape), self._first, self._last, INTEGER, log=log)
        self._start = None if start is None else self.encode(start)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode an array that broadcasts to the space's shape as a genotype ``[D]``."""
        given = array_of("Integer", "its start", omega)
        if given.dtype.kind == "i":  # exact where float64 cannot hold the numbers themselves
            steps = flat("Integer", "start", given.astype(np.int64) - self._origin, self.shape) / self.step
        else:
            steps = (flat("Integer", "start", omega, self.shape) - self._origin) / self.step
        if not ((self._first <= steps) & (steps <= self._last) & (steps % 1 == 0)).all():
            words = f" in steps of {self.step}" if self.step > 1 else ""
            raise ConfigurationError(
                f"Integer expects its start among the whole numbers from {self.low} to {self.high}{words}, got {omega}."
            )
        return steps

    def require_held_by(self, dtype: np.dtype) -> None:
        """Raise ConfigurationError where a float type cannot count the integers, or ω not hold them."""
        require_integers(self.low, self.high, counts=(self._first, self._last), dtype=dtype)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[D]`` to integers of the space's shape."""
        self.require_held_by(genotype.dtype)
        whole = jnp.round(genotype).astype(self._type)
        if self._origin or self.step > 1:
            whole = jnp.asarray(self._origin, self._type) + self.step * whole
        return whole.reshape(self.shape)


class Categorical(VectorSpace):
    """Unordered choices; ω is the index into ``choices``, int32 of the given shape.

    Args:
        choices: the choices (names that differ, numbers, anything) or their number, at least one.
        shape: shape of ω, an array of independent choices.
        start: the ω at which a search begins, an index or an array of them that broadcasts to ``shape``; choices that
            are names may be named. None draws it.

    Raises:
        ConfigurationError: no choice, a name twice, or a start that is none of them.
    """

    def __init__(
        self,
        choices: Annotated[_Number | Iterable[Any], Advice("give the choices in a list, such as ['adam', 'sgd']")],
        shape: Shape = (),
        *,
        start: Any = None,
    ) -> None:
        self.choices = tuple(range(choices)) if isinstance(choices, int) else tuple(choices)
        if not self.choices:
            raise ConfigurationError(f"Categorical expects at least one choice, got {choices}.")
        names = [choice for choice in self.choices if isinstance(choice, str)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(
                f"Categorical expects names that differ, so that a name says which choice was found, got "
                f"{twice[0]!r} {names.count(twice[0])} times; leave the repetitions out."
            )
        self.shape = tuple(shape)
        self.coordinates = Coordinates.of(math.prod(self.shape), 0, len(self.choices) - 1, CATEGORY)
        self._start = None if start is None else self.encode(start)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode indices or names that broadcast to the space's shape as a genotype ``[D]``."""
        given = array_of("Categorical", "its start", omega)
        indices = range(len(self.choices))
        if given.dtype.kind in "OU":
            index = [self.choices.index(name) if name in self.choices else -1 for name in given.ravel()]
            given = np.reshape(index, given.shape)
        if given.dtype.kind not in "iuf" or not np.isin(given, indices).all():
            raise ConfigurationError(
                f"Categorical expects its start among the indices 0 to {len(self.choices) - 1} of its choices "
                f"{self.choices}, or among those that are names, got {omega!r}."
            )
        return flat("Categorical", "start", given, self.shape)

    def readable(self, omega: Omega) -> Omega:
        """Return the names of the choices that indices stand for."""
        names = [str(getattr(choice, "__name__", choice)) for choice in self.choices]
        return np.array(names)[np.asarray(omega)]

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[D]`` to int32 indices of the space's shape."""
        return jnp.round(genotype).astype(jnp.int32).reshape(self.shape)
