"""Boxes of real numbers, and the units in which a strategy searches them.

**Units.** One genotype unit of a real coordinate is its ``scale``: by default the width of its range (in the logarithm,
for ``log``), and 1 where a bound is missing and for a network's weight. So ``sigma=0.1`` means a tenth of the range in
every bounded coordinate. The unit of an integer is its step; a category is represented by its index.
"""

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.errors import ConfigurationError
from evometa.settings import Advice, FloatType, Numbers
from evometa.spaces.arrays import Shape, flat
from evometa.spaces.base import REAL, Coordinates, VectorSpace
from evometa.spaces.exactness import require_range
from evometa.types import Omega


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
