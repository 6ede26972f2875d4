"""The parts of distributed searches that need no processes."""

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import ConfigurationError, EvaluationError
from evometa.backend import ranks
from evometa.backend.collectives import own_address
from evometa.cli.main import main
from evometa.distributed.failures import Failure, culprit, of_error, of_exit
from evometa.distributed.lines import Lines
from evometa.distributed.placement import place
from evometa.distributed.supervisor import supervise
from evometa.naming import load
from evometa.search import agreement
from evometa.search.agreement import Standing
from evometa.search.execution import require_distributable

TOYS = Path(__file__).parents[1] / "toys.py"


def test_a_number_of_processes_alone_places_them_all_here_on_loopback() -> None:
    placement = place(None, 3, None, 1)
    assert (placement.own, placement.is_alone) == ((0, 1, 2), True)
    assert placement.coordinator.startswith("127.0.0.1:")


def test_one_rank_is_placed_by_options_or_by_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place("node1:700", 4, 3, 1).own == (3,)
    slurm = {"JOB_ID": "77", "STEP_NODELIST": "node[07-09]", "NTASKS": "3", "PROCID": "2", "LOCALID": "0"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    placement = place(None, None, None, 1)
    assert (placement.processes, placement.own, placement.local_devices) == (3, (2,), (0,))
    assert placement.coordinator == f"node07:{65535 - 2**12 + 1 + 77}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((None, None, None), "expects --processes N, to start N ranks on this machine; or, for one rank of several"),
        (("node1:700", 4, None), "--process-id I, or the environment of SLURM"),
        (("node1:700", 4, 4), "--process-id expects a rank from 0 to 3, got 4"),
        (("node1", 4, 0), "--coordinator expects HOST:PORT, the address of rank 0 and a free port below 65535"),
        ((None, 0, None), "--processes expects the number of ranks, at least 1, got 0"),
    ],
)
def test_what_places_no_rank_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        place(*given, 1)


def test_the_options_of_ranks_expect_distributed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sphere", "--processes", "2", "--generations", "1"]) == 2
    assert "--coordinator, --processes and --process-id expect --distributed" in capsys.readouterr().err
    assert main(["run", "sphere", "--distributed", "--processes", "2", "--stall-seconds", "0"]) == 2
    assert "--stall-seconds expects a number of seconds above 0, got 0." in capsys.readouterr().err


def test_plain_python_problems_and_debugging_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Errand is one in plain Python.* --workers ray"):
        require_distributable(load(f"{TOYS}:Errand")())
    with pytest.raises(ConfigurationError, match=r"debug=True .* start it without --distributed"):
        require_distributable(load(f"{TOYS}:Bowl")(), debugged=True)


def test_the_failure_that_others_follow_from_is_blamed() -> None:
    gloo = of_error(0, "Traceback ...\nValueError: UNKNOWN: Gloo AllGather failed: Connection reset by peer")
    aborted, killed, wrong = of_exit(2, -6, ""), of_exit(1, -9, ""), of_exit(1, 2, "evometa: no such file")
    own = of_error(1, "Traceback ...\nZeroDivisionError: division by zero")
    assert culprit([gloo, aborted, killed]) is killed
    assert culprit([gloo, own]) is own
    assert culprit([aborted, wrong]) is wrong
    assert killed == Failure(1, "was lost (killed by SIGKILL)")


BUSY = """
import json, os, time
channel = json.loads(os.environ["EVOMETA_RANK"])["channel"]
os.write(channel, b'{"joined": true}\\n{"resume": "evometa resume here"}\\n')
while True:
    time.sleep(0.1)
    os.write(channel, b'{"beat": true}\\n')
"""


def test_ranks_that_live_and_complete_no_generation_are_ended_within_the_limit(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert supervise(place(None, 2, None, 1), [sys.executable, "-c", BUSY], 1, stall_seconds=0.3) == 1
    said = capfd.readouterr().err
    assert said.startswith(
        "evometa: rank 0 of 2 has completed no generation for 0.3 seconds (--stall-seconds), and so has"
    )
    assert "ended on all ranks; continue from its newest checkpoint with 'evometa resume here' (on any" in said


def test_lines_carry_messages_and_close_on_what_is_none() -> None:
    one, other = (Lines(end.detach()) for end in socket.socketpair())
    one.send(rank=1)
    one.send(beat=True)
    assert other.read() == [{"rank": 1}, {"beat": True}]
    assert not other.closed
    os.write(one.descriptor, b"GET / HTTP/1.1\n")
    assert other.read() == []
    assert other.closed
    other.close()
    one.read()
    assert one.closed
    assert not one.silent()
    one.heard = time.monotonic() - 60
    assert one.silent()
    one.close()


def test_the_collectives_listen_where_the_coordinator_is_reached_from() -> None:
    assert own_address("127.0.0.1", 9) == "127.0.0.1"


def test_ranks_agree_by_the_clock_of_the_first_on_what_any_of_them_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Standing(1.0, 2.0, 3.0, interrupted=False, asked=True, lost=False, digest=7)
    assert agreement.reach(first) is first
    other = first._replace(seconds=9.0, interrupted=True, asked=False)
    monkeypatch.setattr(ranks, "count", lambda: 2)
    monkeypatch.setattr(ranks, "agree", lambda own: np.array([first, other], np.float64))
    assert agreement.reach(other) == first._replace(interrupted=True)
    other = other._replace(digest=8)
    with pytest.raises(EvaluationError, match=r"rank 1 has computed other ones than rank 0.* same kind of machine"):
        agreement.reach(other)
