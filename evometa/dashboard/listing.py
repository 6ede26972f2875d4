"""All runs under a directory; of each only what has changed is read again, and only what has changed is sent."""

import dataclasses
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from evometa.dashboard import summaries
from evometa.dashboard.folders import Found, run_directories

PAUSE = 0.5
"""Seconds within which the directory is not looked through again."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A run in the list."""

    name: str
    """Its path within the directory; "." for the directory itself."""
    found: Found
    content: summaries.Content
    status: str
    reason: str
    stamp: summaries.Stamp
    local: bool
    """Whether it was seen to be written to by a search on this machine."""
    version: int
    """That of the list when the line last changed."""

    def as_json(self) -> dict[str, Any]:
        """Return the line as the page shows it."""
        written = [stat.st_mtime for name, stat in self.found.files.items() if name in summaries.READ]
        group, _, _ = self.name.rpartition("/")
        shown = dataclasses.asdict(self.content)
        del shown["stop_code"], shown["stop_reason"], shown["damage"]
        extra = {"status": self.status, "reason": self.reason, "written": max(written, default=None)}
        return {"name": self.name, "group": group, "sweep": self.found.sweep, **shown, **extra}


class Listing:
    """The runs under a directory; may be asked by several threads.

    Args:
        root: the directory, resolved.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._identity = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._looked = -PAUSE
        self._version = 0
        self._lines: dict[str, Line] = {}
        self._gone: dict[str, int] = {}

    def line(self, name: str) -> Line | None:
        """Return the run of a path within the directory, None where there is none.

        Only what was found in the directory is looked up, so no name leads out of it.
        """
        return self._current().get(name)

    def changes(self, identity: str, since: int) -> dict[str, Any]:
        """Return what has changed in the list since a version, as JSON.

        Args:
            identity: of the listing that the version is of; all lines are returned to one that comes from another.
            since: the version.
        """
        lines = self._current()
        since = since if identity == self._identity else 0
        changed = [line.as_json() for line in lines.values() if line.version > since]
        gone = [name for name, version in self._gone.items() if version > since and name not in lines]
        return {"identity": self._identity, "version": self._version, "runs": changed, "gone": gone if since else []}

    def _current(self) -> dict[str, Line]:
        with self._lock:
            if time.monotonic() - self._looked >= PAUSE:
                self._look()
                self._looked = time.monotonic()
            return self._lines

    def _look(self) -> None:
        locked, version, lines = summaries.locked_inodes(), self._version + 1, {}
        for found in run_directories(self.root):
            path = found.path.relative_to(self.root).as_posix()
            name = path.encode(errors="backslashreplace").decode()  # names need not be text
            lines[name] = self._line(name, found, locked, version)
        gone = self._lines.keys() - lines.keys()
        if gone or any(line.version == version for line in lines.values()):
            self._version = version
            self._gone |= dict.fromkeys(gone, version)
        self._lines = lines

    def _line(self, name: str, found: Found, locked: frozenset[int], version: int) -> Line:
        before, stamp = self._lines.get(name), summaries.stamp(found)
        same = before is not None and before.stamp == stamp and before.found.refused == found.refused
        content = before.content if before is not None and same else summaries.read(found)
        held = summaries.is_locked(found, locked)
        local = held or (before is not None and before.local)
        status, reason = summaries.status(found, content, locked=held, local=local)
        line = Line(name, found, content, status, reason, stamp, local, version)
        if before is None or not same or (before.status, before.reason) != (status, reason):
            return line
        return dataclasses.replace(line, version=before.version)
