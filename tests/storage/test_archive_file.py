"""The archive file: every part is read back, without pickle, and only from the same run."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Dict, Evaluation, Integer, Problem, Search
from evometa.cli.main import main
from evometa.errors import IgnoredFeedbackWarning, RunDirectoryError
from evometa.problems import ZDT1
from evometa.storage import archive_file
from evometa.storage.result import Archive
from evometa.strategies import CMAES, NSGA2

QUIET: dict[str, Any] = {"progress": False, "devices": 1}


@dataclasses.dataclass(frozen=True)
class Mixed(Problem):
    """Two objectives and a measure on a mixed space."""

    objective_names = ("error", "price")

    @property
    def space(self) -> Dict:
        return Dict({"x": Box((2,), 0.0, 1.0, dtype=jnp.bfloat16), "n": Integer(0, 3)})

    def evaluate(self, key: Any, omega: Any) -> Evaluation:
        x = omega["x"].astype(float)
        objectives = jnp.stack([x[0], 1 - x[0] + x[1]])
        return Evaluation(objectives[1], objectives=objectives, measures=x[:1], constraints=jnp.array([-1.0]))


def test_every_part_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kept = Archive(rng.random((3, 2)), rng.random((3, 2)), rng.random(3), None, rng.random((3, 1)), rng.random((3, 2)))
    archive_file.write(tmp_path, kept)
    again = archive_file.read(tmp_path)
    for field in dataclasses.fields(Archive):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(kept, field.name))
    assert again.objectives is None
    with np.load(tmp_path / "archive.npz", allow_pickle=False) as file:
        assert set(file) == {"schema_version", "omegas", "genotypes", "fitness", "constraints", "measures"}


@pytest.mark.filterwarnings("ignore::evometa.IgnoredFeedbackWarning")  # the measures
def test_pytrees_are_read_as_dicts_by_path(tmp_path: Path) -> None:
    result = Search(Mixed(), NSGA2(6), run_directory=tmp_path / "run", **QUIET).run(generations=3)
    kept = archive_file.read(tmp_path / "run")
    assert result.archive is not None
    assert sorted(kept.omegas) == ["['n']", "['x']"]
    np.testing.assert_array_equal(kept.omegas["['n']"], result.archive.omegas["n"])
    assert kept.omegas["['x']"].dtype == np.float32
    np.testing.assert_array_equal(kept.omegas["['x']"], result.archive.omegas["x"].astype(np.float32))
    np.testing.assert_array_equal(kept.objectives, result.archive.objectives)
    assert kept.objective_names == ("error", "price")


def test_a_run_without_an_archive_removes_the_file_of_an_earlier_one(tmp_path: Path) -> None:
    Search(ZDT1(dimension=3), NSGA2(4), run_directory=tmp_path / "run", **QUIET).run(generations=1)
    assert (tmp_path / "run" / "archive.npz").exists()
    with pytest.warns(IgnoredFeedbackWarning, match="CMAES makes no use of the objectives"):
        plain = Search(ZDT1(dimension=3), CMAES(4), run_directory=tmp_path / "run", overwrite=True, **QUIET)
    plain.run(generations=1)
    with pytest.raises(RunDirectoryError, match=r"archive\.npz was expected to hold the archive of a run"):
        archive_file.read(tmp_path / "run")


def test_another_schema_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "archive.npz", schema_version=np.array(9))
    with pytest.raises(RunDirectoryError, match="has schema version 9, and this version of evometa reads 1"):
        archive_file.read(tmp_path)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    kept = Archive(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1), None, None, None)
    with pytest.raises(RunDirectoryError, match=r"Could not write .*archive\.npz: .*; the run's history and check"):
        archive_file.write(tmp_path / "gone", kept)


def test_the_command_line_plots_the_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--population-chunk", "4", "--devices", "1", "--progress", "False", "--generations", "2"]
    assert main(["run", "zdt1", "--strategy", "nsga2", "--population-size", "4", "--run-directory", "a", *quick]) == 0
    line = ["run", "linear-projection", "--strategy", "map-elites", "--population-size", "4", "--run-directory", "b"]
    assert main([*line, *quick]) == 0
    capsys.readouterr()
    assert main(["plot", "a"]) == 0
    assert main(["plot", "b", "--output", "picture.svg"]) == 0
    expected = ["a/fitness.png", "a/strategy.png", "a/front.png", "picture.svg"]
    expected += ["picture-strategy.svg", "picture-archive.svg"]
    assert capsys.readouterr().out.split() == expected
    assert all(Path(name).stat().st_size > 1000 for name in expected)
