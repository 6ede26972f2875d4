"""The run directory: everything a run leaves behind, and all that resuming it needs.

::

    runs/sine/
      manifest.json     what was run: problem and strategy with all fields, seed, versions (written once)
      history.csv       one row a generation
      timing.csv        seconds, one row a dispatch
      checkpoints/      the newest few states, a folder each

One process at a time may write to it.
"""

import errno
import importlib.metadata
import json
import shutil
import subprocess
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from evometa import naming
from evometa.errors import RunDirectoryError
from evometa.storage import checkpoint
from evometa.storage.checkpoint import Checkpoint
from evometa.storage.files import write_atomically
from evometa.storage.history import COUNTS, HISTORY, TIMING, TIMING_COLUMNS, Table, format_rows

SCHEMA_VERSION = 1
MANIFEST, LOCK = "manifest.json", ".lock"
_CANNOT_LOCK = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How a file system answers that it has no locks: Lustre mounted without them, NFS without its lock service."""
_PACKAGES = ("evometa", "jax", "jaxlib", "numpy", "optax", "flax", "evosax", "orbax-checkpoint")


class Manifest(NamedTuple):
    """What was run; the content of ``manifest.json``."""

    problem: dict[str, Any]
    """The problem as :func:`evometa.naming.describe` gives it."""
    strategy: dict[str, Any]
    """The strategy, likewise."""
    seed: int
    options: dict[str, Any]
    """The search's options that its results depend on."""
    sources: dict[str, Any]
    """Path and digest of each user's file that defines the problem or strategy."""
    versions: dict[str, str]
    """Versions of evometa and its main dependencies."""
    git_commit: str | None
    """The commit of the folder the run was started in, if it is under git."""
    created: str
    """Local time, ISO 8601."""
    schema_version: int = SCHEMA_VERSION


def describe_run(problem: Any, strategy: Any, seed: int, options: dict[str, Any]) -> Manifest:
    """Return the manifest of a new run."""
    sources = {reference: found for reference, found in map(_source, (problem, strategy)) if found}
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return Manifest(
        naming.describe(problem), naming.describe(strategy), seed, options, sources, versions, _git_commit(), created
    )


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a run.

    Raises:
        RunDirectoryError: there is none, it cannot be read, or it was written by another schema.
    """
    try:
        content = json.loads((path / MANIFEST).read_text())
        version = content["schema_version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RunDirectoryError(
            f"{path} was expected to be a run directory with a readable {MANIFEST}; give the folder of a run."
        ) from None
    if version != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{path / MANIFEST} has schema version {version}, and this version of evometa reads {SCHEMA_VERSION}; "
            f"use the version that wrote it, evometa {content.get('versions', {}).get('evometa', 'unknown')}."
        )
    return Manifest(**{name: content[name] for name in Manifest._fields})


def warn_of_changes(manifest: Manifest, problem: Any, strategy: Any) -> None:
    """Warn when a user's file no longer has the content that the run began with."""
    for thing in (problem, strategy):
        reference, now = _source(thing)
        before = manifest.sources.get(reference)
        if now and before and now["sha256"] != before["sha256"]:
            warnings.warn(
                f"{now['file']} has changed since the run began; what is computed from here on may differ.",
                stacklevel=3,
            )


