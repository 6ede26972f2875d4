"""The contract of a space, and the common base of all spaces of vectors.

A strategy works on *genotypes* and a problem on *ω*; a space decodes the one into the other. In a vector space a
genotype is one vector ``[D]`` of floats, so a population is a matrix ``[P, D]`` whatever ω looks like. The kind and the
bounds of each coordinate (real, integer or category) are data, :class:`Coordinates`, from which sampling, repair,
mutation and crossover work for all vector spaces. Spaces of other genotypes, such as expression trees, subclass
:class:`Space`.
"""

import abc
import copy
from typing import Any, ClassVar, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.types import Genotype, Key, Omega

REAL, INTEGER, CATEGORY = 0, 1, 2


class Space(abc.ABC):
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

    @abc.abstractmethod
    def start(self, key: Key) -> Genotype:
        """Return the genotype at which a search begins: the user's start if there is one, otherwise a random draw."""

    def without_start(self) -> Self:
        """Return the same space without its given start: a search in it begins at a draw from the whole space."""
        other = copy.copy(self)
        # Draws are this space's own, since those of some spaces are drawn around their start.
        for method in ("start", "sample"):
            object.__setattr__(other, method, self.sample)
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
    """``REAL``, ``INTEGER`` or ``CATEGORY``."""

    @staticmethod
    def of(size: int, lower: ArrayLike, upper: ArrayLike, kind: int) -> "Coordinates":
        """Return ``size`` coordinates of one kind."""
        return Coordinates(
            np.broadcast_to(np.asarray(lower, np.float64), (size,)),
            np.broadcast_to(np.asarray(upper, np.float64), (size,)),
            np.full((size,), kind, np.int8),
        )


class VectorSpace(Space):
    """A space whose genotype is one vector ``[D]`` of floats in JAX's default float type.

    Subclasses set :attr:`coordinates` and define :meth:`decode`; they override :meth:`sample` or :meth:`start` if the
    default does not fit.
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
        """Return the genotype at which a search begins; by default a random draw."""
        return self.sample(key)

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]``: uniform between bounds, standard normal in genotype units without bounds."""
        lower, upper, kind = self.coordinates
        key_uniform, key_normal = jax.random.split(key)
        # An integer or category is drawn from an interval of half a unit to each side, so that all are equally likely.
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
        """Reflect real coordinates at their bounds; round and clip all others. Valid genotypes are unchanged.

        Unlike clipping, reflection leaves no plateau outside the bounds on which all candidates tie, so that a Gaussian
        search still works at an optimum on a bound.
        """
        lower, upper, kind = self.coordinates
        if self.bounded:
            folded = _reflect(genotype, lower, upper)
            # Bounds are in the genotype's type: comparing with float64 constants would differ between the precisions.
            least, most = (bound.astype(genotype.dtype) for bound in (lower, upper))
            genotype = jnp.where(kind == REAL, folded, jnp.clip(genotype, least, most))
        if not self.continuous:
            genotype = jnp.where(kind == REAL, genotype, jnp.round(genotype))
        return genotype

    def mutate(self, key: Key, genotype: jax.Array, rate: float = 1.0, scale: float = 0.1) -> jax.Array:
        """Return a mutated copy of a genotype ``[D]``.

        Args:
            key: random key.
            genotype: ``[D]``, inside the space.
            rate: probability in [0, 1] of each coordinate to change; at least one coordinate changes.
            scale: standard deviation, in genotype units, of the Gaussian step of a real coordinate. An integer moves by
                at least one; its step is drawn from the same Gaussian times its range. A category becomes any other
                one, all equally likely.
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
            # A step over a bound becomes a step of one away from it, so that every integer with a range moves.
            jump = away * jnp.maximum(1.0, jnp.round(jnp.abs(step) * span))
            back = jnp.where((genotype - away < lower) | (genotype - away > upper), away, -away)
            jump = jnp.where((genotype + jump < lower) | (genotype + jump > upper), back, jump)
            other = jax.random.uniform(key_category, (self.size,)) * (span - 1.0)
            category = jnp.floor(genotype + 1.0 + jnp.minimum(jnp.floor(other), jnp.maximum(span - 2.0, 0.0))) % span
            changed = jnp.where(
                kind == INTEGER, genotype + jump, jnp.where(kind == CATEGORY, category, changed)
            ).astype(genotype.dtype)
        return self.repair(jnp.where(mask, changed, genotype))

    def crossover(self, key: Key, first: jax.Array, second: jax.Array) -> jax.Array:
        """Return a child ``[D]`` by uniform crossover: each coordinate comes from either parent, equally likely."""
        return jnp.where(jax.random.bernoulli(key, 0.5, first.shape), first, second)


def _reflect(x: jax.Array, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> jax.Array:
    """Reflect ``x`` at the bounds, as often as needed, into [lower, upper]; either bound may be infinite."""
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
