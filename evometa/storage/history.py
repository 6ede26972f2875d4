"""The history of a run: CSV files with one row per generation, which ``pandas.read_csv`` reads (RFC 4180).

``history.csv`` depends only on the seed, and is identical to the byte however often a run was interrupted;
``timing.csv`` holds the elapsed time, one row per dispatch. Rows are appended, and synced to disk before the checkpoint
of their generation is written; on resume, rows after the checkpoint are dropped.
"""

import bisect
import contextlib
import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.storage.appended import Appended
from evometa.storage.files import run_folder, write_atomically
from evometa.storage.notebooks import columns_table

HISTORY, TIMING = "history.csv", "timing.csv"
COUNTS = ("generation", "evaluations", "inner_steps", "failed")
TIMING_COLUMNS = ("generation", "seconds")
_BLOCK = 2**20
_TAIL = 2**12
STATISTICS = ("best", "lower_quartile", "median", "upper_quartile")
"""Columns that the fitness of a generation gives."""
MEASURED = ("best_so_far", "center", "held_out")
"""Columns that every search measures besides."""
COLUMNS = {*COUNTS, *TIMING_COLUMNS, *STATISTICS, *MEASURED, "feasible", "stopped"}
"""The history's own columns; the names of all others begin with one of the groups."""
GROUPS = ("strategy/", "best/", "center/", "held_out/")


class Table(Appended):
    """An append-only CSV file whose first column is the generation, ascending."""

    def __init__(self, path: Path, columns: Sequence[str], *, after: int, complete: bool = True) -> None:
        """Open a table; keep the complete rows up to generation ``after`` and drop the others.

        Args:
            path: the file.
            columns: the names of its columns.
            after: the generation.
            complete: whether there must be a row of that generation; otherwise the table may also end before it.
        """
        header = _header(columns).encode()
        self.newest = 0
        """The generation of the last row that was there; 0 where there was none."""
        if not after or not (complete or path.exists()):
            write_atomically(path, header)
        else:
            self.newest = self._cut(path, header, len(columns), after, complete)
        super().__init__(path)

    @staticmethod
    def _cut(path: Path, header: bytes, columns: int, after: int, complete: bool) -> int:
        """Cut a file behind the row of a generation, and return that; it stays as it is where it ends there."""
        found, newest, end = b"", 0, 0
        instead = "restore the file from a copy, or " + ("start a new run" if complete else "remove it")
        try:
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                found = file.readline()
                newest, end = _end_of(file, file.tell(), after)
            written, own = found.decode().strip(), header.decode().strip()
            same = not found or read_header(written, columns) == read_header(own, columns)
        except (ValueError, csv.Error):
            raise RunDirectoryError(
                f"{path} was expected to be a table of the run, and is damaged; {instead}."
            ) from None
        if not same:
            raise RunDirectoryError(
                f"{path} has the columns {written!r}, and this version writes {own!r}; continue the run with the "
                "version that began it."
            )
        if newest != after and complete:
            raise RunDirectoryError(
                f"{path} was expected to reach generation {after}, where the checkpoint is, and ends before it; "
                f"{instead}."
            )
        if found != header:  # an older version wrote the names of the columns in another way
            write_atomically(path, header + path.read_bytes()[len(found) : end])
        elif end < path.stat().st_size:
            os.truncate(path, end)
        return newest


def _header(columns: Sequence[str]) -> str:
    """Return the line that names the columns, in quotes where a name has a comma or a quote."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(columns)
    return line.getvalue()


def read_header(line: str, count: int | None) -> list[str]:
    """Return the names of the columns; ``count`` is how many cells a row has, None where there is none."""
    names = next(csv.reader([line]))
    if count is None or len(names) == count or '"' in line:
        return names
    # Older versions put no quotes around a comma in the name of a metric: what is no name is the rest of one.
    joined: list[str] = []
    for name in names:
        whole = name.startswith(GROUPS) or name in COLUMNS
        joined[len(joined) - (not whole) :] = [name if whole else f"{joined[-1]},{name}"]
    return joined


def _end_of(file: IO[bytes], begin: int, generation: int) -> tuple[int, int]:
    """Return the generation of the last complete row up to one, 0 where there is none, and where that row ends.

    Only the end of the file is read; the first column is ascending.

    Args:
        file: the file.
        begin: where its rows begin.
        generation: the number of a generation.
    """
    start, tail = file.seek(0, os.SEEK_END), b""
    while True:
        before, start = start, max(begin, start - _BLOCK)
        file.seek(start)
        tail = file.read(before - start) + tail
        rows = tail if start == begin else tail.partition(b"\n")[2]  # from the beginning of a row on
        if start == begin or (b"\n" in rows and _generation(rows) <= generation):
            break
    lines = rows.split(b"\n")[:-1]  # after the last line end there is nothing, or an incomplete row
    kept = bisect.bisect_right(lines, generation, key=_generation)
    end = start + len(tail) - len(rows) + sum(len(line) + 1 for line in lines[:kept])
    return (_generation(lines[kept - 1]) if kept else 0), end


def _generation(row: bytes) -> int:
    return int(row.split(b",", 1)[0])


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

    def to_pandas(self) -> Any:
        """Return the history as a ``pandas.DataFrame``, one row a generation, with a column ``seconds``.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return as_frame({**self.columns, "seconds": self.seconds})

    def _repr_html_(self) -> str:
        """Return the first and the last generations as a table, for notebooks."""
        names = [name for name, column in self.columns.items() if np.isfinite(column).any()]
        rows = [[self.columns[name][row] for name in names] for row in self._ends()]
        return columns_table(names, rows, gap=5 if len(rows) < len(self) else None)

    def _ends(self) -> list[int]:
        everything = range(len(self))
        return list(everything) if len(self) <= 10 else [*everything[:5], *everything[-5:]]

    def __repr__(self) -> str:
        """Return how long the history is and what it records."""
        return f"History({len(self)} generations: {', '.join(self.columns)})"

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Elapsed seconds at the end of each generation ``[G]``, interpolated between dispatches."""
        generations, seconds = (np.append(0.0, self.timing[name]) for name in TIMING_COLUMNS)
        return np.asarray(np.interp(self["generation"], generations, seconds))


def as_frame(columns: dict[str, NDArray[Any]]) -> Any:
    """Return columns as a ``pandas.DataFrame``.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ConfigurationError(
            "A table as a DataFrame expects pandas, which is not installed; 'pip install pandas', or read the columns "
            "of a History, which are NumPy arrays, or the CSV files of the run."
        ) from None
    return pd.DataFrame(columns)