class RunDirectory:
    """A run directory opened for writing; a context manager that closes it.

    Args:
        path: the folder; made if needed.
        manifest: written when the folder is new.
        overwrite: remove a run that is there already.

    Raises:
        RunDirectoryError: the folder holds something already, or another process writes to it.
    """

    def __init__(self, path: Path, manifest: Manifest | None = None, *, overwrite: bool = False) -> None:
        self.path = path
        if manifest is not None:
            if path.exists() and (not path.is_dir() or any(map(_holds_something, path.iterdir()))):
                if not overwrite:
                    raise RunDirectoryError(
                        f"{path} exists already and is never overwritten silently; resume it, choose another "
                        "run_directory, or say overwrite=True (--overwrite) to remove the run that is there."
                    )
                read_manifest(path)  # remove nothing that is not a run
            path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path)
        self._tables: tuple[Table, Table] | None = None
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        if manifest is not None:
            shutil.rmtree(path / checkpoint.CHECKPOINTS, ignore_errors=True)
            for name in (HISTORY, TIMING):
                (path / name).unlink(missing_ok=True)
            write_atomically(path / MANIFEST, json.dumps(manifest._asdict(), indent=2).encode() + b"\n")

    def restore(self, like: Any, columns: Sequence[str]) -> Checkpoint | None:
        """Read the newest whole checkpoint and cut the tables back to it; None where there is no checkpoint."""
        found = checkpoint.load(self.path, like)
        after = found.progress["generation"] if found else 0
        self._tables = (
            Table(self.path / HISTORY, (*COUNTS, *columns), after=after),
            Table(self.path / TIMING, TIMING_COLUMNS, after=after),
        )
        return found

    def append(self, counts: Any, values: Any, generation: int, seconds: float) -> None:
        """Append the rows of one dispatch, and its row of timing.

        Formatting and writing go on beside the next dispatch; what goes wrong is raised by the next call.
        """
        self._finish()
        self._pending = self._writer.submit(self._append, counts, values, generation, seconds)

    def _append(self, counts: Any, values: Any, generation: int, seconds: float) -> None:
        history, timing = self._opened()
        history.append(format_rows(counts, values))
        timing.append(format_rows(np.array([[generation]], np.int64), np.array([[seconds]])))

    def _finish(self) -> None:
        """Wait for the rows on their way to the files."""
        pending, self._pending = self._pending, None
        try:
            if pending is not None:
                pending.result()
        except OSError as error:
            raise _not_written(self.path, error) from error

    def save(self, saved: Checkpoint, *, keep: int) -> None:
        """Write a checkpoint, the history before it made durable."""
        self._finish()
        try:
            for table in self._opened():
                table.flush()
        except OSError as error:
            raise _not_written(self.path, error) from error
        checkpoint.save(self.path, saved, keep=keep)

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables and let other processes write."""
        self._writer.shutdown()
        for table in self._tables or ():
            table.close()
        self._lock.release()

    def _opened(self) -> tuple[Table, Table]:
        assert self._tables is not None, "restore comes before writing"
        return self._tables


def _not_written(path: Path, error: OSError) -> RunDirectoryError:
    return RunDirectoryError(
        f"Could not write the history in {path}: {error}; nothing written earlier is lost, so make room "
        "or mend the folder's rights, then resume the run."
    )


def _holds_something(entry: Path) -> bool:
    """Return whether a file is more than what a process killed before it had written the manifest leaves."""
    return entry.name != LOCK and not entry.name.startswith(f".{MANIFEST}.")


def _lock(path: Path) -> FileLock:
    """Lock a folder for this process; the system takes the lock back when the process ends, however it ends.

    Where the file system cannot lock, a warning says so and the search runs without: filelock's other kind of lock, a
    file that says "taken", would stay after a kill and keep the run from being resumed, and a refusal would keep
    people from the only large disk that some clusters have.
    """
    if not path.is_dir():  # filelock would make it
        raise RunDirectoryError(f"{path} was expected to be a folder that can be written to, and is not there.")
    lock = FileLock(path / LOCK, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunDirectoryError(
            f"{path} is being written to by another search; wait for it, or choose another run_directory."
        ) from None
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise RunDirectoryError(f"{path} was expected to be a folder that can be written to: {error}.") from None
        warnings.warn(
            f"{path} is on a file system that cannot lock files ({error.strerror}): a second search that writes there "
            "would not be noticed, so start only one, or choose a run_directory elsewhere.",
            stacklevel=4,
        )
    return lock


def _source(thing: Any) -> tuple[str, dict[str, Any] | None]:
    return naming.reference(type(thing)), naming.fingerprint(type(thing))


def _git_commit() -> str | None:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
