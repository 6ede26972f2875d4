"""The history of a run: CSV files with one row per generation, which ``pandas.read_csv`` reads.

``history.csv`` depends only on the seed, and is identical to the byte however often a run was interrupted;
``timing.csv`` holds the elapsed time, one row per dispatch. Rows are appended, and synced to disk before the checkpoint
of their generation is written; on resume, rows after the checkpoint are dropped.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from evometa.errors import RunDirectoryError
from evometa.storage.files import sync, write_atomically

HISTORY, TIMING = "history.csv", "timing.csv"
COUNTS = ("generation", "evaluations", "inner_steps", "failed")
TIMING_COLUMNS = ("generation", "seconds")


class Table:
    """An append-only CSV file whose first column is the generation, ascending."""

    def __init__(self, path: Path, columns: Sequence[str], *, after: int) -> None:
        """Open a table; keep the complete rows up to generation ``after`` and drop the others."""
        header = (",".join(columns) + "\n").encode()
        kept = header
        if after:
            kept = _rows_until(path.read_bytes() if path.exists() else header, after)
            if not kept.startswith(header):
                found = kept.split(b"\n", 1)[0].decode()
                raise RunDirectoryError(
                    f"{path} has the columns {found!r}, and this version writes "
                    f"{header.decode().strip()!r}; continue the run with the version that began it."
                )
            if kept.rsplit(b"\n", 2)[-2].split(b",", 1)[0] != b"%d" % after:
                raise RunDirectoryError(
                    f"{path} was expected to reach generation {after}, where the checkpoint is, and ends before it; "
                    "restore the file from a copy, or start a new run."
                )
        write_atomically(path, kept)
        self._file: io.FileIO = open(path, "ab", buffering=0)  # noqa: SIM115  (closed by close)

    def append(self, rows: bytes) -> None:
        """Append complete rows; if writing fails (a full disk), remove the partial rows and raise the error."""
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(rows):
                written += self._file.write(rows[written:])
        except OSError:
            self._file.truncate(end)
            raise

    def flush(self) -> None:
        """Sync the appended rows to disk, so that they survive a crash of the machine."""
        sync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows_until(text: bytes, generation: int) -> bytes:
    """Return the header and the complete rows up to a generation; the first column is ascending."""
    lines = text.split(b"\n")[:-1]  # after the last line end there is nothing, or an incomplete row
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        if int(lines[middle].split(b",", 1)[0]) <= generation:
            low = middle + 1
        else:
            high = middle
    return b"\n".join(lines[:low]) + b"\n"


def format_rows(counts: NDArray[np.int64], values: NDArray[Any]) -> bytes:
    """Return CSV rows of integers ``[N, I]`` followed by floats ``[N, F]``, with empty cells for non-finite floats.

    Floats are written with the fewest digits that identify them exactly.
    """
    left, right = (
        orjson.dumps(np.ascontiguousarray(part), option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")
        for part in (counts, values)
    )
    return b"".join(b"%s,%s\n" % pair for pair in zip(left, right, strict=True)).replace(b"null", b"")


class History:
    """The recorded history of a run, by column.

    Args:
        columns: name -> array ``[G]``; empty cells are NaN.
        timing: the columns ``generation`` and ``seconds``, one row per dispatch.
    """

    def __init__(self, columns: dict[str, NDArray[Any]], timing: dict[str, NDArray[Any]]) -> None:
        self.columns = columns
        self.timing = timing

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.columns["generation"])

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Elapsed seconds at the end of each generation ``[G]``, interpolated between dispatches."""
        generations, seconds = (np.append(0.0, self.timing[name]) for name in TIMING_COLUMNS)
        return np.asarray(np.interp(self["generation"], generations, seconds))


def read(run_directory: str | os.PathLike[str]) -> History:
    """Read the history of a run, also while it is running.

    Raises:
        RunDirectoryError: the folder holds no history.
    """
    folder = Path(run_directory)
    return History(_read_table(folder / HISTORY), _read_table(folder / TIMING))


def _read_table(path: Path) -> dict[str, NDArray[Any]]:
    try:
        header, *lines = path.read_text().split("\n")[:-1]
    except (OSError, ValueError):
        raise RunDirectoryError(
            f"{path} was expected to hold a run's history and cannot be read; give the folder of a run."
        ) from None
    names = header.split(",")
    cells = np.array([line.split(",") for line in lines], dtype=object).reshape(len(lines), len(names))
    cells[cells == ""] = "nan"
    return {name: cells[:, i].astype(np.int64 if name in COUNTS else np.float64) for i, name in enumerate(names)}
