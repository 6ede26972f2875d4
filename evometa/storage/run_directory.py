"""The run directory: everything a run leaves behind, and all that resuming it needs.

::

    runs/sine/
      manifest.json     what was run: problem and strategy with all fields, seed, versions
      history.csv       one row a generation
      trials.csv        one row a candidate, where evaluations are dear
      drift.csv         how the weights of ω move, where it consists of weights
      calls.jsonl       the candidates of an asynchronous search, as they were asked for and completed
      timing.csv        seconds, one row a dispatch
      copied_data/      the data files that the problem reads, as they were
      candidates/       files that a problem keeps of its candidates
      failures.txt      of what the candidates of a plain-Python problem failed, with tracebacks
      checkpoints/      the newest few states, a folder each
      result.*          what was found, and archive.npz where a strategy keeps one

One process at a time may write to it. A run that is there already is replaced in one step, and only once the first rows
of the new one are known: until then the old one is whole.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from evometa.errors import RunDirectoryError
from evometa.storage import archive_file, checkpoint, data_copies, result_file
from evometa.storage.appended import Appended
from evometa.storage.call_log import CALLS
from evometa.storage.checkpoint import Checkpoint
from evometa.storage.drift import DRIFT
from evometa.storage.failures import FAILURES
from evometa.storage.files import NotWritten, write_atomically
from evometa.storage.history import HISTORY, TIMING
from evometa.storage.locking import lock, unusable
from evometa.storage.manifest import MANIFEST, Manifest, read_manifest
from evometa.storage.tables import Columns, DispatchRows, Tables
from evometa.storage.trials import TRIALS

CANDIDATES = "candidates"
"""The folder of what a problem keeps of its candidates."""
PICTURES = ("fitness", "strategy", "front", "archive")
"""The pictures that ``evometa plot`` leaves in a run directory, without their suffixes."""

_REPLACED = ".replaced"
_CANDIDATES_BEFORE = ".candidates_before"
"""Where the candidates of a run are while one that is to replace it has no rows yet, and fills that folder already."""
_FILES = (
    HISTORY,
    TIMING,
    TRIALS,
    DRIFT,
    CALLS,
    FAILURES,
    checkpoint.CHECKPOINTS,
    result_file.RESULT,
    result_file.NUMBERS,
    archive_file.ARCHIVE,
    data_copies.FOLDER,
    _CANDIDATES_BEFORE,
)
"""What a run leaves besides its manifest."""


def require_free(path: Path, *, overwrite: bool) -> None:
    """Raise RunDirectoryError unless a new run may have a folder.

    It may if there is nothing yet, a run that ended before its first generation, or, with ``overwrite``, any run.
    """
    try:
        if not path.exists():
            return
        there = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    except NotADirectoryError:
        raise RunDirectoryError(
            f"{path} was expected to be a folder and is a file; choose another run_directory."
        ) from None
    except OSError as error:
        raise unusable(path, error) from None
    if not there and not (path / _REPLACED).exists():
        return
    if MANIFEST not in there and not (path / _REPLACED / MANIFEST).exists():
        raise RunDirectoryError(
            f"{path} was expected to be empty or not to exist and holds other files ({', '.join(there[:3])}"
            f"{', ...' if len(there) > 3 else ''}), which are never removed; choose another run_directory."
        )
    if MANIFEST in there and not _started(path):
        return
    if not overwrite:
        raise RunDirectoryError(
            f"{path} exists already and is never overwritten silently; resume it, choose another "
            "run_directory, or say overwrite=True (--overwrite) to remove the run that is there."
        )
    if MANIFEST in there:
        read_manifest(path)  # of a schema that this version knows


def _started(path: Path) -> bool:
    """Return whether a run has got as far as a generation, or of an asynchronous one a completed candidate."""
    if any((path / checkpoint.CHECKPOINTS).glob("[0-9]*")) or (path / CALLS).exists():
        return True
    try:
        with open(path / HISTORY, "rb") as file:
            return bool(file.readline() and file.readline())
    except OSError:
        return False


class RunDirectory:
    """A run directory opened for writing; a context manager that closes it.

    Args:
        path: the folder; made for a new run if needed.
        manifest: the manifest that the folder is to have. That of another run is replaced with the first rows.
        known: the manifest that the folder is expected to have; None for a new run.
        overwrite: whether a new run may replace one that is there.

    Raises:
        RunDirectoryError: the folder holds something else, another process writes to it, or it cannot be written to.
    """

    def __init__(
        self, path: Path, manifest: Manifest, *, known: Manifest | None = None, overwrite: bool = False
    ) -> None:
        self.path = path
        self._due: Manifest | None = None
        self._known = known
        if known is None:
            require_free(path, overwrite=overwrite)
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unusable(path, error) from None
        self._lock = lock(path)
        self._columns = Columns()
        self._tables: Tables | None = None
        self._calls: Appended | None = None
        self._writer = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        try:
            recover(path)
            if known is not None:
                if not _same(read_manifest(path), known):
                    raise RunDirectoryError(
                        f"{path} holds another run now than this search began or resumed; resume it anew "
                        "(Search.resume), or choose another run_directory."
                    )
                self.record(manifest)
                return
            require_free(path, overwrite=overwrite)  # again, now that nobody else writes
            if (path / CANDIDATES).exists():
                os.replace(path / CANDIDATES, path / _CANDIDATES_BEFORE)
            self._due = manifest
            if not (path / MANIFEST).exists() or not _started(path):
                self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def known(self) -> Manifest | None:
        """The manifest that the folder has from this search; None while there is none."""
        return self._known

    def record(self, manifest: Manifest) -> None:
        """Have a manifest written with the next rows; of a run that continues."""
        self._due = None if self._known is not None and _same(manifest, self._known) else manifest

    def restore(self, like: Any, columns: Columns) -> Checkpoint | None:
        """Read the newest whole checkpoint and cut the tables back to it; None where there is no checkpoint.

        Args:
            like: a pytree like the state.
            columns: the columns of the tables.

        Raises:
            NotWritten: the folder's files cannot be written to.
        """
        self._columns = columns
        if self._known is None:
            return None
        found = checkpoint.load(self.path, like)
        self._open(after=found.progress["generation"] if found else 0)
        return found

    def _open(self, *, after: int) -> None:
        try:
            self._tables = Tables(self.path, self._columns, after=after)
        except OSError as error:
            raise _not_written(self.path, error) from error

    @property
    def drift_generation(self) -> int | None:
        """The generation of the last row of how weights moved, 0 where there is none; None without such a table."""
        if not self._columns.drift:
            return None
        return 0 if self._tables is None else self._tables.drift_generation

    def append(self, rows: DispatchRows) -> None:
        """Append the rows of one dispatch.

        Formatting and writing go on beside the next dispatch; what goes wrong is raised by the next call.

        Raises:
            NotWritten: rows, or before the first ones the manifest, could not be written.
        """
        self._finish()
        if self._due is not None:
            self._begin()
        if self._tables is None:
            self._open(after=0)
        assert self._tables is not None
        self._pending = self._writer.submit(self._tables.append, rows)

    def log(self, lines: bytes) -> None:
        """Append lines to the log of calls.

        Raises:
            NotWritten: they, or before the first ones the manifest, could not be written.
        """
        if self._due is not None:
            self._begin()
        try:
            if self._calls is None:
                self._calls = Appended(self.path / CALLS)
            self._calls.append(lines)
        except OSError as error:
            raise _not_written(self.path, error) from error

    def _begin(self) -> None:
        """Write the manifest; a run of another one is moved aside first, and then removed.

        Whenever the process ends, either run is whole: :func:`recover` moves the old one back where there is no new
        manifest yet.
        """
        assert self._due is not None
        aside = self.path / _REPLACED
        try:
            if self._known is None:
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir()
                for old in _files_of_a_run(self.path):  # the manifest first
                    os.replace(old, aside / old.name)
            data_copies.keep(self.path, self._due)
            write_atomically(self.path / MANIFEST, self._due.to_bytes())
        except OSError as error:
            recover(self.path)
            raise _not_written(self.path, error) from error
        shutil.rmtree(aside, ignore_errors=True)
        self._known, self._due = self._due, None

    def _finish(self) -> None:
        """Wait for the rows on their way to the files."""
        pending, self._pending = self._pending, None
        try:
            if pending is not None:
                pending.result()
        except OSError as error:
            raise _not_written(self.path, error) from error

    def save(self, saved: Checkpoint, *, keep: int) -> None:
        """Write a checkpoint, the history before it made durable.

        Raises:
            NotWritten: something could not be written, or the folder is no longer this run's.
        """
        self._finish()
        self.require_own()
        try:
            for file in (self._tables, self._calls):
                if file is not None:
                    file.flush()
        except OSError as error:
            raise _not_written(self.path, error) from error
        checkpoint.save(self.path, saved, keep=keep)

    def require_own(self) -> None:
        """Raise NotWritten where the folder was removed, moved or replaced while the search was running."""
        if self._known is None:
            return
        try:
            own = _same(read_manifest(self.path), self._known)
        except RunDirectoryError:
            own = False
        if not own:
            raise NotWritten(
                f"{self.path} was removed, moved or replaced while the search was writing to it; what was found is "
                "returned, and nothing more is written."
            )

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables and let other processes write."""
        self._writer.shutdown()
        for file in (self._tables, self._calls):
            if file is not None:
                file.close()
        if self._known is None:
            with contextlib.suppress(OSError):  # the next search that opens the folder does it then
                recover(self.path)
        self._lock.release()


