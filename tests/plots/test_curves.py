import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

import evometa as em
from evometa import plots
from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.problems import Sinusoid
from evometa.storage.history import History
from evometa.storage.manifest import describe_run
from evometa.strategies import PGPE

Made = Callable[..., History]
nan = np.nan


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(found.get_xdata()).tolist(), np.asarray(found.get_ydata()).tolist()


def test_numbers_are_those_of_the_run_directory(made: Made, written: Callable[[History], Path]) -> None:
    run = made([5.0, 3.0, 4.0], held_out=[nan, 3.5, nan], failed=[0, 2, 0])
    curves = plots.fitness_curves(written(run))
    for name in ("best", "lower_quartile", "median", "upper_quartile", "best_so_far", "held_out", "failed"):
        np.testing.assert_array_equal(getattr(curves, name), run[name], err_msg=name)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ("generation", [1, 2, 3]),
        ("evaluations", [10, 20, 30]),
        ("inner_steps", [40, 80, 120]),
        ("seconds", [2.0, 4.0, 6.0]),
    ],
)
def test_x_axis(made: Made, x: plots.curves.X, expected: list[float]) -> None:
    picture = plots.fitness(made([5.0, 3.0, 4.0]), x=x)
    assert line(picture.axes[0], "best")[0] == expected
    assert picture.axes[0].get_xlabel() == x.replace("_", " ")


def test_unknown_x_axis_names_the_nearest(made: Made) -> None:
    with pytest.raises(ConfigurationError, match=r"got 'generations'\. Nearest: generation"):
        plots.fitness(made([1.0]), x="generations")  # type: ignore[arg-type]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"history\.csv .* give the folder of a run"):
        plots.fitness(tmp_path)


@pytest.mark.parametrize(
    ("best", "scale"),
    [
        ([100.0, 10.0, 1.0], "log"),
        ([10.0, 9.0, 8.0], "linear"),  # no span
        ([100.0, 1.0, -1.0], "linear"),  # no logarithm
        ([100.0, 1.0, 0.0], "linear"),
    ],
)
def test_logarithmic_axis_over_several_decades(made: Made, best: list[float], scale: str) -> None:
    assert plots.fitness(made(best)).axes[0].get_yscale() == scale


@pytest.mark.parametrize(("sign", "word"), [(1, "smaller"), (-1, "larger")])
def test_says_which_fitness_is_better(made: Made, sign: int, word: str) -> None:
    run = made([1.0, 2.0], median=np.array([1.0, 2.0]) + sign)
    assert plots.fitness(run).axes[0].get_ylabel() == f"fitness ({word} is better)"


def test_held_out_joins_the_validated_generations_alone(made: Made) -> None:
    axes = plots.fitness(made([1.0, 2, 3, 4], held_out=[nan, 7, nan, 9])).axes[0]
    assert line(axes, "held-out") == ([2, 4], [7, 9])
    assert "center" not in axes.get_legend_handles_labels()[1]


def test_generations_in_which_all_failed_are_gaps_and_counted_below(made: Made) -> None:
    run = made([3.0, nan, 1.0], best_so_far=[3, 3, 1], failed=[0, 10, 0])
    above, below = plots.fitness(run).axes
    np.testing.assert_array_equal(line(above, "best")[1], [3, nan, 1])
    assert below.get_ylabel() == "failed"
    assert below.dataLim.ymax == 10


def test_a_run_without_finite_fitness_has_a_note(made: Made) -> None:
    axes = plots.fitness(made([nan, nan], best_so_far=[nan, nan], failed=[10, 10])).axes[0]
    assert [text.get_text() for text in axes.texts] == ["no finite fitness"]


def test_one_generation_is_visible(made: Made) -> None:
    axes = plots.fitness(made([1.0])).axes[0]
    assert {drawn.get_marker() for drawn in axes.lines} == {"o"}


def test_diverged_candidates_do_not_flatten_the_curves(made: Made) -> None:
    upper = np.full(200, 3.0)
    upper[:3] = 1e30
    low, high = (
        plots.fitness(made(np.full(200, 1.0), median=np.full(200, 2.0), upper_quartile=upper)).axes[0].get_ylim()
    )
    assert low < 1
    assert 3 < high < 4


def test_long_runs_are_downsampled_without_losing_the_best_or_a_failure(made: Made) -> None:
    best = np.linspace(2, 1, 5000)
    failed = np.zeros(5000)
    failed[1234] = 5
    picture = plots.draw_fitness(plots.fitness_curves(made(best, failed=failed)), points=50)
    x, y = line(picture.axes[0], "best so far")
    assert len(x) == 50
    assert (x[-1], y[-1]) == (5000, 1.0)
    assert picture.axes[1].dataLim.ymax == pytest.approx(5 / 100)


def test_nothing_is_left_in_global_state(made: Made, tmp_path: Path) -> None:
    plots.fitness(made([1.0, 2.0])).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def test_noise_looks_the_same_all_along_a_long_run(made: Made) -> None:
    noise = np.random.default_rng(0).normal(size=9001)
    numbers = plots.fitness_curves(made(noise))
    for points in (600, 8000, 9000):
        y = np.array(line(plots.draw_fitness(numbers, points=points).axes[0], "best")[1])
        first, last = y[1 : len(y) // 3].std(), y[-len(y) // 3 :].std()
        assert first == pytest.approx(last, rel=0.15)
        assert len(y) <= points


def test_a_run_directory_gives_title_and_direction_and_hides_the_luckiest(
    made: Made, written: Callable[[History], Path]
) -> None:
    folder = written(made([3.0, 2.0], median=[2.0, 1.0]))  # as if a larger fitness were better
    options = {"validation_tasks": 256, "validation_share": 0.25}
    (folder / "manifest.json").write_text(json.dumps(describe_run(Sinusoid(), PGPE(8), 7, options)._asdict()))
    numbers = dict.fromkeys([field.name for field in dataclasses.fields(em.Result)], 0) | {"direction": "minimize"}
    (folder / "result.json").write_text(json.dumps(numbers))
    axes = plots.fitness(folder).axes[0]
    assert axes.get_title(loc="left") == "Sinusoid, PGPE, seed 7"
    assert axes.get_ylabel() == "fitness (smaller is better)"
    assert "best so far" not in axes.get_legend_handles_labels()[1]
    compared = plots.comparison({"one": folder})
    assert (compared.better, compared.quantity) == ("smaller", "best_so_far")


def test_a_run_without_a_generation_is_one_sentence(made: Made, written: Callable[[History], Path]) -> None:
    folder = written(made([3.0]))
    for name in ("history.csv", "timing.csv"):
        (folder / name).write_text((folder / name).read_text().split("\n")[0] + "\n")
    with pytest.raises(RunDirectoryError, match=r"at least one generation, and .* has none yet; wait for"):
        plots.fitness(folder)
    (folder / "history.csv").unlink()
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(RunDirectoryError, match="at least one generation"):
        plots.compare({"begun": folder})
