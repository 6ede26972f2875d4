"""The spaces of ω, and the units in which a strategy searches them.

==================== ==================================================================
:class:`Box`         real numbers, bounded or not, linear or logarithmic
:class:`Like`        a pytree of float arrays such as a network's weights
:class:`Integer`     integers
:class:`Categorical` unordered choices
:class:`Dict`        several named spaces
==================== ==================================================================

**Units.** One genotype unit of a bounded real coordinate is the width of its range (in the logarithm, for ``log``), of
an unbounded one its ``scale``, and of a network's weight 1. So ``sigma=0.1`` means a tenth of the range in every
bounded coordinate. The unit of an integer is 1; a category is represented by its index.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.errors import ConfigurationError
from evometa.spaces.base import CATEGORY, INTEGER, REAL, Coordinates, Space, VectorSpace
from evometa.types import Key, Omega

__all__ = ["Box", "Categorical", "Dict", "Integer", "Like", "Space", "VectorSpace"]


class Box(VectorSpace):
    """An array of real numbers, bounded or not, searched linearly or on a logarithmic scale.

    Args:
        shape: shape of ω.
        low: lower bound, a number or an array that broadcasts to ``shape``; None for no bound.
        high: upper bound, likewise. Either both bounds are given or neither.
        log: search the logarithm; needs ``low > 0``.
        scale: the genotype unit of an unbounded box, positive; not used with bounds.
        start: the ω at which a search begins; None draws it.
        dtype: type of ω; None follows JAX's default float type, which is float64 only under ``jax_enable_x64``.

    Raises:
        ConfigurationError: only one bound, bounds that are not finite or not ``low < high``, ``log`` without
            ``low > 0``, or a start outside the bounds.
    """

    def __init__(
        self,
        shape: Sequence[int] = (),
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        *,
        log: bool = False,
        scale: float = 1.0,
        start: ArrayLike | None = None,
        dtype: Any = None,
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.log = log
        self.dtype = dtype
        size = math.prod(self.shape)
        if (low is None) != (high is None):
            raise ConfigurationError(
                f"Box expects both bounds or neither, got low={low!r} and high={high!r}; give the missing one."
            )
        if not scale > 0:
            raise ConfigurationError(f"Box expects scale > 0, the unit of an unbounded coordinate, got {scale}.")
        if low is None or high is None:
            if log:
                raise ConfigurationError("Box(log=True) expects bounds with 0 < low < high; give low and high.")
            self.low = self.high = None
            self._unit: NDArray[np.float64] = np.full((size,), scale)
            lower: ArrayLike = -np.inf
            upper: ArrayLike = np.inf
        else:
            self.low, self.high = (self._flat(bound, name) for bound, name in ((low, "low"), (high, "high")))
            if not (np.isfinite(self.low).all() and np.isfinite(self.high).all() and (self.low < self.high).all()):
                raise ConfigurationError(
                    f"Box expects finite bounds with low < high in every coordinate, got low={low} and high={high}; "
                    "swap or correct them, or omit both for an unbounded box."
                )
            if log and not (self.low > 0).all():
                raise ConfigurationError(
                    f"Box(log=True) expects low > 0, got low={low}; the logarithm is defined only there."
                )
            ends = (np.log(self.low), np.log(self.high)) if log else (self.low, self.high)
            self._unit = ends[1] - ends[0]
            lower, upper = ends[0] / self._unit, ends[1] / self._unit
        self.coordinates = Coordinates.of(size, lower, upper, REAL)
        self._start = None if start is None else self._encode(self._flat(start, "start"))

    def _flat(self, value: ArrayLike, name: str) -> NDArray[np.float64]:
        try:
            return np.broadcast_to(np.asarray(value, np.float64), self.shape).reshape(-1)
        except ValueError:
            raise ConfigurationError(
                f"Box expects {name} to broadcast to its shape {self.shape}, got shape {np.shape(value)}."
            ) from None

    def _encode(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.low is not None and self.high is not None and not ((self.low <= value) & (value <= self.high)).all():
            raise ConfigurationError(
                f"Box expects its start inside the bounds, got {value} for low={self.low} and high={self.high}."
            )
        return (np.log(value) if self.log else value) / self._unit

    def start(self, key: Key) -> jax.Array:
        """Return the start as a genotype ``[D]``; a random draw if none was given."""
        return self.sample(key) if self._start is None else jnp.asarray(self._start, jnp.result_type(float))

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[D]`` to an array of the box's shape and type."""
        x = genotype * jnp.asarray(self._unit, genotype.dtype)
        x = jnp.exp(x) if self.log else x
        if self.low is not None and self.high is not None:
            x = jnp.clip(x, jnp.asarray(self.low, x.dtype), jnp.asarray(self.high, x.dtype))
        return x.reshape(self.shape).astype(self.dtype or jnp.result_type(float))


