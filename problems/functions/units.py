"""Units in which single precision can hold a column of a table, and what even they lose.

A search sees ``factor · (x - shift)`` of a column x. Most columns stay as they are. Others are shifted where they vary
little around a large value, such as a time in Unix seconds, and multiplied by a power of ten where they are very small
or very large, such as the sizes of atoms and stars in SI units: protected functions take what is closer to 0 than 1e-6
for 0, and constants are drawn around 1.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError

Values = NDArray[np.float64]

SMALLEST, LARGEST = 1e-2, 1e4
"""Columns whose typical value, the median, lies between these are not multiplied."""
_SINGLE, _DOUBLE = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)
_COARSE = 1e-4
"""A column is shifted if the steps of single precision are larger than this share of its range."""
_LEAST = 1e-305
"""Of columns below it, double precision loses digits."""
_PROTECTED = 1e-6
"""What protected functions take for 0."""


class Unit(NamedTuple):
    """The unit of a column: the formula sees ``factor · (x - shift)``."""

    shift: float = 0.0
    factor: float = 1.0

    def standardise(self, values: Values) -> Values:
        """Return values in this unit; the same array where it changes nothing."""
        return values if self == Unit() else (values - self.shift) * self.factor


def unit_of(values: Values) -> Unit:
    """Return the unit in which single precision can hold values ``[N]`` and tell them apart."""
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    most, spread = max(-low, high), high / 2 - low / 2  # halves, since the difference may overflow
    step, gap = most * _SINGLE / 2, spread / len(distinct)
    shift = 0.0
    if 0 < spread < most / 16 and step > min(_COARSE * spread, gap / 8):
        shift = round(low + spread, -math.floor(math.log10(spread)))
    sizes = np.abs(values - shift)
    typical = float(np.median(sizes[sizes > 0])) if sizes.any() else 1.0
    exponent = 0 if SMALLEST <= typical <= LARGEST else -round(math.log10(typical))
    return Unit(shift, float(f"1e{min(max(exponent, -300), 300)}"))


def lost(name: str, values: Values, unit: Unit) -> list[str]:
    """Return what a column loses even in its unit, in words.

    Raises:
        ConfigurationError: a value that single precision cannot hold beside the others.
    """
    distinct = np.unique(values)
    most = float(np.abs(distinct).max())
    if 0 < most < _LEAST:
        raise ConfigurationError(
            f"SymbolicRegression expects numbers that double precision holds with all digits, above {_LEAST:g}, and "
            f"those of column {name!r} are at most {most:g}; multiply the column by a power of ten where the data are "
            "made."
        )
    standard = unit.standardise(distinct)
    with np.errstate(over="ignore"):
        single = standard.astype(np.float32)
    if not np.isfinite(single).all():
        raise ConfigurationError(
            f"SymbolicRegression expects values that single precision can hold together, and column {name!r} has "
            f"{distinct[0]:g} to {distinct[-1]:g} around a median of {np.median(values):g}; remove the extreme "
            "rows, or take the logarithm of the column."
        )
    words = []
    spread = float(distinct[-1] - distinct[0])
    left = -math.log10(np.abs(distinct).max() / spread * _DOUBLE) if spread else math.inf
    if left < 5:
        words.append(
            f"column {name!r} varies by {spread:.2g} around {np.median(values):.6g}, of which double precision keeps "
            f"{max(int(left), 0)} digits; subtract the constant part where the data are made"
        )
    merged = len(distinct) - len(np.unique(single))
    if merged > len(distinct) / 10:
        words.append(
            f"{merged} of the {len(distinct)} different values of column {name!r} are the same in single precision; "
            "switch JAX to double precision with JAX_ENABLE_X64=1"
        )
    sizes = np.abs(standard[standard != 0])
    small = int(np.sum(sizes < _PROTECTED))
    if small > len(sizes) / 10:
        words.append(
            f"{small} of the {len(distinct)} different values of column {name!r} are so much smaller than the others "
            "that div, log and sqrt take them for 0; give the logarithm of the column"
        )
    return words