def read(run_directory: str | os.PathLike[str]) -> History:
    """Read the history of a run, also while it is running.

    Raises:
        RunDirectoryError: the folder holds no history.
    """
    folder = run_folder(run_directory)
    return History(read_table(folder / HISTORY), read_table(folder / TIMING))


def newest(run_directory: str | os.PathLike[str]) -> dict[str, float] | None:
    """Return the newest values of a run by column, ``seconds`` too, from the ends of its files; None before the first.

    What is not measured in each generation has its last value, as far as that is near the end, and else NaN.

    Raises:
        RunDirectoryError: a file cannot be read.
    """
    folder = run_folder(run_directory)
    found = _newest(folder / HISTORY)
    return None if found is None else found | {"seconds": (_newest(folder / TIMING) or {}).get("seconds", np.nan)}


def _newest(path: Path) -> dict[str, float] | None:
    try:
        with open(path, "rb") as file:
            header = file.readline(_BLOCK).decode().rstrip("\n")
            begin, end = file.tell(), file.seek(0, os.SEEK_END)
            rows = _last_rows(file, begin, end)
        if not rows:
            return None
        names = read_header(header, rows.partition(b"\n")[0].count(b",") + 1)
        table = _numbers(rows, len(names))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, csv.Error):
        raise _unreadable(path) from None
    known = (column[np.isfinite(column)] for column in table.T)
    return {name: float(values[-1]) if values.size else np.nan for name, values in zip(names, known, strict=True)}


def _last_rows(file: IO[bytes], begin: int, end: int) -> bytes:
    """Return some of the last complete rows of a table, without the last line end; empty where there are none."""
    size = _TAIL
    while size <= _BLOCK:
        start = max(begin, end - size)
        file.seek(start)
        rows = file.read(end - start).rpartition(b"\n")[0]
        if start == begin:
            return rows
        rows = rows.partition(b"\n")[2]  # from the beginning of a row on
        if rows:
            return rows
        size *= 4
    raise ValueError("a row of more than a mebibyte")


def _unreadable(path: Path) -> RunDirectoryError:
    return RunDirectoryError(
        f"{path} was expected to hold a run's history and cannot be read; give the folder of a run."
    )


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of a table of numbers, also while a search appends to it.

    Raises:
        RunDirectoryError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            header = file.readline().decode().rstrip("\n")
            begin, row = file.tell(), file.readline()
            file.seek(begin)
            names = read_header(header, row.count(b",") + 1 if row.endswith(b"\n") else None)
            if names[:1] != [COUNTS[0]]:
                raise _unreadable(path)
            columns: list[list[NDArray[np.float64]]] = [[np.empty(0)] for _ in names]
            for rows in _whole_rows(file):
                for column, part in zip(columns, _numbers(rows, len(names)).T, strict=True):
                    column.append(part.copy())
    except (OSError, ValueError, csv.Error):
        raise _unreadable(path) from None
    found: dict[str, NDArray[Any]] = {}
    for name in names:  # each column's parts go once it is whole, so that the table is in memory once
        found[name] = np.concatenate(columns.pop(0)).astype(np.int64 if name in COUNTS else np.float64, copy=False)
    return found


def _whole_rows(file: IO[bytes]) -> Iterator[bytes]:
    """Return the rows that follow in blocks; an incomplete last one, of a search that is writing, is left out."""
    rest = b""
    while block := file.read(_BLOCK):
        rows, end, rest = (rest + block).rpartition(b"\n")
        if end:
            yield rows


def _numbers(rows: bytes, count: int) -> NDArray[np.float64]:
    """Return rows as numbers ``[N, count]``; empty cells, which are at no row's beginning, are NaN."""
    for end in (b",", b",", b"\n"):  # the first of two neighbours hides the second
        rows = rows.replace(b"," + end, b",null" + end)
    if rows.endswith(b","):
        rows += b"null"
    # Numbers in CSV are numbers in JSON, which orjson reads twice as fast as numpy reads text.
    return np.array(orjson.loads(b"[" + rows.replace(b"\n", b",") + b"]"), np.float64).reshape(-1, count)