def recover(path: Path) -> None:
    """Complete or undo a replacement whose process ended, so that one whole run is there."""
    aside, candidates = path / _REPLACED, path / _CANDIDATES_BEFORE
    if aside.is_dir():
        if not (path / MANIFEST).exists():
            for old in sorted(aside.iterdir(), key=lambda entry: entry.name == MANIFEST):  # the manifest last
                os.replace(old, path / old.name)
        shutil.rmtree(aside, ignore_errors=True)
    if candidates.is_dir():
        shutil.rmtree(path / CANDIDATES, ignore_errors=True)
        os.replace(candidates, path / CANDIDATES)


def _files_of_a_run(path: Path) -> Iterator[Path]:
    """Return what a run and its pictures left in a folder, the manifest first; a user's own files are not among it."""
    entries = sorted(path.iterdir(), key=lambda entry: entry.name != MANIFEST)
    for entry in entries:
        picture = entry.suffix in (".png", ".svg", ".pdf") and entry.stem in PICTURES
        if entry.name in (MANIFEST, *_FILES) or picture:
            yield entry


def _same(one: Manifest, other: Manifest) -> bool:
    return one.to_bytes() == other.to_bytes()


def _not_written(path: Path, error: OSError) -> NotWritten:
    return NotWritten(
        f"Could not write the history in {path}: {error}; nothing written earlier is lost, so make room "
        "or fix the folder's permissions, then resume the run."
    )
