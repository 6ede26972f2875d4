"""Faults of the machine: nothing already written is lost, and a resumed run equals one without interruption."""

import errno
import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import RunDirectoryError, Search
from evometa.naming import load
from evometa.storage import checkpoint, history
from evometa.strategies import OpenAIES

RUNNER = Path(__file__).parents[1] / "runner.py"
Chase = load(f"{Path(__file__).parents[1] / 'toys.py'}:Chase")
FOREVER = 10**9


def new(folder: Path, **options: Any) -> Search:
    """The search that runner.py runs."""
    strategy = OpenAIES(population_size=8)
    validation = {"validate_every": 7, "validation_tasks": 4, "finalists": 0}
    return Search(Chase(), strategy, seed=3, run_directory=folder, **validation, **options)


def whole_run(folder: Path, generations: int) -> Search:
    """The same search without interruption."""
    search = new(folder)
    search.run(generations=generations)
    return search


def assert_same_runs(first: Path, second: Path, whole: Search) -> None:
    assert (first / history.HISTORY).read_bytes() == (second / history.HISTORY).read_bytes()
    found, expected = (checkpoint.load(folder, whole._run.state) for folder in (first, second))
    assert found is not None
    assert expected is not None
    for one, other in zip(jax.tree.leaves(found.state), jax.tree.leaves(expected.state), strict=True):
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    # Seconds are the clock's, and each time a run stops it makes a final selection.
    own = {"seconds": 0.0, "validation_tasks": 0}
    assert found.progress | own == expected.progress | own


