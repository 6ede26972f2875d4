"""A run directory belongs to one run and one writer, and errors say what is wrong with it."""

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

import numpy as np
import pytest

from evometa import ConfigurationError, RunDirectoryError, Search, load_result
from evometa.cli.main import main
from evometa.errors import EvometaWarning
from evometa.naming import load
from evometa.problems import ZDT1, ZDT2
from evometa.search.compiled_driver import CompiledDriver
from evometa.storage import history
from evometa.storage.locking import lock
from evometa.storage.manifest import read_manifest
from evometa.storage.run_directory import RunDirectory, recover
from evometa.strategies import NSGA2, OpenAIES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bent, Bowl, Hill, Walk = (load(f"{TOYS}:{name}") for name in ("Bent", "Bowl", "Hill", "Walk"))


def search(folder: Path, **options: Any) -> Search:
    return Search(Bowl(dimension=3), Walk(), run_directory=folder, validation_tasks=2, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three generations, for tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    search(folder).run(generations=3)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run of three generations of a test's own."""
    return shutil.copytree(finished, tmp_path / "run")


def test_the_manifest_says_what_was_run(tmp_path: Path) -> None:
    search(tmp_path / "a" / "b", seed=5, validate_every=7).run(generations=1)
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


def failing(report: Any) -> None:
    raise ConnectionError("the network is down")


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_run_is_replaced_only_by_one_that_works(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "candidates").mkdir()
    for name in ("archive.npz", "failures.txt", "front.png", "notes.txt", "candidates/best"):
        (run / name).write_text("of the run before")
    before = files(run)
    search(run, overwrite=True)  # nothing is written before it runs
    broken = search(run, overwrite=True)
    monkeypatch.setattr(CompiledDriver, "launch", failing)
    with pytest.raises(TypeError):
        broken.run(generations=2)
    assert files(run) == before
    monkeypatch.undo()
    assert Search.resume(run).run(generations=4).generations == 4  # and the lock is free
    assert search(run, seed=9, overwrite=True).run(generations=1).generations == 1
    left = files(run).keys()
    assert "notes.txt" in left  # a user's own
    assert not left & {"archive.npz", "failures.txt", "front.png", "candidates/best"}
    assert (read_manifest(run).seed, len(search_history(run))) == (9, 1)


def test_a_run_that_has_lost_its_times_is_resumed(run: Path) -> None:
    (run / "timing.csv").unlink()
    assert Search.resume(run).run(generations=4).generations == 4
    assert len(search_history(run).seconds) == 4


@pytest.mark.parametrize("moved", [1, 3])
def test_a_replacement_that_was_killed_is_undone(run: Path, moved: int) -> None:
    (run / ".replaced").mkdir()
    names = ["manifest.json", "history.csv", "checkpoints", "timing.csv"]
    for name in names[:moved]:
        (run / name).rename(run / ".replaced" / name)
    with pytest.raises(RunDirectoryError, match="exists already"):
        search(run)
    assert Search.resume(run).run(generations=4).generations == 4
    assert not (run / ".replaced").exists()


@pytest.mark.parametrize("ended", ["by itself", "killed", "killed while replacing"])
def test_candidates_stay_with_their_run_until_it_is_replaced(run: Path, ended: str) -> None:
    best = run / "candidates" / "best"
    best.parent.mkdir()
    best.write_text("of the run before")
    before = files(run)
    opened = RunDirectory(run, read_manifest(run)._replace(seed=9), overwrite=True)
    best.parent.mkdir()
    best.write_text("of the new one")
    if ended == "by itself":
        opened.close()
    elif ended == "killed while replacing":
        (run / ".replaced").mkdir()
        for name in ("manifest.json", ".candidates_before"):
            (run / name).rename(run / ".replaced" / name)
    recover(run)
    assert files(run) == before
    opened.close()


def test_a_run_that_ended_before_its_first_generation_does_not_block_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(CompiledDriver, "launch", failing)
        with pytest.raises(TypeError):
            search(tmp_path / "run", seed=1).run(generations=2)
    assert Search.resume(tmp_path / "run").seed == 1  # it can be resumed too
    assert search(tmp_path / "run", seed=2).run(generations=2).generations == 2
    assert read_manifest(tmp_path / "run").seed == 2


def test_two_searches_over_one_folder_never_mix(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first, second, third = search(folder, seed=1), search(folder, seed=2, overwrite=True), search(folder, seed=3)
    first.run(generations=2)
    assert read_manifest(folder).seed == 1
    with pytest.raises(RunDirectoryError, match="exists already"):
        third.run(generations=2)
    assert len(second.history) == 0
    second.run(generations=3)
    assert (read_manifest(folder).seed, len(second.history)) == (2, 3)
    with pytest.raises(RunDirectoryError, match="holds another run now than this search began or resumed"):
        first.run(generations=9)
    assert second.run(generations=4).generations == 4


def test_where_a_run_is_does_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "elsewhere").mkdir()
    leave = [lambda report: os.chdir(tmp_path / "elsewhere")]
    assert search(Path("run"), callbacks=leave).run(generations=3).stop_code == "generations"
    assert load_result(tmp_path / "run").generations == 3
    search(Path("~/run")).run(generations=2)
    assert Search.resume("~/run").run(generations=3).generations == 3
    assert len(history.read("~/run")) == len(history.read(tmp_path / "home" / "run")) == 3


@pytest.mark.parametrize("gone", ["removed", "moved", "replaced", "history"])
def test_a_folder_that_is_gone_does_not_cost_the_result(run: Path, gone: str) -> None:
    def lose(report: Any) -> None:
        if gone == "removed":
            shutil.rmtree(run)
        elif gone == "history":
            (run / "history.csv").unlink()
        else:
            run.rename(run.with_name("elsewhere"))
        if gone == "replaced":
            search(run, seed=5).run(generations=2)

    with pytest.warns(UserWarning, match="removed|moved"):
        result = Search.resume(run, callbacks=[lose], checkpoint_seconds=0.0).run(generations=10**6)
    assert (result.stop_code, result.generations >= 4, np.isfinite(result.best_fitness)) == ("not_written", True, True)
    if gone == "replaced":
        assert (read_manifest(run).seed, len(history.read(run))) == (5, 2)


def test_what_a_run_continues_with_is_recorded_and_the_best_evaluated_again(run: Path) -> None:
    best = load_result(run).best_omega
    with pytest.warns(EvometaWarning, match=r"continues with the problem Bent\(dimension=3.* began with Bowl") as told:
        result = Search.resume(run, problem=Bent(dimension=3)).run(generations=4)
    assert told[0].filename == __file__  # a warning points to the line that called evometa
    assert result.best_fitness >= 100.0  # at least that of the new problem, not the old one's
    assert history.read(run)["best_so_far"][3] <= 100.0 + float(np.sum((best - 1.0) ** 2)) + 1e-4
    manifest = read_manifest(run)
    assert manifest.problem["type"] == f"{TOYS}:Bent"
    (change,) = manifest.changes
    assert (change["generation"], change["part"], change["before"]["type"]) == (3, "problem", f"{TOYS}:Bowl")
    assert Search.resume(run).run(generations=5).generations == 5  # without a further warning
    (run / "manifest.json").write_text(json.dumps(manifest._replace(random={"implementation": "rbg"})._asdict()))
    with pytest.warns(UserWarning, match="random numbers of JAX made as .* began with .*rbg"):
        Search.resume(run)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_history_that_cannot_be_opened_ends_a_resume_in_words(run: Path, checkpoint: bool) -> None:
    (run / "history.csv").unlink()
    (run / "history.csv").mkdir()  # what no user may write to; permissions do not bind who is root
    if not checkpoint:
        shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunDirectoryError, match=r"Could not write the history in .*: \[Errno .*resume the run"):
        Search.resume(run).run(generations=4)


