"""Real groups of ranks on loopback: what they find, and what becomes of them when one is lost."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from evometa import Search
from evometa.naming import load
from evometa.problems import Sphere
from evometa.storage import checkpoint
from evometa.storage.history import HISTORY
from evometa.strategies import OpenAIES

TOYS = Path(__file__).parents[1] / "toys.py"
LONG = 10**7
"""Generations that no run here reaches."""
PATIENCE = 100.0


class Group:
    """``evometa ... --distributed``, one supervisor and its ranks."""

    def __init__(self, *words: object, **environment: object) -> None:
        command = [sys.executable, "-m", "evometa", *map(str, words)]
        variables = {name: str(value) for name, value in environment.items()}
        self.process = subprocess.Popen(
            command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ranks(self) -> list[int]:
        """The processes of the ranks, from rank 0 on."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in children.read_text().split()]

    def wait_for_ranks(self, processes: int) -> None:
        """Wait until all ranks have been started."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None and len(self.ranks()) < processes:
            assert time.monotonic() < until
            time.sleep(0.01)

    def wait_for(self, folder: Path, generation: int) -> None:
        """Wait until a checkpoint is newer than a generation."""
        until = time.monotonic() + PATIENCE
        while newest(folder) <= generation:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit status and what was said on standard error."""
        said = self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode, said


def newest(folder: Path) -> int:
    names = (path.name for path in (folder / checkpoint.CHECKPOINTS).glob("[0-9]*"))
    return max(map(int, names), default=0)


def gone(processes: list[int]) -> bool:
    """Return whether processes end within a moment."""
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        left = [number for number in processes if alive(number)]
        if not left:
            return True
        time.sleep(0.05)
    return False


