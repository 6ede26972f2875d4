import dataclasses
from pathlib import Path

import numpy as np
import pytest

from evometa import plots
from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.storage import archive_file
from evometa.storage.result import Archive


def kept(objectives: object) -> Archive:
    points = None if objectives is None else np.asarray(objectives, np.float32)
    count = 0 if points is None else len(points)
    return Archive(np.zeros((count, 1)), np.zeros((count, 1)), np.zeros(count), points, None, None)


def test_numbers_are_those_of_the_run_directory_in_order(tmp_path: Path) -> None:
    archive_file.write(tmp_path, kept([[3.0, 1.0], [1.0, 2.0], [1.0, 1.5]]))
    numbers = plots.pareto_fronts(tmp_path, truth=[[0.0, 1.0]])
    assert numbers.fronts[0].points.tolist() == [[1.0, 1.5], [1.0, 2.0], [3.0, 1.0]]
    assert numbers.truth is not None
    assert numbers.truth.tolist() == [[0.0, 1.0]]


def test_two_objectives_are_one_panel_with_every_run_and_the_truth() -> None:
    picture = plots.pareto({"a": kept([[1.0, 2.0]]), "b": kept([[2.0, 1.0], [0.0, 3.0]])}, truth=[[0.0, 0.0]])
    (axes,) = picture.axes
    drawn = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    assert drawn == {"true front": [[0, 0]], "a": [[1, 2]], "b": [[0, 3], [2, 1]]}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["true front", "a", "b"]  # type: ignore[union-attr]


def test_axes_have_the_names_of_objectives_if_all_runs_agree() -> None:
    named = kept([[1.0, 2.0]])
    for names in (("error", "size"), ("loss", "size")):
        named = dataclasses.replace(named, objective_names=names)
        (axes,) = plots.pareto(named).axes
        assert (axes.get_xlabel(), axes.get_ylabel()) == names
    (axes,) = plots.pareto({"a": named, "b": dataclasses.replace(named, objective_names=("error", "size"))}).axes
    assert axes.get_xlabel() == "objective 1"


def test_an_objective_over_decades_has_a_logarithmic_axis() -> None:
    (axes,) = plots.pareto(kept([[1e-6, 30.0], [1e-2, 3.0]])).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    (axes,) = plots.pareto(kept([[1e-6, 30.0], [1e-2, 3.0]]), truth=[[0.0, 1.0]]).axes
    assert axes.get_xscale() == "linear"


def test_three_objectives_are_a_panel_for_each_pair() -> None:
    picture = plots.pareto(kept([[1.0, 2.0, 3.0]]))
    assert [(axes.get_xlabel()[-1], axes.get_ylabel()[-1]) for axes in picture.axes] == [
        ("1", "2"),
        ("1", "3"),
        ("2", "3"),
    ]
    assert [np.asarray(axes.lines[0].get_xydata()).tolist() for axes in picture.axes] == [[[1, 2]], [[1, 3]], [[2, 3]]]
    assert picture.axes[0].get_legend() is None


def test_four_objectives_are_lines_across_parallel_axes() -> None:
    (axes,) = plots.pareto(kept([[1.0, 0.0, 3.0, 5.0], [2.0, 10.0, 3.0, 4.0]])).axes
    assert [np.asarray(line.get_ydata()).tolist() for line in axes.lines] == [[0, 0, 0, 1], [1, 1, 0, 0]]
    assert axes.get_xticklabels()[1].get_text() == "objective 2\n0 to 10"


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_a_front_without_candidates_has_a_note(objectives: int) -> None:
    axes = plots.pareto(kept(np.zeros((0, objectives)))).axes[0]
    assert [text.get_text() for text in axes.texts] == ["no feasible candidate"]


def test_runs_without_objectives_and_unequal_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expects runs with objectives, and 'found' has none"):
        plots.pareto(kept(None))
    with pytest.raises(ConfigurationError, match=r"the same number of objectives, got \[2, 3\]"):
        plots.pareto({"a": kept([[1.0, 2.0]]), "b": kept([[1.0, 2.0, 3.0]])})
    with pytest.raises(ConfigurationError, match="got none"):
        plots.pareto({})
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        plots.pareto(tmp_path)
