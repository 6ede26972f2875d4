import numpy as np
import pytest
from matplotlib.colors import to_rgba

from evometa import plots
from evometa.errors import ConfigurationError
from evometa.plots import style

IMAGES = np.arange(3 * 2 * 4 * 4, dtype=np.float32).reshape(3, 2, 4, 4)


def test_frames_and_insets_show_correct_and_wrong_predictions() -> None:
    picture = plots.episode(IMAGES, IMAGES[:, :1] + 100, [[0], [2], [2]])
    assert "2 of 3 queries" in picture.get_suptitle()
    example, query = picture.axes[0:3], picture.axes[3:6]
    for number in range(3):
        np.testing.assert_array_equal(example[number].images[0].get_array(), IMAGES[number, 0])
        np.testing.assert_array_equal(query[number].images[0].get_array(), IMAGES[number, 0] + 100)
    colours = [axes.spines["left"].get_edgecolor() for axes in query]
    assert colours == [to_rgba(c) for c in (style.GREEN, style.VERMILION, style.GREEN)]
    ((taken,), none) = query[1].child_axes, query[0].child_axes
    np.testing.assert_array_equal(taken.images[0].get_array(), IMAGES[2, 0])
    assert none == []


def test_draws_no_more_classes_than_asked_for() -> None:
    picture = plots.episode(IMAGES, IMAGES, [[0, 0], [1, 1], [2, 1]], most=2)
    assert len(picture.axes) == 2 * (1 + 2)
    assert "5 of 6 queries" in picture.get_suptitle()


@pytest.mark.parametrize("predicted", [[[0], [1]], [[0], [1], [3]], [0, 1, 2]])
def test_shapes_that_do_not_fit_are_refused(predicted: list[list[int]]) -> None:
    with pytest.raises(ConfigurationError, match=r"episode expects support \[ways, shots, H, W\]"):
        plots.episode(IMAGES, IMAGES[:, :1], predicted)
