"""The tables of a run, to which a search appends: history, timing, trials, and how weights move."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from evometa.storage.drift import DRIFT
from evometa.storage.history import COUNTS, HISTORY, TIMING, TIMING_COLUMNS, Table, format_rows
from evometa.storage.trials import Row, TrialsFile

T = TypeVar("T", Table, TrialsFile)


class Columns(NamedTuple):
    """The columns of the tables; none where a run has no such table."""

    history: tuple[str, ...] = ()
    """Beside the counts."""
    trials: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()


class DispatchRows(NamedTuple):
    """What is appended after one dispatch."""

    counts: Any
    """``[N, 4]``, of each generation."""
    values: Any
    """``[N, F]``, the other columns of the history."""
    generation: int
    """The last one."""
    seconds: float
    """The seconds of the search until then."""
    trials: Sequence[Row] = ()
    drift: bytes = b""
    """Lines."""


class Tables:
    """The tables of a run, opened for appending.

    Args:
        folder: the run directory.
        columns: their columns.
        after: the generation up to which rows are kept; those after it are dropped.

    Raises:
        RunDirectoryError: a table is damaged, ends too early, or has other columns.
    """

    def __init__(self, folder: Path, columns: Columns, *, after: int) -> None:
        self._all: list[Table | TrialsFile] = []
        self._trials: TrialsFile | None = None
        self._drift: Table | None = None
        try:
            self._history = self._opened(Table(folder / HISTORY, (*COUNTS, *columns.history), after=after))
            self._timing = self._opened(Table(folder / TIMING, TIMING_COLUMNS, after=after, complete=False))
            if columns.trials:
                self._trials = self._opened(TrialsFile(folder, columns.trials, after=after))
            if columns.drift:
                self._drift = self._opened(Table(folder / DRIFT, columns.drift, after=after, complete=False))
        except BaseException:
            self.close()
            raise

    def _opened(self, table: T) -> T:
        self._all.append(table)
        return table

    @property
    def drift_generation(self) -> int:
        """The generation of the last row of how weights moved when the table was opened, 0 without one."""
        return 0 if self._drift is None else self._drift.newest

    def append(self, rows: DispatchRows) -> None:
        """Append rows, those of the history after what belongs to them."""
        if self._trials is not None:
            self._trials.append(rows.trials)
        if self._drift is not None:
            self._drift.append(rows.drift)
        self._history.append(format_rows(rows.counts, rows.values))
        self._timing.append(format_rows(np.array([[rows.generation]], np.int64), np.array([[rows.seconds]])))

    def flush(self) -> None:
        """Sync the appended rows to disk."""
        for table in self._all:
            table.flush()

    def close(self) -> None:
        """Close the files."""
        for table in self._all:
            table.close()
