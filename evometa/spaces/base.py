"""The contract of a space, and the common base of all spaces of vectors.

A strategy works on *genotypes* and a problem on *ω*; a space decodes the one into the other. In a vector space a
genotype is one vector ``[D]`` of floats, so a population is a matrix ``[P, D]`` whatever ω looks like. The kind and the
bounds of each coordinate (real, integer, category or part of a structure) are data, :class:`Coordinates`, from which
sampling, repair, mutation and crossover work for all vector spaces. Coordinates that mean something only together, as
those of a permutation, are a :class:`Block` with operators of its own. Spaces of other genotypes, such as expression
trees, subclass :class:`Space`.
"""

import abc
import copy
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.backend.precision import draw_type
from evometa.errors import ConfigurationError
from evometa.settings import Checked
from evometa.spaces.exactness import COARSE
from evometa.types import Genotype, Key, Omega, Scalar

REAL, INTEGER, CATEGORY, JOINT = 0, 1, 2, 3
"""Kinds of coordinates. Joint ones belong to a :class:`Block`."""


class Space(metaclass=Checked):
    """The search space: the set of all ω, their genotypes, and the operators on genotypes.

    Spaces are compared by identity. A space is a static part of a pytree that contains it, so it adds no arrays to a
    strategy's state.
    """

    branches: ClassVar[bool] = False
    """Whether the computations of ω branch on the genotype. On a CPU such candidates are evaluated one at a time: then
    only the branches taken are computed, while a batch would compute every branch for every candidate."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        jax.tree_util.register_static(cls)

    starts: Genotype | None = None
    """The genotypes at which a search begins where the user gave it several ω, leaves ``[K, ...]``; otherwise None."""
    starts_ordered: bool = False
    """Whether the first of them is known to be the best, and the last the worst."""

    @property
    def start_given(self) -> bool:
        """Whether a search begins at an ω that the user gave, not at a draw."""
        return False

    @abc.abstractmethod
    def start(self, key: Key) -> Genotype:
        """Return the genotype at which a search begins: the user's start if there is one, otherwise a random draw."""

    def without_start(self) -> Self:
        """Return the same space without its given start: a search in it begins at a draw from the whole space."""
        return self._starting(self.sample, None)

    def starting_at(self, starts: Genotype, first: int | Scalar = 0, *, ordered: bool = False) -> Self:
        """Return the same space with several starts.

        Args:
            starts: genotypes, leaves ``[K, ...]`` on the host.
            first: the index of the one that :meth:`start` returns.
            ordered: whether they are known to become worse from the first to the last.
        """
        begin = lambda key: jax.tree.map(lambda leaf: jnp.asarray(leaf)[first], starts)  # noqa: E731
        return self._starting(begin, starts, ordered=ordered)

    def _starting(self, start: Callable[[Key], Genotype], starts: Genotype | None, *, ordered: bool = False) -> Self:
        other = copy.copy(self)
        # Draws are this space's own, since those of some spaces are drawn around their start.
        settings = {"start": start, "sample": self.sample, "starts": starts, "starts_ordered": ordered}
        for name, value in settings.items():
            object.__setattr__(other, name, value)
        return other

    @abc.abstractmethod
    def sample(self, key: Key) -> Genotype:
        """Draw one genotype from the whole space."""

    @abc.abstractmethod
    def repair(self, genotype: Genotype) -> Genotype:
        """Map a genotype into the space; genotypes inside it are returned unchanged."""

    @abc.abstractmethod
    def decode(self, genotype: Genotype) -> Omega:
        """Decode a (repaired) genotype to ω."""

    def present(self, omega: Omega) -> Omega:
        """Return the parts of an ω that are active, as plain-Python problems get it: all but in a conditional space."""
        return omega

    def readable(self, omega: Omega) -> Omega:
        """Return an ω on the host as people read it: categories by their names, without parts that are not active."""
        return omega

    def encode(self, omega: Omega) -> Genotype:
        """Return a genotype that is decoded to ω, the inverse of :meth:`decode`; on the host.

        Raises:
            ConfigurationError: ω is not in the space, or the space cannot encode.
        """
        raise ConfigurationError(
            f"{type(self).__name__} expects its starts to be drawn, since it cannot turn a given ω into a genotype, "
            f"got {type(omega).__name__}."
        )

    @abc.abstractmethod
    def mutate(self, key: Key, genotype: Genotype, rate: float = 1.0, scale: float = 0.1) -> Genotype:
        """Return a mutated copy; each part changes with probability ``rate`` and by a step of size ``scale``."""

    @abc.abstractmethod
    def crossover(self, key: Key, first: Genotype, second: Genotype) -> Genotype:
        """Return a child of two parents."""


