"""The run directories under a directory, without following a link out of it."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from evometa.sharing.sweeps import PLAN
from evometa.storage.checkpoint import CHECKPOINTS
from evometa.storage.data_copies import FOLDER as COPIES
from evometa.storage.history import HISTORY
from evometa.storage.manifest import MANIFEST

MOST_DEPTH = 6
"""Folders below the directory in which runs are looked for."""
MOST_FOLDERS = 20_000
"""Folders that are looked into."""


class Found(NamedTuple):
    """A run directory."""

    path: Path
    files: Mapping[str, os.stat_result]
    """What lies in it, by name."""
    refused: str
    """Why what lies in it is not read, in a sentence; empty where it is."""
    sweep: bool
    """Whether it is part of a sweep."""


def run_directories(root: Path) -> Iterator[Found]:
    """Return the run directories under a resolved directory; folders that vanish meanwhile are left out.

    Folders that are links are not entered: those that lead elsewhere in the directory are found there. A run without a
    manifest counts as one, so that the damage is seen.
    """
    waiting, seen = [(root, 0, False)], 0
    while waiting and seen < MOST_FOLDERS:
        folder, depth, sweep = waiting.pop()
        seen += 1
        try:
            with os.scandir(folder) as entries:
                there = list(entries)
            names = {entry.name for entry in there}
            run = MANIFEST in names or HISTORY in names
            if run:
                yield _found(root, folder, there, sweep)
            below = depth < MOST_DEPTH
            waiting += [
                (folder / entry.name, depth + 1, PLAN in names)
                for entry in there
                if below and entry.is_dir(follow_symlinks=False) and not _passed_over(entry.name, run)
            ]
        except OSError:
            continue


def _passed_over(name: str, run: bool) -> bool:
    return name.startswith(".") or (run and name in (CHECKPOINTS, COPIES))


def _found(root: Path, folder: Path, there: list[os.DirEntry[str]], sweep: bool) -> Found:
    files, refused = {}, ""
    for entry in there:
        try:
            found = entry.stat()
        except OSError:  # removed meanwhile, or a link that leads nowhere
            continue
        files[entry.name] = found
        refused = refused or _refusal(root, Path(entry.path), entry.name, found.st_mode, link=entry.is_symlink())
    return Found(folder, files, refused, sweep)


def refusal(root: Path, folder: Path) -> str:
    """Return why a run directory is not to be read, whole as it is, in a sentence; empty where it may be.

    Args:
        root: the resolved directory of the dashboard.
        folder: the run directory.
    """
    if _leads_out(root, folder):
        return "The folder lies outside of the directory, or is gone."
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            with contextlib.suppress(OSError):  # removed meanwhile, or a link that leads nowhere
                shown = str(path.relative_to(folder))
                refused = _refusal(root, path, shown, path.stat().st_mode, link=path.is_symlink())
                if refused:
                    return refused
    return ""


def _refusal(root: Path, path: Path, name: str, mode: int, *, link: bool) -> str:
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # reading a pipe would wait for ever
        return f"{name} is neither a file nor a folder, and is not read."
    if link and _leads_out(root, path):
        return f"{name} is a link that leads out of the directory, and is not followed."
    return ""


def _leads_out(root: Path, path: Path) -> bool:
    """Return whether a path, its links followed, lies outside of a resolved directory, or cannot be followed."""
    try:
        return not path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return True
