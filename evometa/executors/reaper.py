"""The process that ends a local Ray cluster after its search, also where the search was killed.

Ray takes a minute or more to notice that in all of its processes. This one is started by
:mod:`evometa.executors.ray_cluster`, waits for the end of its input, and finds the processes of the cluster by the
files that they hold open in the cluster's own folder.
"""

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

from evometa.executors.processes import GRACE, Family, kill

LIMIT = 20.0
"""Seconds in which processes that are killed should be gone."""

# Named so, evometa does not import JAX.
BOOT = (
    "import sys; sys.argv[0] = 'evometa'; sys.path[:] = sys.argv[2:]; from evometa.executors.reaper import main; main()"
)


def left_of(folder: str, besides: int) -> Family:
    """Return Ray's processes that hold files of a folder open (Linux).

    Args:
        folder: the folder.
        besides: the process of the search, which holds some too.
    """
    found: Family = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            command = (process / "cmdline").read_bytes()
            if not (command.startswith(b"ray::") or b"/ray/" in command) or int(process.name) == besides:
                continue
            if any(os.readlink(file).startswith(f"{folder}/") for file in (process / "fd").iterdir()):
                found[int(process.name)] = (process / "stat").read_text().rpartition(")")[2].split()[19]
    return found


def main() -> None:
    """Wait until the search is over; then end what is left of its cluster."""
    folder, search = sys.argv[1], os.getppid()
    while sys.stdin.buffer.read(1):
        pass
    end = time.monotonic() + GRACE
    while left_of(folder, search) and time.monotonic() < end:  # user code in workers ends what it has started
        time.sleep(0.2)
    end = time.monotonic() + LIMIT
    while (left := left_of(folder, search)) and time.monotonic() < end:
        kill(left)
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)
