"""What a setting may be besides its type: the rules that stand in ``Annotated``, and names for the usual ones."""

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

INT32, INT64 = 2**31, 2**63
"""The first whole numbers that these types do not hold."""


class Refused(Exception):
    """A value does not fit; its argument is advice for the end of the sentence."""


class OutOfRange(Refused):
    """A value of the right type is out of range."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The finite numbers that a setting may have, an annotation of ``int`` or ``float``."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf
    even: bool = False
    limit: int = INT64
    """Whole numbers must be smaller to be held where they are used: compiled programs count in int32."""

    def check(self, value: Any) -> Any:
        """Return the number, or raise :class:`OutOfRange`."""
        if not isinstance(value, int | float):
            return value  # traced, or the other half of a union
        inside = self.least <= value <= self.most and self.above < value < self.below
        if not inside or not (isinstance(value, int) or math.isfinite(value)) or (self.even and value % 2):
            raise OutOfRange("")
        if isinstance(value, int) and abs(value) >= self.limit:
            raise OutOfRange(f"; the largest that can be counted is {self.limit - 1:,}")
        return value

    def within(self, other: "Range") -> "Range":
        """Return the range of what lies in both."""
        least, above = max(self.least, other.least), max(self.above, other.above)
        most, below = min(self.most, other.most), min(self.below, other.below)
        return Range(least, most, above, below, self.even or other.even, min(self.limit, other.limit))

    def describe(self, noun: str) -> str:
        """Return "a number from 0 to 1" for "a number"."""
        if self.even:
            noun = re.sub("^a ", "an even ", noun) if noun.startswith("a ") else f"even {noun}"
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f"{noun} from {_written(self.least)} to {_written(self.most)}"
        words = (("of at least", self.least), ("above", self.above), ("of at most", self.most), ("below", self.below))
        ends = [f"{word} {_written(bound)}" for word, bound in words if math.isfinite(bound)]
        finite = f"a finite {noun.removeprefix('a ')}" if noun.startswith("a ") else f"finite {noun}"
        return f"{noun} {' and '.join(ends)}" if ends else finite


def _written(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A number or an array of them without NaN, an annotation of ``ArrayLike``."""

    whole: bool = False

    def check(self, value: Any) -> Any:
        """Return the value as it is, or raise :class:`Refused`."""
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):  # nested sequences of different lengths
            raise Refused("; its rows differ in length") from None
        integers = np.issubdtype(array.dtype, np.integer)
        if not integers and not (np.issubdtype(array.dtype, np.floating) and not np.isnan(array).any()):
            raise Refused("")
        if self.whole and not integers and not np.array_equal(array, np.round(array)):
            raise Refused("; round it")
        return value

    def describe(self, noun: str) -> str:
        """Say what it is."""
        kind = "whole number" if self.whole else "number"
        return f"a {kind} or an array of {kind}s"


@dataclasses.dataclass(frozen=True)
class Items:
    """How many items a tuple has at least; of strings, that there is a character."""

    least: int = 1

    def check(self, value: Any) -> Any:
        """Return the tuple or string, or raise :class:`OutOfRange`."""
        if isinstance(value, Sequence) and len(value) < self.least:
            raise OutOfRange("")
        return value

    def describe(self, noun: str) -> str:
        """Return "a tuple of 1 or more ..." for "a tuple of ...", "a non-empty string" for "a string"."""
        if " of " not in noun:
            return re.sub("^(a )?", r"\1non-empty ", noun)
        return noun.replace(" of ", f" of {self.least} or more ", 1)


@dataclasses.dataclass(frozen=True)
class FloatType:
    """A floating-point type, as jnp.float32 or in any other way to name it."""

    def check(self, value: Any) -> Any:
        """Return the type as it was given, or raise :class:`Refused`."""
        try:
            floating = value is None or jnp.issubdtype(jnp.dtype(value), jnp.floating)
        except TypeError:
            floating = False
        if not floating or isinstance(value, np.generic | np.ndarray | jax.Array):  # a value of such a type
            raise Refused("")
        return value

    def describe(self, noun: str) -> str:
        """Say what it is."""
        return "a float type such as jnp.float32"


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to do about any value that does not fit, in the words that end the usual mistake."""

    text: str


Rule = Range | Numbers | Items | FloatType

Count = Annotated[int, Range(least=1, limit=INT32)]
"""A whole number of at least 1."""
Natural = Annotated[int, Range(least=0, limit=INT32)]
"""A whole number of at least 0."""
Total = Annotated[int, Range(least=1)]
"""A whole number of at least 1 that may be very large, such as evaluations or bytes."""
Several = Annotated[int, Range(least=2, limit=INT32)]
"""A whole number of at least 2."""
Pairs = Annotated[int, Range(least=2, even=True, limit=INT32)]
"""An even whole number of at least 2, such as a population of antithetic pairs."""
Finite = Annotated[float, Range()]
"""A finite number."""
Positive = Annotated[float, Range(above=0)]
"""A finite number above 0."""
StepSize = Annotated[
    Positive, Advice("for another one in each coordinate, give the space a unit, such as Box((2,), scale=[0.1, 3.0])")
]
"""A first step size in genotype units, above 0."""
NonNegative = Annotated[float, Range(least=0)]
"""A finite number of at least 0."""
Chance = Annotated[float, Range(least=0, most=1)]
"""A probability, from 0 to 1."""
Fraction = Annotated[float, Range(above=0, most=1)]
"""A part that is left of something: above 0, at most 1."""
Name = Annotated[str, Items()]
"""A string that is not empty."""
Decay = Annotated[float, Range(least=0, below=1)]
"""A decay of a moving average, or another share that is never all: at least 0, below 1."""
