"""Ending the processes that a worker started, also those that left its process group."""

import contextlib
import os
import signal
from pathlib import Path

GRACE = 2.0
"""Seconds that the user's code may still run in a worker process whose input has ended."""

Family = dict[int, str]
"""Process numbers and the times at which they started, which tell a process from a later one of the same number."""


def descendants(process: int) -> Family:
    """Return all processes that a living process started and those started, as far as the system says (Linux)."""
    children: dict[int, list[int]] = {}
    started: dict[int, str] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()  # the name before it may hold anything
            number = int(path.parent.name)
            children.setdefault(int(fields[1]), []).append(number)
            started[number] = fields[19]
    found: list[int] = []
    waiting = [process]
    while waiting:
        found += (below := children.get(waiting.pop(), []))
        waiting += below
    return {number: started[number] for number in found}


def marked(variable: bytes) -> Family:
    """Return all processes with a variable in their environment, such as ``b"NAME=value"`` (Linux).

    So those are found too that left their group and whose parents have ended.
    """
    found: Family = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if variable in path.read_bytes().split(b"\0"):
                found[int(path.parent.name)] = (path.parent / "stat").read_text().rpartition(")")[2].split()[19]
    return found


def kill(family: Family) -> None:
    """Kill those of a family that still live."""
    for number, started in family.items():
        with contextlib.suppress(OSError, IndexError):
            if Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19] == started:
                os.kill(number, signal.SIGKILL)