def test_what_makes_no_sense_to_continue_with_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expects a problem with the run's direction, minimize"):
        Search.resume(run, problem=Hill(dimension=3))
    other = tmp_path / "evometa"
    Search(Bowl(dimension=3), RandomSearch(4), run_directory=other, validation_tasks=2).run(generations=1)
    with pytest.raises(ConfigurationError, match="a strategy of the class that the run began with, RandomSearch"):
        Search.resume(other, strategy=Walk())
    front = tmp_path / "front"
    Search(ZDT1(dimension=3), NSGA2(population_size=8), run_directory=front).run(generations=1)
    with pytest.warns(UserWarning, match="continues with the problem ZDT2"):
        resumed = Search.resume(front, problem=ZDT2(dimension=3))
    with pytest.raises(ConfigurationError, match="NSGA2 keeps an archive"):
        resumed.run(generations=2)


def test_reading_needs_no_lock_and_changes_nothing(run: Path) -> None:
    for name in ("result.npz", "result.json"):  # a run of an older version has none
        (run / name).unlink()
    with open(run / "history.csv", "ab") as file:
        file.write(b"4,16,0")  # a search is writing
    before, held = files(run), lock(run)
    try:
        assert main(["generalize", str(run), "--tasks", "2"]) == 0
        assert main(["show", str(run)]) == 0
        assert len(history.read(run)) == 3
    finally:
        held.release()
    assert files(run) == before


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
    manifest.pop("digest", None)  # which would tell of the edit
    (run / "manifest.json").write_text(json.dumps(manifest | changes))


