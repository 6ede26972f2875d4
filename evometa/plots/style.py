"""The style of all plots: figures without global state, colours, axes, downsampling."""

import io
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

Curve = NDArray[np.float64]

# Okabe and Ito (2008): distinguishable with all common kinds of colour vision, and dark enough for lines on white.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#707070"
COUNTS = ("generation", "evaluations", "inner_steps", "inner step", "step")
"""What counts whole things on an x-axis."""
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)


class Picture(Figure):
    """A figure that notebooks show by itself; others they show only once pyplot was imported."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()


def figure(width: float = 7.0, height: float = 4.2) -> Figure:
    """Return a new figure, of a size in inches, that renders without a display or global state."""
    picture = Picture(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(picture)
    return picture


def label_axes(axes: Axes, *, x: str, y: str) -> None:
    """Label the axes, and format them with few spines, light grid lines and readable numbers."""
    axes.set_xlabel(readable(x))
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, which="major", color="#d8d8d8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=x in COUNTS, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        if low > 1e-3 and high < 1e4:  # plain numbers are easier to read than powers of ten
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(_MinorTicks() if high / low < 1e2 else NullFormatter())


class _MinorTicks(LogFormatter):
    """Labels 2 and 5 between powers of ten, as plain numbers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if round(x / 10 ** math.floor(math.log10(x) + 1e-9), 6) in (2, 5) else ""


def readable(column: str) -> str:
    """Return the name of a history column as a label."""
    return {"held_out": "held-out"}.get(column, column.replace("_", " "))


def format_count(value: float) -> str:
    """Return the label of a tick, such as 2,000 or 40k or 1.5M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):g}{letter}"
    return f"{value:,g}" if abs(value) >= 1000 else f"{value:g}"


def log_scale_fits(curves: Iterable[Curve]) -> bool:
    """Return whether all finite values are positive and span more than a decade and a half."""
    values = np.concatenate([np.ravel(curve) for curve in curves] or [np.empty(0)])
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() / values.min() > 10**1.5)


def limit_y_axis(axes: Axes, curves: Sequence[Curve], rest: Sequence[Curve] = ()) -> None:
    """Limit the y-axis to all values of ``curves`` and the central 90 % of those of ``rest``.

    Values outside, such as those of a few diverged candidates or of a wide band, are cut off, since the other curves
    would be flat otherwise.
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


def downsample(x: Curve, y: Curve, points: int, reduce: Callable[[Curve], float] | None = None) -> tuple[Curve, Curve]:
    """Downsample a curve to at most ``points`` points, one for each segment; all are equally long but the first.

    Equal lengths keep the noise of a curve the same all along it.

    Args:
        x: ``[G]``.
        y: ``[G]``, with NaN for missing values.
        points: the largest number of points.
        reduce: from the finite values of a segment to one value; by default their median.

    Returns:
        The last x of each segment, and the reduced y; the curve itself if it is short enough.
    """
    if len(x) <= points:
        return x, y
    length = -(-len(x) // points)
    segments = np.split(np.arange(len(x)), np.arange(len(x) % length or length, len(x), length))
    values = [y[segment][np.isfinite(y[segment])] for segment in segments]
    reduced = [(reduce or _median)(value) if value.size else math.nan for value in values]
    return x[[segment[-1] for segment in segments]], np.array(reduced, np.float64)


def mean(values: Curve) -> float:
    """Return the mean, to downsample counts."""
    return float(np.mean(values))


def last(values: Curve) -> float:
    """Return the last value, to downsample a curve that only improves."""
    return float(values[-1])


def _median(values: Curve) -> float:
    return float(np.median(values))
