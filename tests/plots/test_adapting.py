import numpy as np
import pytest

from evometa import plots
from evometa.errors import ConfigurationError
from evometa.problems import AdaptationCurves


def curves() -> AdaptationCurves:
    x = np.linspace(-5, 5, 11, dtype=np.float32)
    predictions = np.stack([0 * x, 0.5 * x, x])
    return AdaptationCurves(x, x, x[:3], x[:3], (0, 1, 10), predictions, np.array([10.0, 2.5, 0.0], np.float32))


def test_shows_truth_points_and_each_prediction_with_its_error() -> None:
    (axes,) = plots.adaptation(curves()).axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    labels = ["truth", "before (error 10)", "after 1 step (error 2.5)", "after 10 steps (error 0)", "training points"]
    assert list(drawn) == labels
    np.testing.assert_array_equal(drawn["after 1 step (error 2.5)"], curves().predictions[1])
    np.testing.assert_array_equal(drawn["training points"], curves().support_y)


def test_several_tasks_have_a_panel_each() -> None:
    picture = plots.adaptation([curves()] * 4)
    assert [axes.get_visible() for axes in picture.axes] == [True] * 4 + [False] * 2
    assert len(picture.axes[3].lines) == 5


def test_no_curves_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="one or more tasks"):
        plots.adaptation([])
