"""Tables of numbers, read from CSV files as spreadsheets, pandas, R and NumPy write them."""

import csv
import functools
import io
import keyword
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest

DELIMITERS = (";", "\t", "|", ",", " ")
"""What may separate cells, in the order in which it is tried: a comma may also be a decimal comma."""
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""What stands for a missing value, in small letters."""
TRUTH = {"true": 1.0, "false": 0.0}
"""What stands for a truth value, in small letters."""
_SAMPLE = 50
"""Lines from which the delimiter is found out."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


class Table(NamedTuple):
    """The cells of a file."""

    file: str
    """The name of the file, for messages."""
    names: tuple[str, ...]
    """The header; without one ``x1``, ``x2`` and so on."""
    cells: tuple[tuple[str, ...], ...]
    """The rows ``[N][columns]``, with a point in decimal numbers."""
    lines: tuple[int, ...]
    """The line in which each row ends."""

    def place(self, name: str, role: str) -> int:
        """Return the index of a column; ``role`` names the setting that asks for it.

        Raises:
            ConfigurationError: no column has that name.
        """
        if name not in self.names:
            raise ConfigurationError(
                f"{role} expects the name of a column of the CSV file, got {name!r}. {nearest(name, self.names)}"
            )
        return self.names.index(name)

    def numbers(self, places: Sequence[int], *, drop_missing: bool) -> NDArray[np.float64]:
        """Return the numbers of some columns, ``[rows, len(places)]``.

        Args:
            places: the indices of the columns.
            drop_missing: leave rows out that lack a value in one of them.

        Raises:
            ConfigurationError: a cell that is not a finite number, or lacks one where rows are not left out; no more
                than one row is left.
        """
        rows = []
        for row, line in zip(self.cells, self.lines, strict=True):
            if drop_missing and any(row[place].strip().lower() in MISSING for place in places):
                continue
            rows.append([self._number(row[place], line, place) for place in places])
        if len(rows) < 2:
            raise ConfigurationError(f"{self.file} expects at least 2 rows below its header, got {len(rows)}.")
        return np.array(rows, np.float64)

    def _number(self, cell: str, line: int, place: int) -> float:
        word = cell.strip().lower()
        try:
            value = TRUTH[word] if word in TRUTH else float(cell) if "_" not in cell else math.nan
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        where = f"{self.file}, line {line}, column {self.names[place]!r}"
        column = [row[place].strip().lower() for row in self.cells]
        if word in MISSING:
            raise ConfigurationError(
                f"{where} expects a number, and the value is missing ({cell!r}), as in "
                f"{sum(one in MISSING for one in column)} of {len(column)} rows; fill it in, leave such rows out with "
                "drop_missing=True, or name the columns that a formula may use with columns=(...)."
            )
        raise ConfigurationError(
            f"{where} expects a finite number, got {cell!r}; encode text as numbers, or name the columns that a "
            "formula may use with columns=(...)."
        )


