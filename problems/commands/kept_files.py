"""The working directories of a command's candidates: one for each call, kept for the best one and for failures.

::

    candidates/
      best/          the working directory of the best call so far
      failed/NAME/   those of the first failures
      running/       those of the calls at work; each goes when it ends

Beside what the program wrote, each holds ``parameters.json``, ``stdout.txt``, ``stderr.txt`` and, once the call is
over, ``evaluation.json``. Calls of several processes may work in one folder.
"""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

PARAMETERS, EVALUATION, OUTPUT, ERRORS = "parameters.json", "evaluation.json", "stdout.txt", "stderr.txt"
MOST_FAILURES = 20
"""Failures whose working directories are kept."""
LARGEST_FAILURE = 1 << 26
"""Bytes of a failure's working directory above which only logs and parameters of it are kept."""


class KeptFiles:
    """The folder of a command's working directories.

    Args:
        folder: where they are; None: in the system's folder for temporary files, and none is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def open(self, name: str) -> Path:
        """Return a new working directory for a candidate."""
        if self._folder is None:
            return Path(tempfile.mkdtemp(prefix=f"evometa-{name}-"))
        running = self._folder / "running"
        running.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=running))

    def close(self, room: Path, *, name: str, fitness: float | None, smaller: bool, record: dict[str, Any]) -> None:
        """Keep a working directory where it is the best so far's or a failure's; remove it otherwise.

        Args:
            room: the working directory.
            name: the candidate's name.
            fitness: its fitness; None where it failed.
            smaller: whether a smaller fitness is better.
            record: what is written to its ``evaluation.json``.
        """
        try:
            if self._folder is not None:
                with contextlib.suppress(OSError):  # of a full disk: what is kept is no reason for a candidate to fail
                    write_json(room / EVALUATION, record | {"fitness": fitness})
                    with FileLock(self._folder / ".lock"):
                        if fitness is None:
                            self._keep_failure(room, name)
                        else:
                            self._keep_best(room, fitness if smaller else -fitness, smaller=smaller)
        finally:
            self.discard(room)

    def discard(self, room: Path) -> None:
        """Remove a working directory."""
        shutil.rmtree(room, ignore_errors=True)

    def _keep_best(self, room: Path, loss: float, *, smaller: bool) -> None:
        assert self._folder is not None
        best, old = self._folder / "best", self._folder / "running" / "former-best"
        if not best.exists() and old.exists():  # a process ended between the two moves below
            os.replace(old, best)
        try:
            known = json.loads((best / EVALUATION).read_text(encoding="utf-8"))["fitness"]
            if (known if smaller else -known) <= loss:
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass  # there is none yet
        shutil.rmtree(old, ignore_errors=True)
        if best.exists():
            os.replace(best, old)
        os.replace(room, best)
        shutil.rmtree(old, ignore_errors=True)

    def _keep_failure(self, room: Path, name: str) -> None:
        assert self._folder is not None
        failed = self._folder / "failed"
        failed.mkdir(exist_ok=True)
        if (failed / name).exists() or len(os.listdir(failed)) >= MOST_FAILURES:
            return
        if _size(room) > LARGEST_FAILURE:
            for entry in os.scandir(room):
                if entry.name not in (PARAMETERS, EVALUATION, OUTPUT, ERRORS):
                    _remove(entry)
        os.replace(room, failed / name)

    def clear(self) -> None:
        """Remove the working directories of calls that were at work when their search ended."""
        if self._folder is not None:
            for entry in (self._folder / "running").glob("*"):
                if entry.name != "former-best":
                    shutil.rmtree(entry, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON for people to read."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _size(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, file)).st_size
    return total


def _remove(entry: "os.DirEntry[str]") -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        os.unlink(entry.path)