def alive(number: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.contextmanager
def nothing_left(groups: list[Group]) -> Iterator[None]:
    try:
        yield
    finally:
        for group in groups:
            group.process.kill()
            group.process.communicate(timeout=PATIENCE)


class Loss(NamedTuple):
    """What happens to a group of ranks, and when."""

    processes: int
    rank: int
    how: signal.Signals = signal.SIGKILL
    parent: bool = False
    """Whether the supervisor is killed too, a moment after the rank was stopped or killed."""
    starting: float | None = None
    """Seconds after the ranks were started; None: once there is a new checkpoint."""


def thirty(seed: int) -> list[Loss]:
    """Draw thirty losses of any rank of two or three; a third of them, and the first two, while the ranks start."""
    random, losses = np.random.default_rng(seed), list[Loss]()
    while len(losses) < 30:
        processes = 2 + int(random.random() < 1 / 3)
        how = signal.SIGSTOP if random.random() < 1 / 4 else signal.SIGKILL
        starting = random.uniform(0.0, 8.0) if len(losses) < 2 or random.random() < 1 / 3 else None
        losses.append(Loss(processes, int(random.integers(processes)), how, random.random() < 1 / 5, starting))
    return losses


FEW = [Loss(2, 0, starting=0.0), Loss(3, 0), Loss(2, 1, signal.SIGSTOP), Loss(2, 1, signal.SIGSTOP, parent=True)]
SPREAD: dict[str, Any] = {"population_size": 6, "population_chunk": 1, "devices": 1}
"""Options of a search whose candidates are shared out among the ranks, however few they are."""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks in Linux's /proc")
@pytest.mark.parametrize(
    ("losses", "problem", "options"),
    [
        pytest.param(FEW, "sphere", {"population_size": 4}, id="few"),
        pytest.param(thirty(0), "sphere", {"population_size": 4}, marks=pytest.mark.long, id="thirty-0"),
        pytest.param(thirty(1), f"{TOYS}:Waves", SPREAD, marks=pytest.mark.long, id="thirty-1"),
        pytest.param(thirty(2), f"{TOYS}:Waves", SPREAD, marks=pytest.mark.long, id="thirty-2"),
    ],
)
def test_lost_ranks_are_named_and_a_run_resumed_on_other_numbers_of_processes_is_the_undisturbed_one(
    tmp_path: Path, losses: list[Loss], problem: str, options: dict[str, Any]
) -> None:
    random, folder, groups = np.random.default_rng(0), tmp_path / "run", list[Group]()
    own = [word for name in options.keys() - {"devices"} for word in (f"--{name.replace('_', '-')}", options[name])]
    what = ["run", problem, "--strategy", "open-ai-es", "--run-directory", folder, "--validate-every", 1000, *own]
    every = ["--checkpoint-seconds", 0.2, "--generations", LONG, "--distributed"]
    every += ["--devices", options["devices"]] if "devices" in options else []
    with nothing_left(groups):
        for loss in losses:
            begun = newest(folder)
            # (a cache of their own: an entry cut by a kill would never be written again)
            cache = tmp_path / "cache"
            groups.append(group := Group(*what, *every, "--processes", loss.processes, JAX_COMPILATION_CACHE_DIR=cache))
            if loss.starting is None:
                group.wait_for(folder, begun + int(random.integers(20)))
                time.sleep(random.uniform(0.0, 0.5))
            else:
                group.wait_for_ranks(loss.processes)
                time.sleep(loss.starting)
            assert group.process.poll() is None, group.process.communicate()
            ranks = group.ranks()
            assert len(ranks) == loss.processes
            print(loss, f"after a checkpoint of generation {newest(folder)}")  # shown where this fails
            since = time.monotonic()
            os.kill(ranks[loss.rank], loss.how)
            if loss.parent:
                group.process.kill()
            else:
                status, said = group.end()
                assert time.monotonic() - since < 15.0
                assert status == 1
                reason = "killed by SIGKILL" if loss.how == signal.SIGKILL else "no sign of life for 9 seconds"
                lost = f"evometa: rank {loss.rank} of {loss.processes} was lost ({reason}), so "
                assert said.splitlines()[-1].startswith(lost), said
                resume = f"evometa resume {folder} --distributed --processes {loss.processes} --generations {LONG}"
                if f"continue from its newest checkpoint with '{resume}'" in said:
                    what = ["resume", folder]
                else:
                    assert loss.starting is not None
                    assert "on all ranks; start it again (" in said
                assert "Traceback" not in said
                assert "Gloo" not in said
            assert gone(ranks)
            assert newest(folder) >= begun  # what was saved stays saved
            if (folder / HISTORY).exists():  # a run that has rows is not begun anew
                what = ["resume", folder]
    end = newest(folder) + 1000
    found = Search.resume(folder, progress=False, devices=options.get("devices")).run(generations=end)
    strategy, chunk = OpenAIES(population_size=options["population_size"]), options.get("population_chunk", "auto")
    whole = Search(
        load(problem)() if ":" in problem else Sphere(),
        strategy,
        run_directory=tmp_path / "whole",
        validate_every=1000,
        population_chunk=chunk,
    ).run(generations=end)
    assert (folder / HISTORY).read_bytes() == (tmp_path / "whole" / HISTORY).read_bytes()
    assert found.evaluations == whole.evaluations


def test_ranks_under_supervisors_of_their_own_find_what_as_many_devices_find_and_one_ctrl_c_stops_all(
    tmp_path: Path,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder, groups = tmp_path / "run", list[Group]()
    options = ["--population-size", 6, "--devices", 1, "--validate-every", 5, "--checkpoint-seconds", 0]
    with nothing_left(groups):
        for rank in (0, 1):
            where = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", 2, "--process-id", rank]
            own = folder if rank == 0 else tmp_path / "not-written"
            what = ["run", f"{TOYS}:Waves", "--strategy", "open-ai-es", "--run-directory", own]
            groups.append(Group(*what, *options, *where, "--generations", LONG))
        groups[0].wait_for(folder, 0)
        groups[1].process.send_signal(signal.SIGINT)
        assert [group.end()[0] for group in groups] == [130, 130]
    assert not (tmp_path / "not-written").exists()
    one = Search(
        load(f"{TOYS}:Waves")(),
        OpenAIES(population_size=6),
        run_directory=tmp_path / "one",
        devices=2,
        validate_every=5,
    )
    result = one.run(generations=newest(folder))
    assert (folder / HISTORY).read_bytes() == (tmp_path / "one" / HISTORY).read_bytes()
    assert result.generations > 0
