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


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks in Linux's /proc")
def test_lost_ranks_are_named_and_a_run_resumed_on_other_numbers_of_processes_is_the_undisturbed_one(
    tmp_path: Path,
) -> None:
    random, folder, groups = np.random.default_rng(0), tmp_path / "run", list[Group]()
    kill, stop = signal.SIGKILL, signal.SIGSTOP
    with nothing_left(groups):
        for processes, victim, how in ((2, 0, kill), (3, 2, kill), (2, 1, stop), (2, None, kill)):
            begun = newest(folder)
            what = (
                ["resume", folder]
                if begun
                else ["run", "sphere", "--strategy", "open-ai-es", "--run-directory", folder]
            )
            options = ["--checkpoint-seconds", 0.2, "--generations", LONG, "--distributed", "--processes", processes]
            if not begun:
                options += ["--population-size", 4, "--validate-every", 1000]
            # (a cache of their own: an entry cut by a kill would never be written again)
            groups.append(group := Group(*what, *options, JAX_COMPILATION_CACHE_DIR=tmp_path / "cache"))
            group.wait_for(folder, begun)
            time.sleep(random.uniform(0.0, 0.5))
            ranks = group.ranks()
            assert len(ranks) == processes
            if victim is None:  # the supervisor itself, with a rank that cannot answer
                os.kill(ranks[1], signal.SIGSTOP)
                group.process.kill()
                assert gone(ranks)
                continue
            since = time.monotonic()
            os.kill(ranks[victim], how)
            status, said = group.end()
            assert time.monotonic() - since < 15.0
            assert status == 1
            reason = "killed by SIGKILL" if how == kill else "no sign of life for 9 seconds"
            assert said.splitlines()[-1].startswith(f"evometa: rank {victim} of {processes} was lost ({reason}), so ")
            resume = f"evometa resume {folder} --distributed --processes {processes} --generations {LONG}"
            assert f"continue from its newest checkpoint with '{resume}'" in said
            assert "Traceback" not in said
            assert "Gloo" not in said
            assert gone(ranks)
    end = newest(folder) + 1000
    Search.resume(folder, progress=False).run(generations=end)
    whole = Search(Sphere(), OpenAIES(population_size=4), run_directory=tmp_path / "whole", validate_every=1000)
    whole.run(generations=end)
    assert (folder / HISTORY).read_bytes() == (tmp_path / "whole" / HISTORY).read_bytes()


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
