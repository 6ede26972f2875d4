"""A run in a line of the list: what was searched, how far it is, and whether it runs, from the ends of its files."""

import dataclasses
import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evometa.dashboard.folders import Found
from evometa.errors import RunDirectoryError
from evometa.naming.words import value_in_words
from evometa.sharing.sweeps import UNFINISHED
from evometa.storage import history, result_file
from evometa.storage.failures import FAILURES
from evometa.storage.history import HISTORY, TIMING
from evometa.storage.locking import LOCK
from evometa.storage.manifest import MANIFEST, read_manifest

LOCKS = Path("/proc/locks")
"""Where Linux says which files are locked, so that nobody has to try a lock that a search may want."""
RECENT = 60.0
"""Seconds since the last rows within which a run counts as running that may be locked on another machine."""
READ = (MANIFEST, HISTORY, TIMING, result_file.NUMBERS)
"""The files that a line of the list is read from."""
SHOWN = (*READ, result_file.RESULT, FAILURES)
"""The files whose change changes the page of a run."""

Stamp = tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Content:
    """What the files of a run say; numbers that are not known are None, as JSON has it."""

    problem: str = ""
    strategy: str = ""
    settings: str = ""
    seed: int | None = None
    created: str = ""
    direction: str = ""
    generations: int = 0
    evaluations: int | None = None
    seconds: float | None = None
    best: float | None = None
    held_out: float | None = None
    stop_code: str = ""
    stop_reason: str = ""
    damage: str = ""
    """What is wrong with the files; empty where nothing is."""


def stamp(found: Found, names: tuple[str, ...] = READ) -> Stamp:
    """Return what changes whenever a file of a run does: time and size of each."""
    known = ((name, found.files.get(name)) for name in names)
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in known if stat is not None)


def read(found: Found) -> Content:
    """Read what a line of the list says; whatever cannot be read is damage, never an error."""
    if found.refused:
        return Content(damage=found.refused)
    content, damage = Content(), []
    try:
        manifest = read_manifest(found.path)
        kinds = [part["type"].rpartition(":")[2] for part in (manifest.problem, manifest.strategy)]
        content = Content(
            problem=kinds[0],
            strategy=kinds[1],
            settings=" ".join(map(value_in_words, (manifest.problem, manifest.strategy))),
            seed=int(manifest.seed),
            created=manifest.created[:16].replace("T", " "),
            direction=manifest.direction or "",
        )
    except RunDirectoryError as error:
        damage.append(str(error))
    except (AttributeError, KeyError, TypeError, ValueError):  # JSON of another kind
        damage.append(f"{found.path / MANIFEST} was expected to describe a run, and does not.")
    try:
        newest = history.newest(found.path) or {}
    except RunDirectoryError as error:
        newest = {}
        damage.append(str(error))
    numbers = result_file.numbers(found.path)
    if numbers is None and result_file.NUMBERS in found.files:
        damage.append(f"{found.path / result_file.NUMBERS} was expected to hold the numbers of a result, and does not.")
    words = " ".join(damage).replace(f"{found.path}/", "").replace(f"{found.path}", "The folder")
    return dataclasses.replace(content, damage=words, **_progress(newest, numbers or {}))


def _progress(newest: Mapping[str, float], numbers: Mapping[str, Any]) -> dict[str, Any]:
    generations = int(_known(newest.get("generation")) or 0)
    current = numbers.get("generations") == generations  # else it is that of an earlier part of the run
    evaluations = _known(newest.get("evaluations"))
    selected = _known(numbers.get("selected_held_out")) if current else None
    return {
        "generations": generations,
        "evaluations": None if evaluations is None else int(evaluations),
        "seconds": _known(newest.get("seconds")),
        "best": _known(newest.get("best_so_far", numbers.get("best_fitness"))),
        "held_out": _known(newest.get("held_out")) if selected is None else selected,
        "stop_code": str(numbers.get("stop_code", "")) if current else "",
        "stop_reason": str(numbers.get("stop_reason", "")) if current else "",
    }


def _known(value: Any) -> float | None:
    return float(f"{value:.7g}") if isinstance(value, int | float) and math.isfinite(value) else None


def locked_inodes() -> frozenset[int]:
    """Return the inodes of the files that are locked on this machine; none where it does not say."""
    try:
        return frozenset(int(found) for found in re.findall(r"FLOCK .*:(\d+) ", LOCKS.read_text()))
    except OSError:
        return frozenset()


def is_locked(found: Found, locked: frozenset[int]) -> bool:
    """Return whether a search on this machine writes to a run directory."""
    lock = found.files.get(LOCK)
    return lock is not None and lock.st_ino in locked


def status(found: Found, content: Content, *, locked: bool, local: bool) -> tuple[str, str]:
    """Return the status of a run in a word, and its reason in a sentence.

    Args:
        found: the run directory.
        content: what its files say.
        locked: whether it is locked now.
        local: whether it was seen locked, so that it is known to be searched on this machine.
    """
    if content.damage:
        return "damaged", content.damage
    if locked:
        return "running", "" if content.generations else "no generation yet"
    if content.stop_code and content.stop_code not in UNFINISHED:
        return ("failed" if content.stop_code == "all_failed" else "ended"), content.stop_reason
    if content.stop_code and content.stop_code != "running":
        return "stopped", content.stop_reason
    written = max((found.files[name].st_mtime for name in (HISTORY, MANIFEST) if name in found.files), default=0.0)
    if not local and time.time() - written < RECENT:
        return "running", ""
    return "stopped", "no end was recorded: killed, or on another machine"
