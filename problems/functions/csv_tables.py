"""Tables of numbers, read from CSV files."""

import csv
import functools
import keyword
import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest


class Table(NamedTuple):
    """The numbers of a file."""

    names: tuple[str, ...]
    """The header."""
    values: NDArray[np.float64]
    """``[N, columns]``."""


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a CSV file with a header and a finite number in every cell.

    Raises:
        ConfigurationError: no such file, no rows, a row of another length, an empty cell or one that is not a finite
            number, missing or duplicate column names, fewer than two columns.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigurationError(f"A table expects a CSV file, and there is none at {str(path)!r}; check the path.")
    return _read(file.resolve(), file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _read(file: Path, changed: int) -> Table:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        lines = [(number, row) for number, row in enumerate(csv.reader(opened), 1) if row]
    names = [name.strip() for name in lines[0][1]] if lines else []
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise ConfigurationError(
            f"{file.name} expects a header line of at least two column names, all different, such as 'height,weight', "
            f"got {names}."
        )
    if len(lines) < 3:
        raise ConfigurationError(f"{file.name} expects at least 2 rows below its header, got {len(lines) - 1}.")
    values = np.empty((len(lines) - 1, len(names)))
    for place, (number, row) in enumerate(lines[1:]):
        if len(row) != len(names):
            raise ConfigurationError(f"{file.name} expects {len(names)} cells in line {number}, got {len(row)}.")
        for column, cell in enumerate(row):
            values[place, column] = _number(cell, f"{file.name}, line {number}, column {names[column]!r}")
    return Table(tuple(names), values)


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    if cell.strip().lower() in ("", "na", "n/a", "nan", "null", "none", "?"):
        raise ConfigurationError(
            f"{where} expects a number, and the value is missing ({cell!r}); fill it in or remove the row."
        )
    raise ConfigurationError(
        f"{where} expects a finite number, got {cell!r}; encode text as numbers, or remove the column."
    )


def column_of(table: Table, name: str) -> int:
    """Return the index of a column.

    Raises:
        ConfigurationError: no column has that name.
    """
    if name not in table.names:
        raise ConfigurationError(
            f"label expects the name of a column of the CSV file, got {name!r}. {nearest(name, table.names)}"
        )
    return table.names.index(name)


def identifiers(names: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    """Turn names into Python identifiers, unique and different from those in ``taken``."""
    found: list[str] = []
    for name in names:
        word = re.sub(r"\W", "_", name)
        word = word if word.isidentifier() else f"_{word}"
        while keyword.iskeyword(word) or word in taken or word in found:
            word += "_"
        found.append(word)
    return tuple(found)
