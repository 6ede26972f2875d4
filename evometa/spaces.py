"""Spaces: what ω may be, and how a strategy sees it.

A strategy works on *genotypes*, a problem on *ω*; a space stands between the two. For the spaces in this file a
genotype is one vector ``[D]`` of floats, so that a population is a matrix ``[P, D]`` whatever ω looks like. What a
coordinate means (real, integer or category; bounded or not) is data, :class:`Coordinates`, and sampling, repair,
mutation and crossover are written once for all of them, on that data.

**Units.** One unit of a real coordinate is the width of its bounded range (of the logarithm of it, for ``log``), the
``scale`` of an unbounded one, and 1 for a network's weight. So ``sigma=0.1`` means a tenth of the range in every
bounded coordinate. An integer's unit is one, a category's value is its index.

Spaces whose genotypes are not vectors (expression trees) subclass :class:`Space` directly.
"""

import abc
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.errors import ConfigurationError
from evometa.types import Genotype, Key, Omega

REAL, INTEGER, CATEGORY = 0, 1, 2


class Space(abc.ABC):
    """The set of all ω a search may try.

    A space is compared by identity and is a static part of any pytree it is stored in: it adds no arrays to a
    strategy's state.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        jax.tree_util.register_static(cls)

    @abc.abstractmethod
    def start(self, key: Key) -> Genotype:
        """Return the genotype a search begins at: the given start, or a draw."""

    @abc.abstractmethod
    def sample(self, key: Key) -> Genotype:
        """Draw one genotype from the whole space."""

    @abc.abstractmethod
    def repair(self, genotype: Genotype) -> Genotype:
        """Return the nearest meaning of a genotype inside the space; genotypes inside are returned unchanged."""

    @abc.abstractmethod
    def decode(self, genotype: Genotype) -> Omega:
        """Turn a (repaired) genotype into ω."""

    @abc.abstractmethod
    def mutate(self, key: Key, genotype: Genotype, rate: float = 1.0, scale: float = 0.1) -> Genotype:
        """Return a changed copy; ``rate`` is the chance of each part to change, ``scale`` the size of a change."""

    @abc.abstractmethod
    def crossover(self, key: Key, first: Genotype, second: Genotype) -> Genotype:
        """Return a child of two genotypes."""


class Coordinates(NamedTuple):
    """What each coordinate of a vector genotype means, as arrays ``[D]``."""

    lower: NDArray[np.float64]
    """Smallest allowed value in genotype units, or -inf."""
    upper: NDArray[np.float64]
    """Largest allowed value in genotype units, or +inf."""
    kind: NDArray[np.int8]
    """``REAL``, ``INTEGER`` or ``CATEGORY``."""

    @staticmethod
    def of(size: int, lower: ArrayLike, upper: ArrayLike, kind: int) -> "Coordinates":
        """Build the description of ``size`` coordinates of one kind."""
        return Coordinates(
            np.broadcast_to(np.asarray(lower, np.float64), (size,)),
            np.broadcast_to(np.asarray(upper, np.float64), (size,)),
            np.full((size,), kind, np.int8),
        )


class VectorSpace(Space):
    """A space whose genotype is one vector ``[D]`` of floats in JAX's default float type.

    Subclasses set :attr:`coordinates` and define :meth:`decode`, and :meth:`sample` or :meth:`start` where the
    general one does not fit.
    """

    coordinates: Coordinates

    @property
    def size(self) -> int:
        """The genotype size D."""
        return len(self.coordinates.kind)

    @property
    def continuous(self) -> bool:
        """Whether every coordinate is real."""
        return bool(np.all(self.coordinates.kind == REAL))

    @property
    def bounded(self) -> bool:
        """Whether any coordinate has a bound."""
        return bool(np.any(np.isfinite(self.coordinates.lower) | np.isfinite(self.coordinates.upper)))

    def start(self, key: Key) -> jax.Array:
        """Return the genotype a search begins at: here a draw from the whole space."""
        return self.sample(key)

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]``: uniform between bounds, standard normal (in units) where there are none."""
        lower, upper, kind = self.coordinates
        key_uniform, key_normal = jax.random.split(key)
        # An integer or category owns the interval of half a unit to each side, so that ends are as likely as middles.
        half = np.where(kind == REAL, 0.0, 0.5)
        finite = np.isfinite(lower) & np.isfinite(upper)
        low, high = np.where(finite, lower - half, 0.0), np.where(finite, upper + half, 0.0)
        draw = jnp.asarray(low) + jnp.asarray(high - low) * jax.random.uniform(key_uniform, (self.size,))
        if not finite.all():
            draw = jnp.where(finite, draw, self._from_one_bound(jax.random.normal(key_normal, (self.size,))))
        return self.repair(draw)

    def _from_one_bound(self, step: jax.Array) -> jax.Array:
        lower, upper, _ = self.coordinates
        shifted = jnp.where(np.isfinite(lower), np.nan_to_num(lower, neginf=0.0) + jnp.abs(step), step)
        return jnp.where(np.isfinite(upper), np.nan_to_num(upper, posinf=0.0) - jnp.abs(step), shifted)

    def repair(self, genotype: jax.Array) -> jax.Array:
        """Reflect real coordinates at their bounds, round and clip the others; the inside is returned unchanged.

        Reflection keeps a Gaussian search well behaved at an optimum on a bound: unlike clipping, it leaves no
        plateau outside on which all candidates tie.
        """
        lower, upper, kind = self.coordinates
        if self.bounded:
            folded = _reflect(genotype, lower, upper)
            genotype = jnp.where(kind == REAL, folded, jnp.clip(genotype, lower, upper).astype(genotype.dtype))
        if not self.continuous:
            genotype = jnp.where(kind == REAL, genotype, jnp.round(genotype))
        return genotype

    def mutate(self, key: Key, genotype: jax.Array, rate: float = 1.0, scale: float = 0.1) -> jax.Array:
        """Return a changed copy of a genotype ``[D]``.

        Args:
            key: random key.
            genotype: ``[D]``, inside the space.
            rate: chance in [0, 1] of each coordinate to change; when none would, one coordinate changes all the same.
            scale: standard deviation, in genotype units, of the Gaussian added to a real coordinate. An integer moves
                by at least one, the size of its step drawn from the same Gaussian times its range; a category
                becomes another one, all others equally likely.
        """
        lower, upper, kind = self.coordinates
        key_mask, key_one, key_step, key_category = jax.random.split(key, 4)
        mask = jax.random.bernoulli(key_mask, rate, (self.size,))
        forced = jax.random.randint(key_one, (), 0, self.size)
        mask = mask | (~mask.any() & (jnp.arange(self.size) == forced))
        step = scale * jax.random.normal(key_step, (self.size,), genotype.dtype)
        changed = genotype + step
        if not self.continuous:
            span = np.where(kind == REAL, 1.0, np.nan_to_num(upper - lower, posinf=1.0) + 1.0)
            away = jnp.where(step >= 0, 1.0, -1.0)
            # A step over a bound turns around, so that an integer that may move does move.
            jump = away * jnp.maximum(1.0, jnp.round(jnp.abs(step) * span))
            jump = jnp.where((genotype + jump < lower) | (genotype + jump > upper), -away, jump)
            other = jax.random.uniform(key_category, (self.size,)) * (span - 1.0)
            category = jnp.floor(genotype + 1.0 + jnp.minimum(jnp.floor(other), jnp.maximum(span - 2.0, 0.0))) % span
            changed = jnp.where(
                kind == INTEGER, genotype + jump, jnp.where(kind == CATEGORY, category, changed)
            ).astype(genotype.dtype)
        return self.repair(jnp.where(mask, changed, genotype))

    def crossover(self, key: Key, first: jax.Array, second: jax.Array) -> jax.Array:
        """Return a child ``[D]`` that takes each coordinate from either parent, equally likely."""
        return jnp.where(jax.random.bernoulli(key, 0.5, first.shape), first, second)