def test_a_manifest_of_another_schema_names_the_version_that_wrote_it(run: Path) -> None:
    edit(run, schema_version=99, versions={"evometa": "9.9"})
    for start in (lambda: Search.resume(run), lambda: search(run, overwrite=True)):
        with pytest.raises(RunDirectoryError, match=r"schema version 99, .* reads 1; use the version .* evometa 9.9"):
            start()


def test_a_manifest_edited_by_hand_is_refused_or_warned_of(run: Path) -> None:
    written = json.loads((run / "manifest.json").read_text())
    for field, wrong in (
        ("seed", "0"),
        ("problem", {"type": 3}),
        ("options", None),
        ("sources", {"toys.py": 1}),
        ("changes", 3),
        ("changes", ["before"]),
        ("initial", True),
    ):
        (run / "manifest.json").write_text(json.dumps(written | {field: wrong}))
        with pytest.raises(RunDirectoryError, match=f"was expected to hold {field} as evometa wrote it, got "):
            Search.resume(run)
    (run / "manifest.json").write_text(json.dumps(written | {"seed": written["seed"] + 1}))
    with pytest.warns(EvometaWarning, match=r"manifest.json was edited since evometa wrote it"):
        Search.resume(run)


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
    with pytest.warns(UserWarning, match=r"continues with the problem Bowl\(dimension=5"):
        larger = Search.resume(run, problem=Bowl(dimension=5))
    with pytest.raises(RunDirectoryError, match=r".strategy.position of shape \(5,\) .* found .* of shape \(3,\)"):
        larger.run(generations=4)
    with pytest.warns(UserWarning, match="continues with the strategy OpenAIES"):
        other = Search.resume(run, strategy=OpenAIES(population_size=4))
    with pytest.raises(RunDirectoryError, match="holds another state than this problem and strategy make"):
        other.run(generations=4)
    assert Search.resume(run).run(generations=4).generations == 4  # and nothing was harmed


def test_what_the_results_depend_on_cannot_be_changed_on_resume(run: Path) -> None:
    for option in ({"seed": 1}, {"validate_every": 5}, {"overwrite": True}):
        with pytest.raises(ConfigurationError, match=rf"Search.resume keeps the run's own {next(iter(option))}"):
            Search.resume(run, **option)


def test_one_process_at_a_time_writes(run: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from evometa.storage.locking import lock;"
        "held = lock(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for start in (
            lambda: Search.resume(run).run(generations=4),
            lambda: search(run, overwrite=True).run(generations=1),
        ):
            with pytest.raises(RunDirectoryError, match="is being written to by another search; wait for it"):
                start()
        assert len(search_history(run)) == 3  # reading is always possible
        other.communicate()
    assert Search.resume(run).run(generations=4).generations == 4


def test_a_killed_process_leaves_no_lock(run: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from evometa.storage.locking import lock;"
        "held = lock(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
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
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "run", tmp_path / ("long" * 100)):
        with pytest.raises(RunDirectoryError, match="expected to be a folder that can be written to"):
            search(folder).run(generations=1)


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
