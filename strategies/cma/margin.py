"""Integers as a rounded Gaussian, with a margin so that they can change (Hamano et al. 2022, arXiv:2205.13482)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from numpy.typing import NDArray

NARROWEST = 1e-3
"""Least standard deviation of an integer at an end of its range, where nothing but the float type sets one: in float32
a mean of 19.5 plus much less is 19.5. The chance to change does not depend on it, since the mean is drawn along."""


class Ranges(NamedTuple):
    """What M numbers may be; numpy arrays ``[M]``.

    An integer on a logarithmic scale is represented by its logarithm in the Gaussian.
    """

    lower: NDArray[np.float64]
    """Smallest value, in genotype units, or -inf."""
    upper: NDArray[np.float64]
    """Largest value, or inf."""
    whole: NDArray[np.bool_]
    """Which are integers; these have both."""
    log: NDArray[np.bool_] | bool = False
    """Which integers are searched in their logarithm; False for none."""

    @property
    def extent(self) -> NDArray[np.float64]:
        """Upper minus lower bound, or their logarithms, ``[M]``; inf where one is missing."""
        lower, upper = (np.where(self.log, np.log(np.where(self.log, end, 1.0)), end) for end in self[:2])
        return np.asarray(upper - lower)

    @property
    def unit(self) -> NDArray[np.float64]:
        """Genotype units for one unit of the Gaussian at the start, ``[M]``: the range of an integer, 1 for reals."""
        return np.where(self.whole, self.extent, 1.0)

    def cell(self, x: jax.Array) -> jax.Array:
        """Return the integer ``[..., M]`` that each number stands for; meaningless for reals."""
        if np.any(self.log):
            x = jnp.where(self.log, jnp.exp(jnp.where(self.log, x, 0.0)), x)
        lower, upper = (jnp.broadcast_to(jnp.asarray(end, x.dtype), x.shape) for end in self[:2])
        return jnp.clip(jnp.round(x), lower, upper)

    def number(self, x: jax.Array) -> jax.Array:
        """Return the coordinates of integers (or of the middles between them) ``[..., M]`` in the Gaussian."""
        return jnp.where(self.log, jnp.log(jnp.where(self.log, x, 1.0)), x) if np.any(self.log) else x


def too_wide(deviation: jax.Array, stretch: jax.Array, sigma: float, ranges: Ranges) -> jax.Array:
    """Return factors for the standard deviations ``[M]``, at most 1, that limit them by the range of the number.

    A third of the range is the limit (pycma's ``maxstd_boundrange``), or the first step size where that is more.
    Beyond that a coordinate is nearly uniform for any mean, and selection could not narrow it again.
    """
    widest = max(1 / 3, sigma) * ranges.extent
    widest = np.where(widest > 0, widest, np.inf)  # an integer of a single value has stretch 0
    wide = stretch * deviation
    return jnp.where(wide > widest, jnp.asarray(widest, wide.dtype) / wide, 1.0).astype(wide.dtype)


def recombined(x: jax.Array, mean: jax.Array, gain: jax.Array, ranges: Ranges) -> jax.Array:
    """Return the mean of the integers after selection, centered (Marty et al. 2024).

    A candidate whose integer differs from the mean's counts with the middle of its integer's interval, since its exact
    position has no effect on the fitness. The shift of the mean that results is reduced as far as the candidates at the
    mean's integer allow, by moving them to the middle of their interval.

    Args:
        x: candidates before rounding ``[P, M]``.
        mean: the mean that they were drawn around ``[M]``.
        gain: their weights ``[P]``, of sum 1.
        ranges: which are integers; the result means nothing for the others.
    """
    to_middle = ranges.number(ranges.cell(x)) - x
    left = ranges.cell(x) != ranges.cell(mean)[None]
    shift = gain @ jnp.where(left, to_middle, 0.0)
    amends = gain @ jnp.where(~left & (to_middle * shift[None] < 0), jnp.abs(to_middle), 0.0)
    return gain @ x + jnp.sign(shift) * jnp.maximum(jnp.abs(shift) - amends, 0.0)


def with_margin(
    mean: jax.Array, stretch: jax.Array, deviation: jax.Array, margin: float, ranges: Ranges
) -> tuple[jax.Array, jax.Array]:
    """Return mean and stretch of the integers, so that each changes with a probability of at least ``margin``.

    Args:
        mean: ``[M]``.
        stretch: A ``[M]``.
        deviation: standard deviations before stretching ``[M]``.
        margin: α.
        ranges: which are integers, and their range; reals and integers with a single value are left unchanged.
    """
    cell = ranges.cell(mean)
    first, last = cell <= ranges.lower, cell >= ranges.upper
    end, free = first | last, ranges.whole & (ranges.lower < ranges.upper)
    deviation = jnp.maximum(stretch * deviation, jnp.finfo(mean.dtype).tiny)
    least = jnp.where(end & free, jnp.asarray(NARROWEST, mean.dtype), 0.0)
    stretch = jnp.where(deviation < least, stretch * (least / deviation), stretch)
    deviation = jnp.maximum(deviation, least)
    below = ranges.number(jnp.maximum(cell - 0.5, ranges.lower + 0.5))
    above = ranges.number(
        jnp.minimum(cell + 0.5, ranges.upper - 0.5)
    )  # at an end of the range both are the one threshold there
    p_below, p_above = ndtr((below - mean) / deviation), ndtr((mean - above) / deviation)

    # At an end the mean is drawn to the threshold (Section 4.1).
    outside = jnp.where(first, -1.0, 1.0).astype(mean.dtype)
    drawn = above + outside * deviation * -ndtri(jnp.asarray(margin, mean.dtype))
    at_end = jnp.where(jnp.minimum(p_below, p_above) < margin, drawn, mean)

    # Between ends both sides get α/2 at least, at the cost of the more likely parts (Section 4.2).
    half = margin / 2
    low, high = jnp.maximum(p_below, half), jnp.maximum(p_above, half)
    inside = 1 - p_below - p_above
    excess = (low + high + inside - 1) / (low + high + inside - 3 * half)
    low, high = -ndtri(low - excess * (low - half)), -ndtri(high - excess * (high - half))
    rare = jnp.minimum(p_below, p_above) < half
    between = jnp.where(rare, (below * high + above * low) / (low + high), mean)
    wider = jnp.where(rare, stretch * (above - below) / ((low + high) * deviation), stretch)

    return (
        jnp.where(free, jnp.where(end, at_end, between), mean),
        jnp.where(free & ~end, wider, stretch),
    )
