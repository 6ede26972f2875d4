"""The look that all pictures share: a figure without global state, colours, axes, thinning."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

Curve = NDArray[np.float64]

# Okabe and Ito (2008): distinct for all common kinds of colour vision; dark enough for lines on white.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#707070"
COUNTS = ("generation", "evaluations", "inner_steps")
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)


def figure(width: float = 7.0, height: float = 4.2) -> Figure:
    """Return an empty figure, in inches, that renders without a display and belongs to nobody else."""
    picture = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(picture)
    return picture


def dress(axes: Axes, *, x: str, y: str) -> None:
    """Label the axes, and leave only what helps to read values off."""
    axes.set_xlabel(words(x))
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, which="major", color="#d8d8d8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=x in COUNTS, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        if low > 1e-3 and high < 1e4:  # plain numbers are easier to read than powers of ten
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(_Minor() if high / low < 1e2 else NullFormatter())


class _Minor(LogFormatter):
    """Labels 2 and 5 between powers of ten, as plain numbers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if round(x / 10 ** math.floor(math.log10(x) + 1e-9), 6) in (2, 5) else ""


def words(column: str) -> str:
    """Return the name of a history column as it reads in a picture."""
    return {"held_out": "held-out"}.get(column, column.replace("_", " "))


def count(value: float) -> str:
    """Return a number as a tick says it: 2,000 and 40k and 1.5M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):g}{letter}"
    return f"{value:,g}" if abs(value) >= 1000 else f"{value:g}"


def log_helps(curves: Iterable[Curve]) -> bool:
    """Return whether all finite values are positive and span more than a decade and a half."""
    values = np.concatenate([np.ravel(curve) for curve in curves] or [np.empty(0)])
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() / values.min() > 10**1.5)


def view(axes: Axes, curves: Sequence[Curve], rest: Sequence[Curve] = ()) -> None:
    """Limit the y-axis to all of ``curves`` and the middle nine tenths of ``rest``.

    What lies outside (a few diverged candidates, a wide band) is cut off, so that it does not flatten the rest.
    """
    ends: list[float] = []
    for curve in curves:
        finite = curve[np.isfinite(curve)]
        ends += [float(finite.min()), float(finite.max())] if finite.size else []
    for curve in rest:
        finite = curve[np.isfinite(curve)]
        ends += [float(end) for end in np.quantile(finite, (0.05, 0.95))] if finite.size else []
    if not ends or (axes.get_yscale() == "log" and min(ends) <= 0):
        return
    low, high = min(ends), max(ends)
    if axes.get_yscale() == "log":
        margin = max((high / low) ** 0.05, 1.05)
        axes.set_ylim(low / margin, high * margin)
    else:
        margin = 0.05 * (high - low) or max(0.05 * abs(high), 1e-12)
        axes.set_ylim(low - margin, high + margin)


def thinned(x: Curve, y: Curve, points: int, reduce: Callable[[Curve], float] | None = None) -> tuple[Curve, Curve]:
    """Return at most ``points`` points of a curve: the end of each stretch of it, and what stands for the stretch.

    Args:
        x: ``[G]``.
        y: ``[G]``, with NaN where there is nothing to show.
        points: the most points to return.
        reduce: what stands for the finite values of a stretch; their median by default.
    """
    if len(x) <= points:
        return x, y
    stretches = np.array_split(np.arange(len(x)), points)
    values = [y[stretch][np.isfinite(y[stretch])] for stretch in stretches]
    stand = [(reduce or _median)(value) if value.size else math.nan for value in values]
    return x[[stretch[-1] for stretch in stretches]], np.array(stand, np.float64)


def mean(values: Curve) -> float:
    """Return the mean: what stands for a stretch of counts."""
    return float(np.mean(values))


def last(values: Curve) -> float:
    """Return the last value: what stands for a stretch of a curve that only improves."""
    return float(values[-1])


def _median(values: Curve) -> float:
    return float(np.median(values))
