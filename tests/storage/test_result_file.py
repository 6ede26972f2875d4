"""The result of a run is read without a search: the same numbers, the same ω, the same archive."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import Callback, Result, RunDirectoryError, Search, load_result
from evometa.naming import load
from evometa.problems import ZDT2, SymbolicRegression
from evometa.search import decisions
from evometa.storage import result_file
from evometa.strategies import CMAES, NSGA2, GeneticProgramming, OpenAIES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Errand, Tuned, Waves = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Errand", "Tuned", "Waves"))


def same(one: Result, other: Result) -> None:
    for field in dataclasses.fields(Result):
        before, after = getattr(one, field.name), getattr(other, field.name)
        if field.name == "archive" and before is not None:
            before, after = vars(before), vars(after)
        first, second = jax.tree.flatten(before), jax.tree.flatten(after)
        assert first[1] == second[1], field.name
        for leaf, again in zip(first[0], second[0], strict=True):
            np.testing.assert_array_equal(leaf, again, err_msg=field.name)
            assert np.asarray(leaf).dtype == np.asarray(again).dtype


@pytest.mark.parametrize(
    ("problem", "strategy"),
    [
        (Chase(), RandomSearch(4)),
        (Errand(), RandomSearch(3)),
        (Tuned(), RandomSearch(3)),
        (ZDT2(dimension=3), NSGA2(8)),
        (SymbolicRegression(), GeneticProgramming(8, proposals=1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_is_loaded_as_it_was_returned(problem: Any, strategy: Any, tmp_path: Path) -> None:
    is_loaded(Search(problem, strategy, run_directory=tmp_path / "run", workers=1, progress=False), tmp_path / "run")


def is_loaded(search: Search, folder: Path) -> Result:
    """Run a search, and check that its result is loaded as it is returned."""
    result = search.run(generations=2)
    same(load_result(folder), result)
    numbers = json.loads((folder / "result.json").read_text())
    assert numbers["generations"] == 2
    assert numbers["stop_code"] == "generations"
    return result


class Stops(Callback):
    """Notes what it is told, and reads the result at each checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.events, self.found = folder, [], []

    def start(self, search: Search) -> None:
        self.events.append("start")

    def dispatch(self, report: Any) -> bool:
        self.events.append("dispatch")
        return bool(report.status.generation >= 6)

    def validation(self, report: Any) -> None:
        assert np.isfinite(report.rows["center"]).any()
        self.events.append("validation")

    def checkpoint(self, report: Any) -> None:
        self.events.append("checkpoint")
        self.found.append(load_result(self.folder))

    def end(self, search: Search, result: Result) -> None:
        self.events.append("end")
        self.found.append(result)


def test_checkpoints_leave_a_result_and_callbacks_are_told_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "DISPATCH_SECONDS", 0.0)  # a generation in each dispatch
    stops = Stops(tmp_path / "run")
    options: Any = {"validate_every": 4, "checkpoint_seconds": 0.0, "callbacks": [stops], "progress": False}
    result = Search(Bowl(), CMAES(4), run_directory=tmp_path / "run", **options).run(generations=100)
    each = ["dispatch", "checkpoint"]
    assert stops.events == ["start", *each * 3, "dispatch", "validation", "checkpoint", *each * 2, "end"]
    assert [found.generations for found in stops.found] == [1, 2, 3, 4, 5, 6, 6]
    assert [found.stop_code for found in stops.found] == ["running"] * 5 + ["callback"] * 2
    assert np.isnan(stops.found[2].selected_fitness)  # no final selection yet
    np.testing.assert_array_equal(stops.found[2].selected_omega, stops.found[2].best_omega)
    assert stops.found[4].center_fitness == stops.found[3].center_fitness  # of the newest validation
    assert stops.found[-1] is result


def test_a_callback_that_raises_leaves_a_checkpoint(tmp_path: Path) -> None:
    def fails(report: Any) -> None:
        if report.status.generation >= 3:
            raise OSError("no network")

    search = Search(Bowl(), RandomSearch(4), run_directory=tmp_path / "run", callbacks=[fails], progress=False)
    with pytest.raises(OSError, match="no network"):
        search.run(generations=10**6)
    found = load_result(tmp_path / "run")
    assert found.generations >= 3
    resumed = Search.resume(tmp_path / "run", progress=False).run(generations=found.generations + 1)
    assert resumed.generations == found.generations + 1


def test_what_is_no_result_is_refused_and_a_lost_class_costs_the_structure_alone(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"result\.npz was expected to hold a run's result"):
        load_result(tmp_path)
    folder, problem = tmp_path / "run", Waves(width=4, num_tasks=2, inner_steps=2)
    result = is_loaded(Search(problem, OpenAIES(4), run_directory=folder, progress=False), folder)
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace(":Waves", ":Gone"))
    with pytest.warns(UserWarning, match="ω is given as arrays by path"):
        found = load_result(folder)
    leaves = jax.tree.leaves(result.best_omega)
    assert len(found.best_omega) == len(leaves)
    for leaf, again in zip(leaves, found.best_omega.values(), strict=True):
        np.testing.assert_array_equal(leaf, again)
    assert result_file.numbers(folder) is not None
    assert result_file.numbers(tmp_path) is None