class Like(VectorSpace):
    """An unbounded pytree of float arrays such as a network's weights; ω has the template's shapes and types.

    One genotype unit is one unit of a weight.

    Args:
        template: either a pytree of arrays, at which a search begins, or a function ``key -> pytree`` such as a
            network's initializer, which draws the start from the search's seed.
        scale: standard deviation of :meth:`sample` around the template's values; not used if the template is a
            function, which draws the samples itself.

    Raises:
        ConfigurationError: the template has a leaf that is not a float array, or no leaf.
    """

    def __init__(self, template: Any | Callable[[Key], Any], *, scale: float = 1.0) -> None:
        self._draw = template if callable(template) else None
        shapes = jax.eval_shape(self._draw, jax.random.key(0)) if self._draw else template
        leaves, self._treedef = jax.tree.flatten(shapes)
        self._leaves = [jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]
        if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in self._leaves):
            raise ConfigurationError(
                "Like expects a pytree of float arrays (or a function from a key to one), "
                f"got leaves of type {[str(leaf.dtype) for leaf in self._leaves]}; "
                "use Integer or Categorical for other kinds of values."
            )
        self._values = None if self._draw else np.concatenate([np.ravel(np.asarray(leaf)) for leaf in leaves])
        self.scale = scale
        self._ends = np.cumsum([math.prod(leaf.shape) for leaf in self._leaves])
        self.coordinates = Coordinates.of(int(self._ends[-1]), -np.inf, np.inf, REAL)

    def start(self, key: Key) -> jax.Array:
        """Return the template's values, or a draw of the template function, as a genotype ``[D]``."""
        if self._draw is None:
            return jnp.asarray(self._values, jnp.result_type(float))
        return self.encode(self._draw(key))

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]`` by the template function, or normally distributed around the template's values."""
        if self._draw is not None:
            return self.start(key)
        return self.start(key) + self.scale * jax.random.normal(key, (self.size,))

    def encode(self, omega: Omega) -> jax.Array:
        """Encode a pytree like the template as a genotype ``[D]``."""
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(omega)]).astype(jnp.result_type(float))

    def decode(self, genotype: jax.Array) -> Omega:
        """Decode a genotype ``[D]`` to a pytree like the template."""
        parts = jnp.split(genotype, self._ends[:-1])
        leaves = [part.reshape(s.shape).astype(s.dtype) for part, s in zip(parts, self._leaves, strict=True)]
        return jax.tree.unflatten(self._treedef, leaves)


class Integer(VectorSpace):
    """Integers from ``low`` to ``high``, both included; ω is int32 of the given shape.

    Raises:
        ConfigurationError: bounds that are not whole numbers with ``low <= high``.
    """

    def __init__(self, low: int, high: int, shape: Sequence[int] = ()) -> None:
        if int(low) != low or int(high) != high or not low <= high:
            raise ConfigurationError(f"Integer expects whole numbers low <= high, got low={low} and high={high}.")
        self.shape = tuple(int(n) for n in shape)
        self.coordinates = Coordinates.of(math.prod(self.shape), int(low), int(high), INTEGER)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[D]`` to int32 of the space's shape."""
        return jnp.round(genotype).astype(jnp.int32).reshape(self.shape)


class Categorical(VectorSpace):
    """Unordered choices; ω is the index into ``choices``, int32 of the given shape.

    Args:
        choices: the choices (names, numbers, anything) or their number, at least one.
        shape: shape of ω, an array of independent choices.

    Raises:
        ConfigurationError: no choice.
    """

    def __init__(self, choices: int | Sequence[Any], shape: Sequence[int] = ()) -> None:
        self.choices = tuple(range(choices)) if isinstance(choices, int) else tuple(choices)
        if not self.choices:
            raise ConfigurationError(f"Categorical expects at least one choice, got {choices}.")
        self.shape = tuple(int(n) for n in shape)
        self.coordinates = Coordinates.of(math.prod(self.shape), 0, len(self.choices) - 1, CATEGORY)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[D]`` to int32 indices of the space's shape."""
        return jnp.round(genotype).astype(jnp.int32).reshape(self.shape)


class Dict(VectorSpace):
    """Several named spaces; ω is a dict of their ω, and a genotype is the concatenation of their genotypes.

    Args:
        spaces: name -> vector space, at least one; their order is that of the coordinates.

    Raises:
        ConfigurationError: no space, or a value that is not a vector space.
    """

    def __init__(self, spaces: Mapping[str, VectorSpace]) -> None:
        wrong = {name: type(space).__name__ for name, space in spaces.items() if not isinstance(space, VectorSpace)}
        if wrong or not spaces:
            raise ConfigurationError(
                f"Dict expects a space (Box, Like, Integer, Categorical, Dict) for each name, got {wrong or '{}'}."
            )
        self.spaces = dict(spaces)
        parts = [space.coordinates for space in self.spaces.values()]
        self.coordinates = Coordinates(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        self._ends = np.cumsum([space.size for space in self.spaces.values()])

    def start(self, key: Key) -> jax.Array:
        """Concatenate the starts of the named spaces to one genotype ``[D]``."""
        return jnp.concatenate([s.start(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def sample(self, key: Key) -> jax.Array:
        """Concatenate a draw from each named space to one genotype ``[D]``."""
        return jnp.concatenate([s.sample(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def _keys(self, key: Key) -> list[Key]:
        return list(jax.random.split(key, len(self.spaces)))

    def decode(self, genotype: jax.Array) -> dict[str, Omega]:
        """Decode a genotype ``[D]`` to a dict with the ω of each named space."""
        parts = jnp.split(genotype, self._ends[:-1])
        return {name: s.decode(part) for (name, s), part in zip(self.spaces.items(), parts, strict=True)}
