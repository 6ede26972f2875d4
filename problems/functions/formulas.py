"""Benchmark formulas for symbolic regression, with the usual points and function sets.

Nguyen-1 to 10 (Uy, Hoai, O'Neill, McKay & Galván-López, "Semantically-based crossover in genetic programming:
application to real-valued symbolic regression", 2011), Koza-1 to 3 (Koza, "Genetic Programming", 1992 and 1994) and
Keijzer-6 ("Improving symbolic regression with interval arithmetic and linear scaling", 2003), sampled as McDermott et
al. list them ("Genetic programming needs better benchmarks", 2012).
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.expressions import LOSS_PRIMITIVES, Primitive, functions, symbols
from evometa.types import Scalar

_R = ("real",)
FUNCTIONS: dict[str, Primitive] = {
    **{p.name: p for p in LOSS_PRIMITIVES},
    "sin": Primitive("sin", jnp.sin, _R),
    "cos": Primitive("cos", jnp.cos, _R),
    "tan": Primitive("tan", functions.tan, _R, symbolic=symbols.tan),
    "pow": Primitive("pow", functions.power, _R * 2, symbolic=symbols.power),
    "abs": Primitive("abs", jnp.abs, _R, symbolic=symbols.absolute),
    "neg": Primitive("neg", jnp.negative, _R, python="(-{0})", symbolic=operator.neg),
}
"""The functions that formulas may contain, by name."""

KOZA = ("add", "sub", "mul", "div", "sin", "cos", "exp", "log")
KEIJZER = ("add", "mul", "div", "neg", "sqrt")  # 1/n is written as a division of constants


class Points(NamedTuple):
    """Points to fit a formula to, or to evaluate it on."""

    columns: NDArray[np.float64]
    """``[A, N]``, the arguments."""
    label: NDArray[np.float64]
    """``[N]``, the values to predict."""
    weights: NDArray[np.float64] | None = None
    """``[N]``, positive, with sum 1; None: all points weigh the same."""

    def mean(self, values: jax.Array) -> Scalar:
        """Return the weighted mean of values ``[N]``."""
        if self.weights is None:
            return jnp.mean(values)
        return jnp.sum(values * jnp.asarray(self.weights, values.dtype))

    @property
    def label_mean(self) -> Any:
        """The weighted mean of the label."""
        return self.label.mean() if self.weights is None else np.sum(self.weights * self.label)

    @property
    def label_deviation(self) -> Any:
        """The weighted standard deviation of the label."""
        xp: Any = np if isinstance(self.label, np.ndarray) else jnp  # a compiled program may be given the points
        exponent = xp.frexp(abs(self.label).max())[1]  # taken out, so that no square overflows or vanishes
        label = xp.ldexp(self.label, -exponent)
        if self.weights is None:
            return xp.ldexp(label.std(), exponent)
        mean = xp.ldexp(self.label_mean, -exponent)
        return xp.ldexp(xp.sqrt(xp.sum(self.weights * (label - mean) ** 2)), exponent)


class Formula(NamedTuple):
    """A benchmark formula."""

    function: Callable[..., Any]
    low: float
    high: float
    points: int
    """Points drawn uniformly between low and high in each argument; 0: all integers from low to high."""
    arguments: tuple[str, ...] = ("x",)
    functions: tuple[str, ...] = KOZA
    ephemeral: float | tuple[float, ...] | None = (1.0,)
    high_test: float | None = None
    """Upper bound of the held-out points, if it differs from ``high``."""

    def draw(self, seed: int, *, held_out: bool) -> Points:
        """Return the points to fit, or held-out ones."""
        if self.points:
            rng = np.random.default_rng((seed, int(held_out)))
            columns = rng.uniform(self.low, self.high, (len(self.arguments), self.points))
        else:
            high = self.high_test if held_out and self.high_test else self.high
            columns = np.arange(self.low, high + 1)[None]
        return Points(columns, self.function(*columns))


def _powers(most: int) -> Callable[[Any], Any]:
    return lambda x: functools.reduce(lambda total, _: x * (1 + total), range(most), 0.0 * x)


def _harmonic(x: Any) -> Any:
    return np.cumsum(1 / np.arange(1, np.max(x) + 1))[np.asarray(x, int) - 1]


_TWO: dict[str, Any] = {"arguments": ("x", "y"), "ephemeral": None}
FORMULAS: dict[str, Formula] = {
    **{f"nguyen-{most - 2}": Formula(_powers(most), -1, 1, 20) for most in (3, 4, 5, 6)},
    "nguyen-5": Formula(lambda x: np.sin(x**2) * np.cos(x) - 1, -1, 1, 20),
    "nguyen-6": Formula(lambda x: np.sin(x) + np.sin(x + x**2), -1, 1, 20),
    "nguyen-7": Formula(lambda x: np.log(x + 1) + np.log(x**2 + 1), 0, 2, 20),
    "nguyen-8": Formula(np.sqrt, 0, 4, 20),
    "nguyen-9": Formula(lambda x, y: np.sin(x) + np.sin(y**2), -1, 1, 100, **_TWO),
    "nguyen-10": Formula(lambda x, y: 2 * np.sin(x) * np.cos(y), -1, 1, 100, **_TWO),
    "koza-1": Formula(_powers(4), -1, 1, 20, ephemeral=None),
    "koza-2": Formula(lambda x: x**5 - 2 * x**3 + x, -1, 1, 20, ephemeral=None),
    "koza-3": Formula(lambda x: x**6 - 2 * x**4 + x**2, -1, 1, 20, ephemeral=None),
    "keijzer-6": Formula(_harmonic, 1, 50, 0, functions=KEIJZER, ephemeral=5.0, high_test=120),
}
"""The formulas by name."""