def _reflect(x: jax.Array, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> jax.Array:
    """Fold ``x`` into [lower, upper] as light between two mirrors; either bound may be infinite."""
    low, high = jnp.asarray(lower, x.dtype), jnp.asarray(upper, x.dtype)
    both = np.isfinite(lower) & np.isfinite(upper)
    width = jnp.where(both, high - low, 1.0)
    base = jnp.where(np.isfinite(lower), low, 0.0)
    phase = jnp.mod(x - base, 2.0 * width)
    between = base + jnp.where(phase > width, 2.0 * width - phase, phase)
    one_sided = jnp.where(x < low, 2.0 * base - x, x)
    one_sided = jnp.where(x > high, 2.0 * jnp.where(np.isfinite(upper), high, 0.0) - x, one_sided)
    folded = jnp.where(both, jnp.clip(between, low, high), one_sided)
    return jnp.where((x >= low) & (x <= high), x, folded).astype(x.dtype)


class Box(VectorSpace):
    """An array of real numbers, bounded or not, searched linearly or on a logarithmic scale.

    Args:
        shape: shape of ω.
        low: lower bound, a number or an array that broadcasts to ``shape``; None for no bound.
        high: upper bound, likewise. A bound is given on both sides or on none.
        log: search the logarithm; needs ``low > 0``.
        scale: the unit of the genotype where there are no bounds (positive; ignored between bounds).
        start: the ω a search begins at; None draws it.
        dtype: type of ω; None follows JAX's default float, so it is float64 only under ``jax_enable_x64``.

    Raises:
        ConfigurationError: bounds the wrong way round, on one side only, not finite, or not positive with ``log``.
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
                    "swap or mend them, or leave both out for an unbounded box."
                )
            if log and not (self.low > 0).all():
                raise ConfigurationError(f"Box(log=True) expects low > 0, got low={low}; a logarithm needs that.")
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
        """Return the given start, or a draw, as a genotype ``[D]``."""
        return self.sample(key) if self._start is None else jnp.asarray(self._start, jnp.result_type(float))

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Turn a genotype ``[D]`` into an array of the box's shape and type."""
        x = genotype * jnp.asarray(self._unit, genotype.dtype)
        x = jnp.exp(x) if self.log else x
        if self.low is not None and self.high is not None:
            x = jnp.clip(x, jnp.asarray(self.low, x.dtype), jnp.asarray(self.high, x.dtype))
        return x.reshape(self.shape).astype(self.dtype or jnp.result_type(float))


class Like(VectorSpace):
    """A pytree of float arrays such as a network's weights, unbounded, one genotype unit for one unit of a weight.

    Args:
        template: either a pytree of arrays, at which a search starts, or a function ``key -> pytree``, from which the
            start is drawn with the search's seed (a network's initialiser). ω has the template's shapes and types.
        scale: standard deviation that :meth:`sample` adds around the template's values; not used with a function,
            whose draws are the samples.

    Raises:
        ConfigurationError: a leaf that is not a float array, or no leaf at all.
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
        """Return the template's values, or a draw of its function, as a genotype ``[D]``."""
        if self._draw is None:
            return jnp.asarray(self._values, jnp.result_type(float))
        return self.encode(self._draw(key))

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]``: from the template's function, or normally around its values."""
        if self._draw is not None:
            return self.start(key)
        return self.start(key) + self.scale * jax.random.normal(key, (self.size,))

    def encode(self, omega: Omega) -> jax.Array:
        """Turn a pytree like the template into a genotype ``[D]``."""
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(omega)]).astype(jnp.result_type(float))

    def decode(self, genotype: jax.Array) -> Omega:
        """Turn a genotype ``[D]`` into a pytree like the template."""
        parts = jnp.split(genotype, self._ends[:-1])
        leaves = [part.reshape(s.shape).astype(s.dtype) for part, s in zip(parts, self._leaves, strict=True)]
        return jax.tree.unflatten(self._treedef, leaves)


