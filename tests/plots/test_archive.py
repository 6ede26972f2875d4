from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import Search, plots
from evometa.errors import ConfigurationError
from evometa.problems import LinearProjection
from evometa.storage.result import Archive
from evometa.strategies import MAPElites

nan = np.nan
RANGE: dict[str, Any] = {"cells": (2, 3), "low": (0.0, 0.0), "high": (1.0, 3.0)}


def kept(measures: Any, fitness: Any) -> Archive:
    count = len(fitness)
    return Archive(
        np.zeros((count, 1)), np.zeros((count, 1)), np.asarray(fitness, float), None, None, np.asarray(measures)
    )


def test_a_map_computed_by_hand() -> None:
    numbers = plots.archive_map(kept([[0.0, 0.5], [0.6, 1.0], [9.0, 9.0]], [1.0, 2.0, 3.0]), **RANGE)
    np.testing.assert_array_equal(numbers.fitness, [[1, nan, nan], [nan, 2, 3]])
    assert (numbers.elites, numbers.coverage) == (3, 0.5)
    np.testing.assert_array_equal(numbers.edges[1], [0, 1, 2, 3])


def test_the_cells_of_a_run_are_those_of_its_strategy(tmp_path: Path) -> None:
    strategy = MAPElites(40, cells=(7, 5), iso_sigma=0.3)
    search = Search(LinearProjection(2), strategy, run_directory=tmp_path / "run", progress=False, devices=1)
    result = search.run(generations=20)
    assert result.archive is not None
    numbers = plots.archive_map(tmp_path / "run")
    # One elite a cell: as many filled cells as candidates, and all their fitness.
    assert np.isfinite(numbers.fitness).sum() == numbers.elites == len(result.archive.fitness)
    assert numbers.coverage == pytest.approx(search.history["strategy/coverage"][-1])
    assert np.nansum(numbers.fitness) == pytest.approx(result.archive.fitness.sum(), rel=1e-5)


def test_two_measures_are_a_map_and_one_is_a_curve() -> None:
    axes, bar = plots.archive(kept([[0.0, 0.5], [0.6, 1.0]], [1.0, 2.0]), **RANGE).axes
    (mesh,) = axes.collections
    values = np.ma.filled(mesh.get_array(), nan)
    np.testing.assert_array_equal(values, [[1, nan], [nan, 2], [nan, nan]])
    assert bar.get_ylabel() == "fitness"
    assert axes.get_title(loc="left") == "2 candidates, 33.3% of the cells"
    (curve,) = plots.archive(kept([[0.1], [0.9]], [1.0, 2.0]), cells=[2], low=[0.0], high=[1.0]).axes
    assert curve.get_ylabel() == "fitness"
    np.testing.assert_array_equal(curve.patches[0].get_data().values, [1, 2])  # type: ignore[attr-defined]


def test_more_measures_are_averaged() -> None:
    numbers = plots.archive_map(
        kept([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [1.0, 4.0]), cells=(2, 2, 2), low=(0.0,) * 3, high=(1.0,) * 3
    )
    np.testing.assert_array_equal(numbers.fitness, [[2.5, nan], [nan, nan]])
    assert numbers.coverage == 0.25


def test_without_a_range_it_is_that_of_the_candidates() -> None:
    numbers = plots.archive_map(kept([[2.0, 5.0], [4.0, 9.0]], [1.0, 2.0]))
    assert [edge[[0, -1]].tolist() for edge in numbers.edges] == [[2, 4], [5, 9]]
    assert numbers.fitness.shape == (50, 50)
    assert (numbers.fitness[0, 0], numbers.fitness[-1, -1]) == (1, 2)


def test_an_empty_archive_is_an_empty_map() -> None:
    numbers = plots.archive_map(kept(np.zeros((0, 2)), []), **RANGE)
    assert (numbers.elites, numbers.coverage) == (0, 0)
    assert len(plots.draw_archive(numbers).axes) == 1


def test_runs_without_measures_and_wrong_cells_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="expects a run with measures, and this one has none"):
        plots.archive(Archive(None, None, np.zeros(1), None, None, None))
    with pytest.raises(ConfigurationError, match=r"cells to have a number for each of the 2 measures, got \(4,\)"):
        plots.archive(kept([[0.0, 0.5]], [1.0]), cells=(4,))