class Killer:
    """Starts a run again and again, and kills it at a moment drawn from a fixed seed."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.output = folder, folder.with_suffix(".txt")
        # A cache of its own, filled before the first kill: an entry cut by a kill would never be written again.
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
        self.random = np.random.default_rng(0)
        self.server = subprocess.Popen(
            [sys.executable, str(RUNNER)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder: Path, generations: int) -> int:
        """Start a run in a process of its own, and return its id."""
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps([str(folder), generations, str(self.output)]) + "\n")
        self.server.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        """Return the next number that the server prints."""
        assert self.server.stdout is not None
        return int(self.server.stdout.readline())

    def ended(self) -> bool:
        """Return whether the run has ended, which the server says before it is asked for the exit code."""
        assert self.server.stdout is not None
        return bool(select.select([self.server.stdout], [], [], 0)[0])

    def generation(self) -> int:
        """The generation of the newest checkpoint, 0 for none."""
        names = (path.name for path in (self.folder / checkpoint.CHECKPOINTS).glob("[0-9]*"))
        return max(map(int, names), default=0)

    def writing(self) -> bool:
        return any((self.folder / checkpoint.CHECKPOINTS).glob(".writing-*"))

    def kill(self, moment: str) -> bool:
        """Run and kill once; return whether a checkpoint was being written."""
        before = self.generation()
        process = self.start(self.folder, FOREVER)

        def wait(condition: Callable[[], bool], every: float = 0.005) -> None:
            end = time.monotonic() + 120
            while not condition():
                if self.ended() or time.monotonic() > end:
                    self.server.kill()
                    pytest.fail(f"the search ended by itself, or got stuck:\n{self.output.read_text()}")
                time.sleep(every)

        if moment == "start":  # compiling, restoring, cutting the history back, the first rows
            if self.random.random() < 0.7:
                wait(lambda: self.output.exists() and self.output.read_text().startswith("ready\n"))
            time.sleep(self.random.uniform(0.0, 0.8))
        elif moment == "dispatch":
            wait(lambda: self.generation() > before)
            time.sleep(self.random.uniform(0.0, 0.3))
        else:
            after = self.random.integers(1, 3)
            wait(lambda: self.generation() >= before + after)
            wait(self.writing, every=0.0005)
            time.sleep(self.random.uniform(0.0, 0.01))
        os.kill(process, signal.SIGKILL)
        # It was running, and nothing else had ended it.
        assert self.answer() == -signal.SIGKILL, self.output.read_text()
        self.output.unlink()
        return self.writing()


@pytest.fixture
def killer(tmp_path: Path) -> Iterator[Killer]:
    killer = Killer(tmp_path / "killed", tmp_path / "cache")
    with killer.server:
        yield killer
        killer.server.kill()


@pytest.mark.xdist_group("kill")
def test_killed_thirty_times_a_run_is_the_run_that_never_stopped(tmp_path: Path, killer: Killer) -> None:
    killer.start(tmp_path / "warm", 50)
    assert killer.answer() == 0, killer.output.read_text()
    assert killer.output.read_text().endswith("\nthe limit of 50 generations was reached\n")

    moments = ["start"] * 9 + ["dispatch"] * 9 + ["writing"] * 10
    killer.random.shuffle(moments)
    progress, cut = [], 0
    for moment in ["start", "start", *moments]:  # the first two come before any checkpoint
        before = killer.generation()
        cut += killer.kill(moment)
        assert killer.generation() >= before  # what was saved stays saved
        progress.append(killer.generation() > before)
    assert sum(progress) >= 19  # every kill after "dispatch" or "writing"
    assert cut >= 3  # and some of them within the writing of a checkpoint

    generations = killer.generation() + 100
    Search.resume(killer.folder).run(generations=generations)
    whole = whole_run(tmp_path / "whole", generations)
    assert_same_runs(killer.folder, tmp_path / "whole", whole)
    assert not killer.writing()  # what the kills left lying about is gone


class FullDisk:
    """Stands in for os-level writing, with room for so many more bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def take(self, size: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        size = min(size, self.room)
        self.room -= size
        return size


class FullFile(io.FileIO):
    disk: FullDisk

    def write(self, data: Any) -> int:
        return super().write(bytes(data)[: self.disk.take(len(data))])


@pytest.mark.parametrize("room", [0, 1, 37])
def test_a_history_that_no_longer_fits_is_cut_back_to_whole_rows(tmp_path: Path, room: int) -> None:
    table = history.Table(tmp_path / history.HISTORY, history.TIMING_COLUMNS, after=0)
    table.append(b"1,0.5\n2,0.75\n")
    before = (tmp_path / history.HISTORY).read_bytes()
    table.close()
    table._file = FullFile(tmp_path / history.HISTORY, "ab")
    table._file.disk = FullDisk(room)
    with pytest.raises(OSError, match="No space left on device"):
        table.append(b"3,1.25\n" * 10)
    assert (tmp_path / history.HISTORY).read_bytes() == before
    table._file.disk.room = 1000
    table.append(b"3,1.25\n")
    table.close()
    assert (tmp_path / history.HISTORY).read_bytes() == before + b"3,1.25\n"


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import runner
import evometa as em
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing past the limit is then an error, as on a full disk
import warnings
warnings.simplefilter("ignore")

def limit(size):  # no file may be larger
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

for what in ("history", "checkpoint"):
    folder = Path(sys.argv[2]) / what
    runner.start(folder).run(generations=30)
    if what == "history":
        search = em.Search.resume(folder)
        limit((folder / "history.csv").stat().st_size + 500)
    else:
        search = em.Search.resume(folder, callbacks=[lambda report: limit(300)])
    result = search.run(generations=31 if what == "checkpoint" else 500)
    limit(resource.RLIM_INFINITY)
    assert result.generations > 30
    print(result.stop_code, result.stop_reason)
"""


def test_a_full_disk_ends_the_search_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(RUNNER.parent), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    whole = whole_run(tmp_path / "whole", 60)
    for what, said in zip(("history", "checkpoint"), done.stdout.splitlines(), strict=True):
        assert said.startswith("not_written"), done.stdout + done.stderr
        assert ("Could not write the history" if what == "history" else "Could not write") in said
        assert "nothing written earlier is lost" in said
        assert "File too large" in said
        folder = tmp_path / what
        lines = (folder / history.HISTORY).read_text().split("\n")
        assert lines[-1] == ""  # whole rows only
        assert [int(line.split(",")[0]) for line in lines[1:-1]] == list(range(1, len(lines) - 1))
        assert checkpoint.progress(folder)["generation"] == 30  # type: ignore[index]

        Search.resume(folder).run(generations=60)
        assert_same_runs(folder, tmp_path / "whole", whole)


def test_a_checkpoint_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"w": np.arange(4, dtype=np.float32)}
    checkpoint.save(tmp_path, checkpoint.Checkpoint(state, {"generation": 1}), keep=1)
    disk = FullDisk(0)
    monkeypatch.setattr(checkpoint, "write_atomically", lambda path, content: disk.take(len(content)))
    with pytest.raises(RunDirectoryError, match=r"Could not write a checkpoint .* No space left on device.*resume"):
        checkpoint.save(tmp_path, checkpoint.Checkpoint(state, {"generation": 2}), keep=1)
    assert [path.name for path in (tmp_path / checkpoint.CHECKPOINTS).iterdir()] == [f"{1:012d}"]
    assert checkpoint.load(tmp_path, state) is not None