class Integer(VectorSpace):
    """Whole numbers from ``low`` to ``high``, both included, as int32 of the given shape.

    Raises:
        ConfigurationError: bounds that are not whole numbers, or the wrong way round.
    """

    def __init__(self, low: int, high: int, shape: Sequence[int] = ()) -> None:
        if int(low) != low or int(high) != high or not low <= high:
            raise ConfigurationError(f"Integer expects whole numbers low <= high, got low={low} and high={high}.")
        self.shape = tuple(int(n) for n in shape)
        self.coordinates = Coordinates.of(math.prod(self.shape), int(low), int(high), INTEGER)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Turn a genotype ``[D]`` into int32 of the space's shape."""
        return jnp.round(genotype).astype(jnp.int32).reshape(self.shape)


class Categorical(VectorSpace):
    """Unordered choices; ω holds the index of the choice, int32 of the given shape, ``choices[index]`` its meaning.

    Args:
        choices: how many, or the choices themselves (names, numbers, anything), at least one.
        shape: shape of ω: that many independent choices.
    """

    def __init__(self, choices: int | Sequence[Any], shape: Sequence[int] = ()) -> None:
        self.choices = tuple(range(choices)) if isinstance(choices, int) else tuple(choices)
        if not self.choices:
            raise ConfigurationError(f"Categorical expects at least one choice, got {choices}.")
        self.shape = tuple(int(n) for n in shape)
        self.coordinates = Coordinates.of(math.prod(self.shape), 0, len(self.choices) - 1, CATEGORY)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Turn a genotype ``[D]`` into int32 indices of the space's shape."""
        return jnp.round(genotype).astype(jnp.int32).reshape(self.shape)


class Dict(VectorSpace):
    """Named spaces side by side; ω is a dict of their ω, the genotype theirs joined in the order given.

    Args:
        spaces: name -> space, at least one.

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
        """Join the starts of the named spaces into one genotype ``[D]``."""
        return jnp.concatenate([s.start(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def sample(self, key: Key) -> jax.Array:
        """Join a draw of each named space into one genotype ``[D]``."""
        return jnp.concatenate([s.sample(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def _keys(self, key: Key) -> list[Key]:
        return list(jax.random.split(key, len(self.spaces)))

    def decode(self, genotype: jax.Array) -> dict[str, Omega]:
        """Turn a genotype ``[D]`` into a dict of each named space's ω."""
        parts = jnp.split(genotype, self._ends[:-1])
        return {name: s.decode(part) for (name, s), part in zip(self.spaces.items(), parts, strict=True)}
