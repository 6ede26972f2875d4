"""Plot of values over inner steps: curves, bands of repetitions, and errors."""

import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.plots import over_steps


def test_draws_each_curve_and_the_band_of_repetitions() -> None:
    repeated = np.array([[1.0, 0.5, 0.01], [3.0, 0.7, 0.03], [2.0, 0.6, 0.02]])
    axes = over_steps({"one": [0.1, 0.2], "three": repeated}, y="loss", title="both").axes[0]
    one, three = axes.get_lines()
    np.testing.assert_array_equal(one.get_xydata(), [[1, 0.1], [2, 0.2]])
    np.testing.assert_array_equal(three.get_xydata(), [[1, 2.0], [2, 0.6], [3, 0.02]])
    (band,) = axes.collections
    heights = {tuple(point) for point in band.get_paths()[0].vertices}
    assert {(1.0, 1.0), (1.0, 3.0), (3.0, 0.01), (3.0, 0.03)} <= heights
    assert (axes.get_yscale(), axes.get_ylabel(), axes.get_title()) == ("log", "loss", "both")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "three"]


@pytest.mark.parametrize("curves", [{}, {"none": []}, {"cube": np.zeros((2, 2, 2))}])
def test_values_of_wrong_shapes_are_refused(curves: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigurationError, match=r"over_steps expects values \[S\] or \[R, S\]"):
        over_steps(curves, y="loss")


def test_values_of_given_steps() -> None:
    axes = over_steps({"one": [3, 2]}, steps=[10, 20], y="loss").axes[0]
    np.testing.assert_array_equal(axes.get_lines()[0].get_xydata(), [[10, 3], [20, 2]])
    assert axes.get_yscale() == "linear"
    few = over_steps({"one": [3, 2, 1]}, y="loss").axes[0]
    assert all(tick == round(tick) for tick in few.get_xticks())
    with pytest.raises(ConfigurationError, match="as many values in each curve as there are steps, got 2"):
        over_steps({"one": [3, 2, 1]}, steps=[10, 20], y="loss")