def read_table(path: str | os.PathLike[str], *, header: bool = True) -> Table:
    """Read a CSV file.

    Cells are separated by commas, semicolons, tabs, bars or blanks. With other separators than commas, numbers may have
    a decimal comma; ``true`` and ``false`` are 1 and 0. The text is UTF-8, UTF-16 or Windows-1252 (Latin-1), and may
    begin with comments, lines with a # in front. A column of row numbers or row names whose header is empty, as pandas
    and R write it, is left out.

    Args:
        path: the file.
        header: whether its first line holds the names of the columns.

    Raises:
        ConfigurationError: no such file or none that can be read, no rows, a row of another length, a header that is
            missing, empty or names a column twice, fewer than two columns.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigurationError(f"A table expects a CSV file, and there is none at {str(path)!r}; check the path.")
    return _read(file.resolve(), file.stat().st_mtime_ns, header)


@functools.lru_cache(maxsize=4)
def _read(file: Path, changed: int, header: bool) -> Table:
    try:
        delimiter, lines = _split(_without_comments(_decoded(file.read_bytes(), file.name), header=header))
    except (OSError, csv.Error) as error:
        raise ConfigurationError(f"{file.name} cannot be read as a CSV file: {error}.") from None
    names = [f"x{place + 1}" for place in range(len(lines[0][1]) if lines else 0)]
    if header:
        names, lines = (lines[0][1] if lines else []), lines[1:]
        if _are_numbers(names):
            raise ConfigurationError(
                f"{file.name} expects a header line with the names of its columns, and its first line holds numbers, "
                f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}; if the file has no header, say "
                "header=False, otherwise give its columns names that are not numbers."
            )
    names, lines = _without_row_names(names, lines)
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise ConfigurationError(
            f"{file.name} expects a header line of at least two column names, all different, such as 'height,weight', "
            f"got {names}."
        )
    if len(lines) < 2:
        raise ConfigurationError(f"{file.name} expects at least 2 rows below its header, got {len(lines)}.")
    for number, row in lines:
        if len(row) != len(names):
            raise ConfigurationError(f"{file.name} expects {len(names)} cells in line {number}, got {len(row)}.")
    cells = [tuple(row) for _, row in lines]
    if delimiter != ",":
        cells = _with_points(cells)
    return Table(file.name, tuple(names), tuple(cells), tuple(number for number, _ in lines))


def _decoded(content: bytes, name: str) -> str:
    if content.startswith(b"PK"):
        raise ConfigurationError(f"{name} is a workbook or another archive, not a CSV file; save the table as CSV.")
    encodings = ["utf-8-sig", "cp1252", "latin-1"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content[:2]:
        encodings = ["utf-16-be" if content[:1] == b"\0" else "utf-16-le"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigurationError(f"{name} expects text in UTF-8, UTF-16 or Windows-1252, got something else; save it so.")


def _split(text: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return the delimiter, and the cells of each line that is not blank with the number of the line."""
    sample = [line for line in text.splitlines()[:_SAMPLE] if line.strip()]
    named = re.fullmatch("sep=(.)", sample[0]) if sample else None  # as Excel begins some files
    if named:
        delimiter = named.group(1)
    else:
        known = [one for one in DELIMITERS if _separates(one, sample)]
        delimiter = (known or [one for one in DELIMITERS if sample and one in sample[0]] or [","])[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    lines = []
    for row in reader:
        cells = [cell.strip() for cell in row]
        if delimiter == " " and cells and not cells[-1]:  # a blank at the end of a line
            cells.pop()
        if any(cells):
            lines.append((reader.line_num, cells))
    return delimiter, lines[1:] if named else lines


def _without_comments(text: str, *, header: bool) -> str:
    """Return a text with blank lines for those at its beginning that have a # in front.

    The last of them is the header itself where a row of numbers follows it, as NumPy writes it.
    """
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), 0)
    marked = [i for i, line in enumerate(lines[:first]) if line.strip()]
    if marked and header and _are_numbers(re.split(r"[;\t|, ]+", lines[first].strip())):
        last = marked.pop()
        lines[last] = lines[last].lstrip("# ")
    return "".join("\n" if i in marked else line for i, line in enumerate(lines))


def _separates(delimiter: str, lines: Sequence[str]) -> bool:
    """Return whether a delimiter splits all lines into as many cells, or all but the header into one more."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    counts = [len(row) - (delimiter == " " and row[-1] == "") for row in reader]
    return bool(counts) and min(counts) > 1 and len(set(counts[1:])) <= 1 and counts[-1] - counts[0] in (0, 1)


def _are_numbers(names: Sequence[str]) -> bool:
    """Return whether a line holds a row rather than names: numbers alone, or one such as 0.5 or 1e-3."""

    def number(name: str, pattern: str) -> bool:
        return re.fullmatch(pattern, name.replace(",", "."), re.IGNORECASE) is not None

    whole, other = r"[+-]?\d+", r"[+-]?(\d+\.\d*|\.\d+|\d+(?=e))(e[+-]?\d+)?"
    return bool(names) and (any(number(name, other) for name in names) or all(number(name, whole) for name in names))


def _without_row_names(
    names: list[str], lines: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Leave out a column of row names, and an empty last column, which a delimiter at the end of each line makes."""
    if len(names) > 1 and not names[-1] and all(row[len(names) - 1 :] == [""] for _, row in lines):
        names, lines = names[:-1], [(number, row[:-1]) for number, row in lines]
    if len(names) > 2 and names[0] in ("", "Unnamed: 0"):
        return names[1:], [(number, row[1:]) for number, row in lines]
    if lines and all(len(row) == len(names) + 1 for _, row in lines):  # R leaves out the header of row names
        last = all(not row[-1] for _, row in lines)
        return names, [(number, row[:-1] if last else row[1:]) for number, row in lines]
    return names, lines


