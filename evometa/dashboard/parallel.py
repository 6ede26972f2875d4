"""Parallel coordinates as plain lines.

Plotly draws its own by WebGL with code that it makes at run time, which the dashboard's content security policy
forbids, as it does all code that is not a file of the dashboard.
"""

import dataclasses
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from evometa.report import charts
from evometa.report.blocks import Block, Chart

COLORS = 12
"""Colours of the lines, from the worst rank to the best."""
TICKS = 4


def without_webgl(block: Block) -> Block:
    """Return a block of a page; parallel coordinates are made plain lines."""
    if not isinstance(block, Chart) or block.figure["data"][0]["type"] != "parcoords":
        return block
    lines = block.figure["data"][0]
    dimensions = lines["dimensions"]
    scaled = np.stack([_scaled(dimension) for dimension in dimensions])
    ranks = np.asarray(lines["line"]["color"], float)
    bins = np.minimum((ranks * COLORS).astype(int), COLORS - 1)
    palette = matplotlib.colormaps["viridis"](np.linspace(0.0, 1.0, COLORS))
    traces = [_lines(scaled[:, bins == number], to_hex(palette[number])) for number in np.unique(bins)]
    labels = [label for place, dimension in enumerate(dimensions) for label in _labels(place, dimension)]
    rules = [
        {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "line": {"color": "#808080", "width": 1}}
        for place in range(len(dimensions))
    ]
    hidden = {"visible": False, "fixedrange": True}
    layout = {
        "height": block.figure["layout"]["height"],
        "margin": {"l": 16, "r": 16, "t": 72, "b": 16},
        "xaxis": hidden | {"range": [-0.2, len(dimensions) - 0.5]},
        "yaxis": hidden | {"range": [-0.04, 1.04]},
        "showlegend": False,
        "annotations": labels,
        "shapes": rules,
    }
    return dataclasses.replace(
        block, figure={"data": traces, "layout": layout}, caption="Candidates by their settings, the best in yellow."
    )


def _ends(dimension: dict[str, Any]) -> tuple[float, float]:
    """Return the lowest and highest value on an axis."""
    values = [*dimension["values"], *dimension.get("tickvals", ())]
    return min(values), max(values)


def _scaled(dimension: dict[str, Any]) -> NDArray[np.float64]:
    low, high = _ends(dimension)
    return (np.asarray(dimension["values"], float) - low) / ((high - low) or 1.0)


def _lines(heights: NDArray[np.float64], color: str) -> dict[str, Any]:
    """Return lines over the axes, ``[axes, N]``, as one trace; the gap after each is a place without a value."""
    axes, count = heights.shape
    gapped = np.vstack([heights, np.full((1, count), np.nan)])
    x = np.tile(np.append(np.arange(axes, dtype=float), np.nan), count)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": charts.numbers(x),
        "y": charts.numbers(gapped.T.ravel()),
        "line": {"color": color, "width": 1},
        "opacity": 0.7,
        "hoverinfo": "skip",
    }


def _labels(place: int, dimension: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the name of an axis above it, and values beside it."""
    low, high = _ends(dimension)
    few = sorted(set(dimension["values"]))
    values = dimension.get("tickvals") or (few if len(few) <= 6 else np.linspace(low, high, TICKS).tolist())
    texts = dimension.get("ticktext") or [f"{value:.3g}" for value in values]
    ticks = [
        {"x": place, "y": (value - low) / ((high - low) or 1.0), "text": text, "xanchor": "left", "xshift": 3}
        for value, text in zip(values, texts, strict=True)
    ]
    name = {"x": place, "y": 1, "text": dimension["label"], "textangle": -20, "xanchor": "left", "yanchor": "bottom"}
    return [{"showarrow": False, "font": {"size": 11}} | label for label in (*ticks, name | {"yshift": 6})]
