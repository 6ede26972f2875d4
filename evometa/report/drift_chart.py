"""How the weights of ω moved over the generations, layer by layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.errors import RunDirectoryError
from evometa.report import charts
from evometa.report.blocks import Block, Chart
from evometa.report.charts import PALETTE
from evometa.sharing.run import Run
from evometa.storage.drift import read_drift

MEASURES = ("distance", "norm")
MOST_CURVES = 5
"""Layers that are drawn: those that moved farthest, or where that is not known, those of the largest norm."""


def drift_blocks(run: Run) -> list[Block]:
    """Return the chart of the run's ``drift.csv``; none where there is no such table."""
    try:
        table = read_drift(run.path)
    except RunDirectoryError:
        return []
    if not len(table["generation"]):
        return []
    known = [measure for measure in MEASURES if np.isfinite(table[measure]).any()] or ["norm"]
    layers = [name.removeprefix("norm/") for name in table if name.startswith("norm/")]
    drawn = _foremost(table, known[0], layers)
    traces = []
    for measure in known:
        curves = [("all weights", measure, "solid"), *((name, f"{measure}/{name}", "dot") for name in drawn)]
        for (name, column, dash), color in zip(curves, PALETTE, strict=False):
            place = np.asarray(table["generation"], float)
            line = charts.line(place, table[column], name, color, dash=dash)
            traces.append(line | {"visible": measure == known[0]})
    figure = charts.chart(traces, x="generation", y="Euclidean norm", height=420, updatemenus=_menu(known, len(drawn)))
    figure["layout"]["margin"]["b"] = 100
    caption = "How far the weights have moved from the start of the search (distance), and how large they are (norm)."
    if 0 < len(drawn) < len(layers):
        caption += f" Of {len(layers)} layers, the {len(drawn)} with the largest {known[0]} are drawn."
    return [Chart(figure, caption)]


def _foremost(table: dict[str, NDArray[Any]], measure: str, layers: list[str]) -> list[str]:
    """Return the layers that have the largest values at last; none where the only one is all that there is."""
    if len(layers) < 2:
        return []
    last = {name: float(table[f"{measure}/{name}"][-1]) for name in layers}
    return sorted(layers, key=lambda name: -np.nan_to_num(last[name]))[:MOST_CURVES]


def _menu(known: list[str], layers: int) -> list[dict[str, Any]]:
    """Return buttons for the measures, each with a curve for all weights and one for each layer drawn."""
    buttons = []
    for measure in known:
        visible = [other == measure for other in known for _ in range(1 + layers)]
        change = [{"visible": visible}, {"xaxis.title.text": "generation"}]
        buttons.append({"label": measure, "method": "update", "args": change})
    if len(buttons) < 2:
        return []
    place = {"x": 1, "xanchor": "right", "y": 0, "yanchor": "top", "pad": {"t": 52}}  # below the axis and its label
    return [{"type": "buttons", "direction": "right", "buttons": buttons, **place}]