class Coordinates(NamedTuple):
    """The bounds and the kind of each coordinate of a vector genotype, as arrays ``[D]``."""

    lower: NDArray[np.float64]
    """Lower bound in genotype units, or -inf."""
    upper: NDArray[np.float64]
    """Upper bound in genotype units, or +inf."""
    kind: NDArray[np.int8]
    """``REAL``, ``INTEGER``, ``CATEGORY`` or ``JOINT``."""
    log: NDArray[np.bool_]
    """Which integers are drawn and changed in their logarithm; False for all others."""

    @staticmethod
    def of(size: int, lower: ArrayLike, upper: ArrayLike, kind: int, *, log: bool = False) -> "Coordinates":
        """Return ``size`` coordinates of one kind."""
        return Coordinates(
            np.broadcast_to(np.asarray(lower, np.float64), (size,)),
            np.broadcast_to(np.asarray(upper, np.float64), (size,)),
            np.full((size,), kind, np.int8),
            np.full((size,), log, np.bool_),
        )


class VectorSpace(Space):
    """A space whose genotype is one vector ``[D]`` of floats in JAX's default float type.

    Subclasses set :attr:`coordinates` and define :meth:`decode` and :meth:`encode`; they override :meth:`sample` or
    :meth:`start` if the default does not fit.
    """

    coordinates: Coordinates
    blocks: tuple[tuple[int, "Block"], ...] = ()
    """The blocks among the coordinates, each with the position of its first one."""
    _start: NDArray[np.float64] | None = None
    """The given start as a genotype ``[D]``, or None."""

    @property
    def size(self) -> int:
        """The genotype size D."""
        return len(self.coordinates.kind)

    @property
    def continuous(self) -> bool:
        """Whether every coordinate is real."""
        return bool(np.all(self.coordinates.kind == REAL))

    @property
    def has_real_genotypes(self) -> bool:
        """Whether every vector of real numbers is repaired to a genotype without rounding single coordinates.

        So it is with real coordinates, and with the keys by which blocks order their items.
        """
        return bool(np.all(np.isin(self.coordinates.kind, (REAL, JOINT))))

    @property
    def bounded(self) -> bool:
        """Whether any coordinate has a bound."""
        return bool(np.any(np.isfinite(self.coordinates.lower) | np.isfinite(self.coordinates.upper)))

    @property
    def start_given(self) -> bool:
        """Whether the user gave a start."""
        return self._start is not None

    def require_held_by(self, dtype: np.dtype) -> None:
        """Raise ConfigurationError where genotypes of a float type, or ω, would not hold what is in the space.

        Nothing to say by default; asked whenever a genotype is drawn or decoded.
        """

    def start(self, key: Key) -> jax.Array:
        """Return the given start as a genotype ``[D]``; a random draw if none was given."""
        return self.sample(key) if self._start is None else jnp.asarray(self._start, jnp.result_type(float))

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]``: uniform between bounds, standard normal in genotype units without bounds.

        Beyond a single bound it is half of a standard normal distribution, and integers searched in their logarithm are
        uniform in that.
        """
        self.require_held_by(jnp.dtype(jnp.result_type(float)))
        lower, upper, kind, log = self.coordinates
        key_uniform, key_normal = jax.random.split(key)
        # An integer or category is drawn from an interval of half a unit to each side, so that all are equally likely.
        half = np.where(kind == REAL, 0.0, 0.5)
        finite = np.isfinite(lower) & np.isfinite(upper)
        low, high = np.where(finite, lower - half, 0.0), np.where(finite, upper + half, 0.0)
        if log.any():
            low, high = (np.where(log, np.log(np.where(log, end, 1.0)), end) for end in (low, high))
        draw = jnp.asarray(low) + jnp.asarray(high - low) * jax.random.uniform(key_uniform, (self.size,), draw_type())
        if log.any():
            draw = jnp.where(log, jnp.exp(jnp.where(log, draw, 0.0)), draw)
        if not finite.all():
            step = jax.random.normal(key_normal, (self.size,), draw_type())
            draw = jnp.where(finite, draw, self._from_one_bound(step))
        wide = finite & (kind == INTEGER) & (high - low > COARSE)
        if wide.any():
            whole = jnp.result_type(int)
            least, end = (jnp.asarray(np.where(wide, bound, 0.0), whole) for bound in (lower, upper + 1))
            draw = jnp.where(wide, jax.random.randint(key_normal, (self.size,), least, end, dtype=whole), draw)
        return self.repair(draw)

    def _from_one_bound(self, step: jax.Array) -> jax.Array:
        lower, upper, *_ = self.coordinates
        shifted = jnp.where(np.isfinite(lower), np.nan_to_num(lower, neginf=0.0) + jnp.abs(step), step)
        return jnp.where(np.isfinite(upper), np.nan_to_num(upper, posinf=0.0) - jnp.abs(step), shifted)

    def repair(self, genotype: jax.Array) -> jax.Array:
        """Reflect real coordinates at their bounds; round and clip all others. Valid genotypes are unchanged.

        Unlike clipping, reflection leaves no plateau outside the bounds on which all candidates tie, so that a Gaussian
        search still works at an optimum on a bound.
        """
        lower, upper, kind, _ = self.coordinates
        given = genotype
        if self.bounded:
            folded = _reflect(genotype, lower, upper)
            # Bounds are in the genotype's type: comparing with float64 constants would differ between the precisions.
            least, most = (bound.astype(genotype.dtype) for bound in (lower, upper))
            genotype = jnp.where(kind == REAL, folded, jnp.clip(genotype, least, most))
        if not self.continuous:
            genotype = jnp.where(kind == REAL, genotype, jnp.round(genotype))
        for own, block in self._parts():
            genotype = genotype.at[own].set(block.arrange(given[own]))
        return genotype

    def _parts(self) -> list[tuple[slice, "Block"]]:
        return [(slice(first, first + block.size), block) for first, block in self.blocks]

    def mutate(self, key: Key, genotype: jax.Array, rate: float = 1.0, scale: float = 0.1) -> jax.Array:
        """Return a mutated copy of a genotype ``[D]``.

        Args:
            key: random key.
            genotype: ``[D]``, inside the space.
            rate: probability in [0, 1] of each coordinate to change; at least one coordinate changes.
            scale: standard deviation, in genotype units, of the Gaussian step of a real coordinate. An integer moves by
                at least one; its step is drawn from the same Gaussian times its range (for those searched in their
                logarithm, both are logarithms). A category becomes any other one, all equally likely. A block of which
                any coordinate changes makes one move of its own.
        """
        lower, upper, kind, log = self.coordinates
        key_mask, key_one, key_step, key_category, *keys = jax.random.split(key, 4 + len(self.blocks))
        mask = jax.random.bernoulli(key_mask, rate, (self.size,))
        forced = jax.random.randint(key_one, (), 0, self.size)
        mask = mask | (~mask.any() & (jnp.arange(self.size) == forced))
        step = scale * jax.random.normal(key_step, (self.size,), genotype.dtype)
        changed = genotype + step
        if not self.continuous:
            span = np.where(kind == REAL, 1.0, np.nan_to_num(upper - lower, posinf=1.0) + 1.0)
            away = jnp.where(step >= 0, 1.0, -1.0)
            # A step over a bound becomes a step of one away from it, so that every integer with a range moves.
            jump = jnp.round(jnp.abs(step) * span)
            if log.any():
                factor = jnp.exp(
                    step * np.log(np.where(log, upper / np.where(log, lower, 1.0), 1.0)).astype(step.dtype)
                )
                jump = jnp.where(log, jnp.abs(jnp.round(genotype * factor) - genotype), jump)
            jump = away * jnp.maximum(1.0, jump)
            back = jnp.where((genotype - away < lower) | (genotype - away > upper), away, -away)
            jump = jnp.where((genotype + jump < lower) | (genotype + jump > upper), back, jump)
            other = jax.random.uniform(key_category, (self.size,)) * (span - 1.0)
            category = jnp.floor(genotype + 1.0 + jnp.minimum(jnp.floor(other), jnp.maximum(span - 2.0, 0.0))) % span
            changed = jnp.where(
                kind == INTEGER, genotype + jump, jnp.where(kind == CATEGORY, category, changed)
            ).astype(genotype.dtype)
        for key_move, (own, block) in zip(keys, self._parts(), strict=True):
            changed = changed.at[own].set(block.move(key_move, genotype[own]))
            mask = mask.at[own].set(mask[own].any())
        return self.repair(jnp.where(mask, changed, genotype))

    def crossover(self, key: Key, first: jax.Array, second: jax.Array) -> jax.Array:
        """Return a child ``[D]``: each coordinate of either parent, equally likely; blocks cross in their own way."""
        if self.blocks:
            key, *keys = jax.random.split(key, 1 + len(self.blocks))
        child = jnp.where(jax.random.bernoulli(key, 0.5, first.shape), first, second)
        for number, (own, block) in enumerate(self._parts()):
            child = child.at[own].set(block.combine(keys[number], first[own], second[own]))
        return child


class Block(VectorSpace):
    """A vector space whose coordinates mean something only together, such as a permutation.

    A genotype ``[D]`` holds keys from 0 to 1; any vector of real numbers is arranged to one, so that strategies for
    real numbers can search blocks too (random keys, Bean 1994).
    """

    def __init__(self, size: int) -> None:
        self.coordinates = Coordinates.of(size, 0.0, 1.0, JOINT)
        self.blocks = ((0, self),)

    @abc.abstractmethod
    def arrange(self, keys: jax.Array) -> jax.Array:
        """Return the genotype ``[D]`` for any real numbers ``[D]``; genotypes are returned unchanged, to the bit."""

    @abc.abstractmethod
    def move(self, key: Key, genotype: jax.Array) -> jax.Array:
        """Return a genotype ``[D]`` a small step away."""

    @abc.abstractmethod
    def combine(self, key: Key, first: jax.Array, second: jax.Array) -> jax.Array:
        """Return a child ``[D]`` of two parents."""

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]``, all equally likely."""
        return self.arrange(jax.random.uniform(key, (self.size,)))


def _reflect(x: jax.Array, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> jax.Array:
    """Reflect ``x`` at the bounds, as often as needed, into [lower, upper]; either bound may be infinite."""
    low, high = jnp.asarray(lower, x.dtype), jnp.asarray(upper, x.dtype)
    both = np.isfinite(lower) & np.isfinite(upper)
    width = jnp.where(both & (lower < upper), high - low, 1.0)
    base = jnp.where(np.isfinite(lower), low, 0.0)
    phase = jnp.mod(x - base, 2.0 * width)
    between = base + jnp.where(phase > width, 2.0 * width - phase, phase)
    one_sided = jnp.where(x < low, 2.0 * base - x, x)
    one_sided = jnp.where(x > high, 2.0 * jnp.where(np.isfinite(upper), high, 0.0) - x, one_sided)
    folded = jnp.where(both, jnp.clip(between, low, high), one_sided)
    return jnp.where((x >= low) & (x <= high), x, folded).astype(x.dtype)
