"""A run directory belongs to one run and one writer, and says in words what is wrong with it."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evometa import ConfigurationError, RunDirectoryError, Search
from evometa.naming import load
from evometa.storage.run_directory import RunDirectory, read_manifest
from evometa.strategies import OpenAIES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Walk = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Walk"))


def search(folder: Path, **options: Any) -> Search:
    return Search(Bowl(dimension=3), Walk(), run_directory=folder, validation_tasks=2, **options)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of three generations."""
    search(tmp_path / "run").run(generations=3)
    return tmp_path / "run"


def test_the_manifest_says_what_was_run(tmp_path: Path) -> None:
    search(tmp_path / "a" / "b", seed=5, validate_every=7)
    manifest = read_manifest(tmp_path / "a" / "b")
    assert manifest.problem == {"type": f"{TOYS}:Bowl", "fields": {"dimension": 3, "noise": 0.0}}
    assert manifest.strategy["fields"] == {"population_size": 4, "patience": 10**9}
    assert (manifest.seed, manifest.options["validate_every"]) == (5, 7)
    assert set(manifest.sources) == {f"{TOYS}:Bowl", f"{TOYS}:Walk"}
    assert {"evometa", "jax", "orbax-checkpoint"} <= set(manifest.versions)
    resumed = Search.resume(tmp_path / "a" / "b")
    assert (resumed.problem, resumed.strategy, resumed.seed) == (Bowl(dimension=3), Walk(), 5)


def test_a_run_is_never_overwritten_unasked(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunDirectoryError, match="exists already and is never overwritten silently; resume it"):
        search(run)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_is_overwritten_when_told(run: Path) -> None:
    again = search(run, seed=9, overwrite=True)
    assert again.run(generations=1).generations == 1
    assert len(again.history) == 1
    assert read_manifest(run).seed == 9


def test_nothing_but_a_run_is_ever_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    for overwrite in (False, True):
        with pytest.raises(RunDirectoryError):
            search(tmp_path, overwrite=overwrite)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RunDirectoryError):
        search(file)
    assert (tmp_path / "thesis.tex").read_text() == "ten years of work"


def test_an_empty_folder_or_one_left_before_the_manifest_is_new(tmp_path: Path) -> None:
    for name in ("empty", "killed"):
        (tmp_path / name).mkdir()
    (tmp_path / "killed" / ".lock").touch()
    (tmp_path / "killed" / ".manifest.json.x1y2").write_text("{")
    for name in ("empty", "killed"):
        assert search(tmp_path / name).run(generations=1).generations == 1


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    for content in (None, "{", "[]", '{"seed": 3}'):
        if content is not None:
            (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(RunDirectoryError, match=r"a run directory with a readable manifest.json"):
            Search.resume(tmp_path)


def edit(run: Path, **changes: Any) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | changes))


def test_a_manifest_of_another_schema_names_the_version_that_wrote_it(run: Path) -> None:
    edit(run, schema_version=99, versions={"evometa": "9.9"})
    for start in (lambda: Search.resume(run), lambda: search(run, overwrite=True)):
        with pytest.raises(RunDirectoryError, match=r"schema version 99, .* reads 1; use the version .* evometa 9.9"):
            start()


def test_a_class_that_is_gone_is_named_with_its_neighbours(run: Path) -> None:
    edit(run, problem={"type": f"{TOYS}:Bowlll", "fields": {}})
    with pytest.raises(ConfigurationError, match=r"it has no Bowlll\. Nearest: Bowl"):
        Search.resume(run)
    edit(run, problem={"type": f"{TOYS}:Bowl", "fields": {"dimension": 3, "noise": 0.0, "depth": 1}})
    with pytest.raises(ConfigurationError, match="has no field depth"):
        Search.resume(run)


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    shutil.copy(TOYS, file)
    problem = load(f"{file}:Bowl")(dimension=3)
    Search(problem, Walk(), run_directory=tmp_path / "run", validation_tasks=2).run(generations=2)
    file.write_text(file.read_text() + "\n# a thought\n")
    with pytest.warns(UserWarning, match=re.escape(f"{file} has changed since the run began")):
        resumed = Search.resume(tmp_path / "run")
    assert resumed.run(generations=3).generations == 3


def test_another_problem_or_strategy_does_not_fit_the_checkpoint(run: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r".strategy.position of shape \(5,\) .* found .* of shape \(3,\)"):
        Search.resume(run, problem=Bowl(dimension=5)).run(generations=4)
    with pytest.raises(RunDirectoryError, match="holds another state than this problem and strategy make"):
        Search.resume(run, strategy=OpenAIES(population_size=4)).run(generations=4)
    assert Search.resume(run).run(generations=4).generations == 4  # and nothing was harmed


def test_what_the_results_depend_on_cannot_be_changed_on_resume(run: Path) -> None:
    for option in ({"seed": 1}, {"validate_every": 5}, {"overwrite": True}):
        with pytest.raises(ConfigurationError, match=rf"Search.resume keeps the run's own {next(iter(option))}"):
            Search.resume(run, **option)


def test_one_process_at_a_time_writes(run: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from evometa.storage.run_directory import RunDirectory;"
        "held = RunDirectory(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for start in (lambda: Search.resume(run).run(generations=4), lambda: search(run, overwrite=True)):
            with pytest.raises(RunDirectoryError, match="is being written to by another search; wait for it"):
                start()
        assert len(search_history(run)) == 3  # reading is always possible
        other.communicate()
    assert Search.resume(run).run(generations=4).generations == 4


def test_a_killed_process_leaves_no_lock(run: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from evometa.storage.run_directory import RunDirectory;"
        "held = RunDirectory(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(run)], check=False).returncode == -signal.SIGKILL
    assert Search.resume(run).run(generations=4).generations == 4


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_files_cannot_be_locked_a_search_runs_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match=r"cannot lock files .* start only one, or choose a run_directory elsewhere"):
        assert search(tmp_path / "run").run(generations=1).generations == 1
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] in ([], [".lock"])


def search_history(run: Path) -> Any:
    return Search.resume(run).history


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="expected to be a folder that can be written to"):
        RunDirectory(tmp_path / "not" / "there")


def test_a_class_without_a_file_needs_no_run_directory() -> None:
    class Local(Bowl):  # type: ignore[misc,valid-type]
        pass

    assert Search(Local(), RandomSearch(4), validation_tasks=1).run(generations=1).generations == 1


def test_a_class_without_a_file_cannot_have_one(tmp_path: Path) -> None:
    class Local(Bowl):  # type: ignore[misc,valid-type]
        pass

    with pytest.raises(ConfigurationError, match="move it out of the function"):
        Search(Local(), RandomSearch(4), run_directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()
