"""The line that turns an expression's values into predictions, with the least squared error (Keijzer 2003)."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.problems.functions.formulas import Points

_RESOLUTION = 1e-9
"""How far slope and intercept are rounded, in standard deviations of the label."""


class Line(NamedTuple):
    """The line that turns an expression's values into predictions."""

    slope: Any
    intercept: Any


def best_line(values: jax.Array, fitted: Points) -> Line:
    """Return the line with the least squared error from values ``[N]`` to the label of points to fit."""
    mean = fitted.mean(values)
    centred = values - mean
    variance = fitted.mean(centred**2)
    # Values that vary only by rounding are constant.
    varies = variance > (8 * jnp.finfo(values.dtype).eps) ** 2 * mean**2
    covariance = fitted.mean(centred * jnp.asarray(fitted.label - fitted.label_mean, values.dtype))
    slope = jnp.where(varies, covariance / jnp.where(varies, variance, 1.0), 0.0)
    return Line(slope, fitted.label_mean - slope * mean)


def exact_line(values: NDArray[np.float64], fitted: Points) -> Line:
    """Return the same in double precision, rounded to what makes a difference of 1e-9 of the label's deviation.

    Args:
        values: ``[N]``, all finite.
        fitted: the points to fit.
    """
    mean = np.average(values, weights=fitted.weights)
    centred = values - mean
    variance = np.average(centred**2, weights=fitted.weights)
    single = float(jnp.finfo(jnp.result_type(float)).eps)
    rounding = 4 * float(np.finfo(np.float64).eps * np.abs(fitted.label).max())  # of the label itself
    resolution = max(_RESOLUTION * float(fitted.label_deviation), rounding)
    if not variance > (8 * single) ** 2 * mean**2:
        return Line(0.0, _rounded(float(fitted.label_mean), resolution))
    slope = np.average(centred * (fitted.label - fitted.label_mean), weights=fitted.weights) / variance
    slope = _rounded(float(slope), resolution / float(np.abs(values).max()))
    return Line(slope, _rounded(float(fitted.label_mean - slope * mean), resolution))


def _rounded(value: float, resolution: float) -> float:
    """Return the shortest decimal number that differs from a value by less than a resolution."""
    return round(value, -math.floor(math.log10(resolution))) if resolution > 0 else value
