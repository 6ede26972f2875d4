"""The run directories under a directory, without following a link out of it."""

import os
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
    link_out: str
    """The name of a link in it that leads out of the directory; empty where there is none."""
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
    files, out = {}, ""
    for entry in there:
        if entry.is_symlink() and leads_out(root, Path(entry.path)):
            out = out or entry.name
            continue
        try:
            files[entry.name] = entry.stat()
        except OSError:  # removed meanwhile
            continue
    return Found(folder, files, out, sweep)


def leads_out(root: Path, path: Path) -> bool:
    """Return whether a path, its links followed, lies outside of a resolved directory, or cannot be followed."""
    try:
        return not path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return True


def link_out(root: Path, folder: Path) -> str:
    """Return the path within a run directory of a link that leads out of a directory; empty where there is none."""
    if leads_out(root, folder):
        return "."
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and leads_out(root, path):
                return str(path.relative_to(folder))
    return ""