def _with_points(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return cells with decimal commas turned into points, unless some numbers have points.

    There a comma separates thousands, or is a mistake.
    """
    commas = any("," in cell for row in rows for cell in row)
    points = any(re.fullmatch(r"[+-]?\d*\.\d*", cell) for row in rows for cell in row)
    if not commas or points:
        return rows
    return [tuple(cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row) for row in rows]


class Columns(NamedTuple):
    """What a regression uses of a table."""

    names: tuple[str, ...]
    """The header of the columns."""
    label_name: str
    """The header of the label."""
    columns: NDArray[np.float64]
    """``[A, N]``."""
    label: NDArray[np.float64]
    """``[N]``."""
    weights: NDArray[np.float64] | None
    """``[N]``, positive."""


def read_columns(
    path: str | os.PathLike[str],
    *,
    label: str,
    columns: tuple[str, ...],
    weights: str,
    header: bool,
    drop_missing: bool,
) -> Columns:
    """Read the columns of a regression.

    Args:
        path: the CSV file.
        label: the column to predict; empty: the last one that does not hold the weights.
        columns: the columns to predict it from; empty: all others.
        weights: a column with the weights of the rows; empty: none. Rows of weight 0 are left out.
        header: whether the first line holds the names.
        drop_missing: leave rows out in which a value is missing.

    Raises:
        ConfigurationError: the file is no table, see :func:`read_table`; unknown columns, or one in two roles; cells
            that are no finite numbers; negative weights; fewer than two rows.
    """
    table = read_table(path, header=header)
    places = {weights: table.place(weights, "weights")} if weights else {}
    if weights and label == weights:
        raise ConfigurationError(f"weights and label expect two columns, got {label!r} for both.")
    label = label or [name for name in table.names if name not in places][-1]
    places[label] = table.place(label, "label")
    names = columns or tuple(name for name in table.names if name not in places)
    for name in names:
        if name in places or names.count(name) > 1:
            raise ConfigurationError(
                f"columns expects columns of {table.file} besides label and weights, each once, got {name!r}, and the "
                f"label is {label!r}."
            )
    if not names:
        raise ConfigurationError(f"{table.file} expects a column besides label and weights, got {list(table.names)}.")
    used = [*(table.place(name, "columns") for name in names), places[label], *([places[weights]] if weights else [])]
    values = table.numbers(used, drop_missing=drop_missing)
    if weights:
        if values[:, -1].min() < 0:
            raise ConfigurationError(f"weights expects numbers >= 0 in column {weights!r}, got {values[:, -1].min()}.")
        values = values[values[:, -1] > 0]
        if len(values) < 2:
            raise ConfigurationError(
                f"weights expects at least 2 rows above 0 in column {weights!r}, got {len(values)}."
            )
    count = len(names)
    return Columns(names, label, values[:, :count].T, values[:, count], values[:, -1] if weights else None)


def identifiers(names: tuple[str, ...], taken: Iterable[str]) -> tuple[str, ...]:
    """Turn names into Python identifiers, unique and different from those in ``taken``."""
    found: list[str] = []
    for name in names:
        # As Python reads identifiers: the micro sign as the Greek letter, a raised 2 as 2.
        word = re.sub(r"\W", "_", unicodedata.normalize("NFKC", name))
        word = word if word.isidentifier() else f"_{word}"
        while keyword.iskeyword(word) or word in taken or word in found:
            word += "_"
        found.append(word)
    return tuple(found)
