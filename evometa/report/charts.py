"""Charts as Plotly's JSON; colours of text and lines are those of the page, which knows light and dark."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evometa.plots import style
from evometa.plots.style import BLUE, GREEN, ORANGE, PALETTE, VERMILION, Curve

__all__ = ["BLUE", "GREEN", "ORANGE", "PALETTE", "VERMILION"]

MOST_POINTS = 600
"""Points of a curve; longer ones are downsampled by medians."""


def numbers(values: Any) -> list[float | None]:
    """Return numbers as JSON has them: None where they are not finite."""
    array = np.asarray(values, np.float64)
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in array]


def line(x: Curve, y: Curve, name: str, color: str, *, dash: str = "solid", reduce: Any = None) -> dict[str, Any]:
    """Return a curve; gaps where values are missing are bridged."""
    known = np.isfinite(y)
    mode = "lines+markers" if 0 < known.sum() <= 12 else "lines"
    x, y = style.downsample(x[known], y[known], MOST_POINTS, reduce)
    return {
        "type": "scatter",
        "mode": mode,
        "x": numbers(x),
        "y": numbers(y),
        "name": name,
        "line": {"color": color, "width": 2, "dash": dash},
        "hovertemplate": "%{y:.5g}",
    }


def band(x: Curve, low: Curve, high: Curve, name: str, color: str) -> list[dict[str, Any]]:
    """Return the area between two curves, as the two traces that Plotly needs."""
    known = np.isfinite(low) & np.isfinite(high)
    _, bottom = style.downsample(x[known], low[known], MOST_POINTS)
    x, top = style.downsample(x[known], high[known], MOST_POINTS)
    shared = {"type": "scatter", "mode": "lines", "x": numbers(x), "line": {"width": 0}, "legendgroup": name}
    return [
        shared | {"y": numbers(bottom), "showlegend": False, "hoverinfo": "skip"},
        shared | {"y": numbers(top), "fill": "tonexty", "fillcolor": faded(color), "name": name, "hoverinfo": "skip"},
    ]


def faded(color: str, opacity: float = 0.22) -> str:
    """Return a colour such as ``#0072B2`` with an opacity."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def bars(names: Sequence[str], values: Any, name: str, color: str) -> dict[str, Any]:
    """Return horizontal bars, the first name at the top."""
    return {
        "type": "bar",
        "orientation": "h",
        "x": numbers(values)[::-1],
        "y": list(names)[::-1],
        "name": name,
        "marker": {"color": color},
        "hovertemplate": "%{x:.4g}",
    }


def points(x: Any, y: Any, name: str, color: str, text: Sequence[str] = ()) -> dict[str, Any]:
    """Return points; ``text`` is shown at each."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(x),
        "y": numbers(y),
        "name": name,
        "marker": {"color": color, "size": 7},
        "text": list(text),
        "hovertemplate": "%{text}<br>%{x:.5g}, %{y:.5g}" if text else "%{x:.5g}, %{y:.5g}",
    }


def chart(
    traces: Sequence[Mapping[str, Any]],
    *,
    x: str = "",
    y: str = "",
    log: bool = False,
    height: int = 360,
    **layout: Any,
) -> dict[str, Any]:
    """Return a chart of traces.

    Args:
        traces: what it shows.
        x: the label of the x-axis.
        y: that of the y-axis.
        log: whether the y-axis is logarithmic.
        height: in pixels.
        layout: further parts of Plotly's layout.
    """
    axis = {"automargin": True, "zeroline": False}
    ends = [end for trace in traces for end in (trace.get("x") or [0])[-1:]]
    whole = {"dtick": 1} if x in style.COUNTS and max(ends, default=0) <= 10 else {}  # no half generations
    names = [len(trace["y"]) for trace in traces if trace["type"] == "bar"]
    rows = {"range": [-0.6, max(names) - 0.4]} if names else {}
    usual = {
        "height": height,
        "margin": {"l": 60, "r": 16, "t": 12, "b": 48},
        "xaxis": axis | {"title": {"text": style.readable(x)}} | whole,
        "yaxis": axis | {"title": {"text": y}} | ({"type": "log"} if log else {}) | rows,
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return {"data": [dict(trace) for trace in traces], "layout": usual | layout}
