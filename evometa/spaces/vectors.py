"""Spaces of vectors, and the units in which a strategy searches them.

==================== ==================================================================
:class:`Box`         real numbers, bounded or not, linear or logarithmic
:class:`Like`        a pytree of float arrays such as a network's weights
:class:`Integer`     integers
:class:`Categorical` unordered choices
:class:`Dict`        several named spaces
==================== ==================================================================

**Units.** One genotype unit of a real coordinate is its ``scale``: by default the width of its range (in the logarithm,
for ``log``), and 1 where a bound is missing and for a network's weight. So ``sigma=0.1`` means a tenth of the range in
every bounded coordinate. The unit of an integer is its step; a category is represented by its index.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Advice, Count, FloatType, Natural, Numbers, Positive
from evometa.spaces.base import CATEGORY, INTEGER, REAL, Coordinates, Space, VectorSpace
from evometa.spaces.exactness import countable, integer_type, require_integers, require_range
from evometa.types import Key, Omega

__all__ = ["Box", "Categorical", "Dict", "Integer", "Like", "Space", "VectorSpace"]


def flat(owner: str, name: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a number or array as one vector of floats after broadcasting it to a shape."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{owner} expects {name} as a number or an array of numbers, got {value!r}.") from None
    try:
        return np.broadcast_to(array, shape).reshape(-1)
    except ValueError:
        raise ConfigurationError(
            f"{owner} expects {name} to broadcast to its shape {shape}, got shape {array.shape}."
        ) from None


Shape = Sequence[Natural]
"""The shape of an array; a single number is none."""


class Box(VectorSpace):
    """An array of real numbers, each bounded on both sides, on one or on none, searched linearly or in its logarithm.

    Coordinates whose bounds are equal are constant: they are part of ω and not of the genotype.

    Args:
        shape: shape of ω.
        low: lower bound, a number or an array that broadcasts to ``shape``; None or -inf for no bound.
        high: upper bound, likewise; None or inf for no bound.
        log: search the logarithm; needs ``low > 0``.
        scale: the genotype unit, a positive number or an array that broadcasts to ``shape``; with ``log`` one of the
            logarithm. None: the range, and 1 where a bound is missing. A strategy with step size σ steps by σ · scale
            in each coordinate, so an array here is a first step size for each of them.
        start: the ω at which a search begins; None draws it.
        dtype: type of ω; None follows JAX's default float type, which is float64 only under ``jax_enable_x64``.

    Raises:
        ConfigurationError: bounds that are not ``low <= high``, ``log`` without ``low > 0``, a scale that is not
            positive, or a start outside the bounds.
    """

    def __init__(
        self,
        shape: Annotated[
            Shape, Advice("the shape comes first: Box((), low, high) is one number, Box((3,)) three")
        ] = (),
        low: Annotated[ArrayLike, Numbers()] | None = None,
        high: Annotated[ArrayLike, Numbers()] | None = None,
        *,
        log: bool = False,
        scale: Annotated[ArrayLike, Numbers()] | None = None,
        start: Annotated[ArrayLike, Numbers()] | None = None,
        dtype: Annotated[Any, FloatType()] = None,
    ) -> None:
        self.shape = tuple(shape)
        self.log = log
        self.dtype = dtype
        self.low = None if low is None else self._flat(low, "low")
        self.high = None if high is None else self._flat(high, "high")
        least = self._flat(-np.inf if low is None else low, "low")
        most = self._flat(np.inf if high is None else high, "high")
        if not ((least <= most) & (least < np.inf) & (most > -np.inf)).all():
            raise ConfigurationError(
                f"Box expects bounds with low <= high in every coordinate, got low={low!r} and high={high!r}; "
                "swap or correct them, or leave out the one that is not there."
            )
        if log and not (least > 0).all():
            raise ConfigurationError(
                f"Box(log=True) expects low > 0, got low={low!r}; the logarithm is defined only there."
            )
        self._bounds, self._free = (least, most), np.flatnonzero(least < most)
        self._ends = least[self._free], most[self._free]
        lower, upper = np.log(self._ends) if log else self._ends
        bounded = np.isfinite(lower) & np.isfinite(upper)
        if scale is None:
            self._unit = np.where(bounded, np.where(bounded, upper, 1.0) - np.where(bounded, lower, 0.0), 1.0)
        else:
            self._unit = self._flat(scale, "scale")[self._free]
            if not ((self._unit > 0) & np.isfinite(self._unit)).all():
                raise ConfigurationError(
                    f"Box expects scale > 0, the genotype unit of each coordinate, got {scale}; give positive numbers."
                )
        self.coordinates = Coordinates.of(len(self._unit), lower / self._unit, upper / self._unit, REAL)
        self._start = None if start is None else self.encode(start)

    def _flat(self, value: ArrayLike, name: str) -> NDArray[np.float64]:
        return flat("Box", name, value, self.shape)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode an array that broadcasts to the box's shape as a genotype ``[D]``."""
        value, (least, most) = self._flat(omega, "start"), self._bounds
        # The type of ω may hold no number that is as close to a bound: float32(0.1) is more than 0.1.
        with np.errstate(over="ignore"):
            low, rounded, high = (x.astype(np.float32) for x in (least, value, most))
        inside = (low <= rounded) & (rounded <= high) & np.isfinite(value)
        if not inside.all():
            raise ConfigurationError(
                f"Box expects its start inside the bounds, got {value} for low={self.low} and high={self.high}."
            )
        value = np.clip(value, least, most)[self._free]
        return np.asarray((np.log(value) if self.log else value) / self._unit)

    def require_held_by(self, dtype: np.dtype) -> None:
        """Raise ConfigurationError where a float type, or that of ω, loses a bound or what is between two."""
        types = dtype, jnp.dtype(self.dtype or jnp.result_type(float))
        require_range(*self._bounds, log=self.log, types=types)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[D]`` to an array of the box's shape and type."""
        self.require_held_by(genotype.dtype)
        x = genotype * jnp.asarray(self._unit, genotype.dtype)
        x = jnp.exp(x) if self.log else x
        if self.bounded:
            x = jnp.clip(x, *(jnp.asarray(end, x.dtype) for end in self._ends))
        if len(self._free) < len(self._bounds[0]):
            x = jnp.asarray(self._bounds[0], x.dtype).at[self._free].set(x)
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

    def __init__(self, template: Any | Callable[[Key], Any], *, scale: Positive = 1.0) -> None:
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

    @property
    def start_given(self) -> bool:
        """Whether the template is a pytree of arrays."""
        return self._draw is None

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
        leaves, tree = jax.tree.flatten(omega)
        shapes = [jnp.shape(leaf) for leaf in leaves]
        if tree != self._treedef or shapes != [leaf.shape for leaf in self._leaves]:
            raise ConfigurationError(
                f"Like expects a start with the structure and the shapes of its template, {self._treedef} with "
                f"{[leaf.shape for leaf in self._leaves]}, got {tree} with {shapes}."
            )
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(omega)]).astype(jnp.result_type(float))

    def decode(self, genotype: jax.Array) -> Omega:
        """Decode a genotype ``[D]`` to a pytree like the template."""
        parts = jnp.split(genotype, self._ends[:-1])
        leaves = [part.reshape(s.shape).astype(s.dtype) for part, s in zip(parts, self._leaves, strict=True)]
        return jax.tree.unflatten(self._treedef, leaves)


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
        given = np.asarray(omega)
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
        choices: the choices (names, numbers, anything) or their number, at least one.
        shape: shape of ω, an array of independent choices.
        start: the ω at which a search begins, an index or an array of them that broadcasts to ``shape``; choices that
            are names may be named. None draws it.

    Raises:
        ConfigurationError: no choice, or a start that is none of them.
    """

    def __init__(
        self,
        choices: Annotated[Count | Iterable[Any], Advice("give the choices in a list, such as ['adam', 'sgd']")],
        shape: Shape = (),
        *,
        start: Any = None,
    ) -> None:
        self.choices = tuple(range(choices)) if isinstance(choices, int) else tuple(choices)
        if not self.choices:
            raise ConfigurationError(f"Categorical expects at least one choice, got {choices}.")
        self.shape = tuple(shape)
        self.coordinates = Coordinates.of(math.prod(self.shape), 0, len(self.choices) - 1, CATEGORY)
        self._start = None if start is None else self.encode(start)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode indices or names that broadcast to the space's shape as a genotype ``[D]``."""
        given = np.asarray(omega)
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
        self.blocks = tuple(
            (int(end) - space.size + first, block)
            for space, end in zip(self.spaces.values(), self._ends, strict=True)
            for first, block in space.blocks
        )

    @property
    def start_given(self) -> bool:
        """Whether the user gave a start for each of the named spaces."""
        return all(space.start_given for space in self.spaces.values())

    def start(self, key: Key) -> jax.Array:
        """Concatenate the starts of the named spaces to one genotype ``[D]``."""
        return jnp.concatenate([s.start(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def sample(self, key: Key) -> jax.Array:
        """Concatenate a draw from each named space to one genotype ``[D]``."""
        return jnp.concatenate([s.sample(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def _keys(self, key: Key) -> list[Key]:
        return list(jax.random.split(key, len(self.spaces)))

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode a dict with the ω of each named space as a genotype ``[D]``."""
        names = sorted(map(str, omega)) if isinstance(omega, Mapping) else f"a {type(omega).__name__}"
        if names != sorted(self.spaces):
            raise ConfigurationError(f"Dict expects a start with a value for each of {list(self.spaces)}, got {names}.")
        return np.concatenate([np.asarray(space.encode(omega[name])) for name, space in self.spaces.items()])

    def decode(self, genotype: jax.Array) -> dict[str, Omega]:
        """Decode a genotype ``[D]`` to a dict with the ω of each named space."""
        parts = jnp.split(genotype, self._ends[:-1])
        return {name: s.decode(part) for (name, s), part in zip(self.spaces.items(), parts, strict=True)}
