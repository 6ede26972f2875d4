from collections.abc import Callable

import numpy as np
import pytest

from evometa import plots
from evometa.errors import ConfigurationError
from evometa.storage.history import History

Made = Callable[..., History]
nan = np.nan


def test_student_interval_of_the_mean(made: Made) -> None:
    runs = [made([5.0, value]) for value in (1.0, 2.0, 3.0)]
    (group,) = plots.comparison({"three": runs}, quantity="best").groups
    # Half the width is t(0.975, 2) · s / √n = 4.30265 · 1 / √3.
    assert [group.lower[-1], group.mean[-1], group.upper[-1]] == pytest.approx([2 - 2.48414, 2, 2 + 2.48414], rel=1e-5)
    assert [group.lower[0], group.upper[0]] == [5, 5]


def test_on_a_logarithmic_scale_the_mean_is_geometric_and_the_band_positive(made: Made) -> None:
    runs = [made([100.0, 1.0]), made([100.0, 0.01])]
    numbers = plots.comparison({"two": runs}, quantity="best")
    (group,) = numbers.groups
    assert numbers.log
    assert group.mean[-1] == pytest.approx(0.1)
    assert 0 < group.lower[-1] < 1e-10
    assert plots.compare({"two": runs}, quantity="best").axes[0].get_yscale() == "log"


def test_a_single_run_has_no_band(made: Made) -> None:
    (group,) = plots.comparison({"one": made([3.0, 2.0])}).groups
    assert np.isnan(group.lower).all()
    np.testing.assert_array_equal(group.mean[[0, -1]], [3, 2])
    assert len(plots.compare({"one": made([3.0, 2.0])}).axes[0].collections) == 0


def test_runs_are_compared_over_their_common_range(made: Made) -> None:
    long = made([5.0, 4, 3, 2], held_out=[nan, 4, nan, 2])
    short = made([6.0, 5, 4], held_out=[6, nan, 4])
    (group,) = plots.comparison({"both": [long, short]}, quantity="held_out", x="evaluations", points=3).groups
    np.testing.assert_array_equal(group.position, [20, 25, 30])
    np.testing.assert_allclose(group.values, [[4, 3.5, 3], [5, 4.5, 4]])


def test_held_out_is_compared_when_all_runs_have_it(made: Made) -> None:
    with_test, without = made([2.0, 1.0], held_out=[2, 2]), made([2.0, 1.0])
    assert plots.comparison({"a": with_test}).quantity == "held_out"
    assert plots.comparison({"a": with_test, "b": without}).quantity == "best_so_far"


def test_two_seeds_with_a_wide_band_keep_their_curves_readable(made: Made) -> None:
    axes = plots.compare({"two": [made([2.0, 1.0]), made([2.2, 1.4])]}).axes[0]
    low, high = axes.get_ylim()
    assert 0.9 < low < 1.0
    assert 2.2 < high < 2.3
    assert axes.get_legend_handles_labels()[1] == ["two (2 runs)"]
    assert len(axes.collections) == 0  # the band would be 13 standard errors wide to each side
    assert axes.get_title(loc="left") == "mean, single runs"
    three = plots.compare({"three": [made([2.0, 1.0]), made([2.2, 1.4]), made([2.2, 1.5])]}).axes[0]
    assert len(three.collections) == 1
    assert three.get_title(loc="left") == "mean, 95 % confidence, single runs"


def test_long_labels_are_below_the_axes_and_within_the_picture(made: Made) -> None:
    labels = [f"cmaes population_size={i} {'setting=0.123456 ' * 8}" for i in range(4)]
    picture = plots.compare({label: made([2.0, 1.0]) for label in labels})
    picture.canvas.draw()
    (legend,) = picture.legends
    frame, axes = legend.get_window_extent(), picture.axes[0].get_window_extent()
    assert picture.axes[0].get_legend() is None
    assert frame.y1 < axes.y0
    assert frame.x0 >= 0
    assert frame.y0 >= 0
    assert frame.x1 <= picture.bbox.x1


def test_bad_input_is_refused(made: Made) -> None:
    with pytest.raises(ConfigurationError, match="one or more runs under each label"):
        plots.compare({"none": []})
    with pytest.raises(ConfigurationError, match="0 < confidence < 1"):
        plots.compare({"a": made([1.0])}, confidence=95)
    with pytest.raises(ConfigurationError, match=r"a run of 'a' has none\. Nearest: .*median"):
        plots.compare({"a": made([1.0])}, quantity="medium")
    early, late = made([1.0, 1.0], held_out=[1, nan]), made([1.0, 1.0], held_out=[nan, 1])
    with pytest.raises(ConfigurationError, match="those of 'a' do not; give them labels of their own"):
        plots.compare({"a": [early, late]}, quantity="held_out")
