"""What the float type of genotypes can hold: which whole numbers, and which ranges of real ones.

Genotypes are of JAX's default float type. float32 has every whole number up to 2²⁴ and nothing below 1e-38, so a space
is asked at each use whether the type can hold it, and refuses in words what would silently become other numbers.
Plain-Python problems are searched in float64, where the limits are 2⁵³ and 1e-308.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError

FEWEST_NUMBERS = 8
"""Numbers of its type that a range must hold to be searched as one of real numbers."""
COARSE = 2**20
"""Range of an integer from which on a draw of 2²³ equal steps, as uniform float32 numbers are, is too coarse for it."""

_REMEDY = (
    'call jax.config.update("jax_enable_x64", True) before any other use of JAX, or make it a HostProblem, which is '
    "searched in float64"
)


def whole_numbers(dtype: np.dtype) -> int:
    """Return up to which number a float type holds every whole one: 2²⁴ for float32."""
    return 1 << (int(jnp.finfo(dtype).nmant) + 1)


def countable(low: int, high: int) -> bool:
    """Return whether float32 holds every whole number between two bounds."""
    return max(abs(low), abs(high)) <= whole_numbers(np.dtype(np.float32))


def integer_type(low: int, high: int) -> np.dtype:
    """Return the type of ω for integers between two bounds: int32, and int64 where they need it.

    Raises:
        ConfigurationError: int64 does not hold them either.
    """
    for kind in (np.int32, np.int64):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return np.dtype(kind)
    raise ConfigurationError(
        f"Integer expects bounds that int64 can hold, from {limits.min} to {limits.max}, got low={low} and high={high}."
    )


def require_integers(low: int, high: int, *, counts: tuple[int, int], dtype: np.dtype) -> None:
    """Raise ConfigurationError where a genotype cannot count integers, or ω not hold them, under JAX's present switch.

    Args:
        low: the smallest.
        high: the largest.
        counts: what a genotype has for these two.
        dtype: the float type of genotypes.
    """
    needed = integer_type(low, high)
    held = jax.dtypes.canonicalize_dtype(needed)
    if held != needed:
        raise ConfigurationError(
            f"Integer expects bounds within the type of ω, {held}, which would cut others, got low={low} and "
            f"high={high}; for int64, {_REMEDY}."
        )
    if max(map(abs, counts)) > whole_numbers(dtype):
        remedy = "search fewer" if dtype == np.float64 else f"for more, {_REMEDY}"
        raise ConfigurationError(
            f"Integer expects a range of at most {whole_numbers(dtype)} steps, up to which genotypes of type {dtype} "
            f"hold every whole number, got low={low} and high={high}; {remedy}."
        )


def require_range(
    low: NDArray[np.float64], high: NDArray[np.float64], *, log: bool, types: tuple[np.dtype, ...]
) -> None:
    """Raise ConfigurationError where a float type would lose a bound of a box, or what is between two.

    Args:
        low: the lower bounds; -inf where there is none.
        high: the upper bounds, likewise.
        log: whether the logarithm is searched, so that the lower bound must not be lost to 0.
        types: the float types of the genotype and of ω.
    """
    ends = np.stack([low, high])
    finite = np.isfinite(ends)
    size = np.max(np.abs(np.where(finite, ends, 0.0)), axis=0, initial=0.0)
    bounded = finite.all(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.where(bounded & (low < high), ends[1] - ends[0], np.inf)  # equal bounds are constants
    for dtype in types:
        info = jnp.finfo(dtype)
        spacing = np.maximum(size * float(info.eps), float(info.tiny)) / 2  # below the largest number of the range
        lost = (np.where(np.isfinite(width), width, size) > float(info.max)) | (width < FEWEST_NUMBERS * spacing)
        if log:
            lost |= low < float(info.tiny)
        if lost.any():
            at = int(np.flatnonzero(lost)[0])
            remedy = "widen the range or change the unit" if dtype == np.float64 else f"for float64, {_REMEDY}"
            raise ConfigurationError(
                f"Box expects bounds that {dtype} can hold (from {float(info.tiny):.2g} to {float(info.max):.2g}) and "
                f"at least {FEWEST_NUMBERS} numbers between them, got low={low[at]} and high={high[at]}; {remedy}."
            )
