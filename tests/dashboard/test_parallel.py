"""Parallel coordinates as lines hold every candidate, in the place that its settings have."""

import math

import numpy as np

from evometa.dashboard.parallel import without_webgl
from evometa.report.blocks import Chart, Text


def test_each_candidate_is_a_line_over_the_axes() -> None:
    rng = np.random.default_rng(0)
    ranks = rng.permutation(np.linspace(0.0, 1.0, 30))
    x = rng.uniform(2.0, 4.0, 30)
    options = rng.integers(0, 2, 30)
    dimensions = [
        {"label": "x", "values": x.tolist()},
        {"label": "kind", "values": options.tolist(), "tickvals": [0, 1, 2], "ticktext": ["a", "b", "never chosen"]},
        {"label": "same", "values": [3.0] * 30},
    ]
    lines = {"type": "parcoords", "line": {"color": ranks.tolist()}, "dimensions": dimensions}
    block = without_webgl(Chart({"data": [lines], "layout": {"height": 400}}))
    assert isinstance(block, Chart)
    drawn = [
        trace["y"][start : start + 3]
        for trace in block.figure["data"]
        for start in range(0, len(trace["y"]), 4)
        if math.isclose(trace["x"][start], 0.0) and trace["y"][start + 3] is None
    ]
    expected = np.stack([(x - x.min()) / np.ptp(x), options / 2, np.zeros(30)], axis=1)
    np.testing.assert_allclose(sorted(map(tuple, drawn)), sorted(map(tuple, expected)), atol=1e-6)
    colors = [trace["line"]["color"] for trace in block.figure["data"]]
    assert (colors[0], colors[-1]) == ("#440154", "#fde725")  # the ends of Viridis
    texts = [label["text"] for label in block.figure["layout"]["annotations"]]
    assert {"x", "kind", "same", "never chosen", "3"} <= set(texts)
    assert without_webgl(Text("other")) == Text("other")
