"""``trials.csv``: every candidate that was evaluated, where evaluations are dear; ``pandas.read_csv`` reads it.

One row a candidate: its generation and place in the population, its fitness, why it failed, after which inner step it
was stopped where bad ones are (the fitness is the one it had then), the seconds and the seed of
its calls, its metrics, objectives, constraints and measures, and ω in the terms of the user, categories by their names.
Parts of ω that are not active have empty cells. Rows are appended while the search runs.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orjson

from evometa.backend.static_leaves import unpack
from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.problem import BaseProblem, HostProblem, precision_of
from evometa.spaces import Space
from evometa.storage.history import Table
from evometa.storage.omega_values import cells, is_formula, plain
from evometa.types import Omega

TRIALS = "trials.csv"
MOST_TRIALS = 1_000_000
"""Rows after which no more are written."""
MOST_NUMBERS = 64
"""Parts of ω with more numbers than this, such as the weights of a network, are left out."""

Row = Mapping[str, Any]
"""The cells of a candidate by the names of their columns."""


def trial_columns(
    problem: BaseProblem, space: Space, metrics: Iterable[str], vectors: Mapping[str, int], *, stops: bool = False
) -> tuple[str, ...]:
    """Return the columns of the trials of a problem.

    Args:
        problem: the problem.
        space: its space.
        metrics: the names of its metrics.
        vectors: how many objectives, constraints and measures it has.
        stops: whether candidates may be stopped early.
    """
    measured = (*metrics, *(f"{name}[{place}]" for name, length in vectors.items() for place in range(length)))
    calls = ("seconds", "seed") if isinstance(problem, HostProblem) else ()
    stopped = ("stopped_at",) if stops else ()
    return ("generation", "member", "fitness", "failure", *stopped, *calls, *measured, *omega_columns(problem, space))


def omega_columns(problem: BaseProblem, space: Space) -> tuple[str, ...]:
    """Return the columns of ω, those of parts that may be inactive included."""
    return tuple(omega_cells(an_omega(problem, space)))


def an_omega(problem: BaseProblem, space: Space) -> Omega:
    """Return an ω on the host, with the parts that may be inactive."""
    with precision_of(problem):
        return unpack(jax.device_get(space.decode(space.sample(jax.random.key(0)))))


def omega_cells(omega: Omega) -> dict[str, Any]:
    """Return the cells of an ω on the host, as people read it; parts with many numbers are left out."""
    if isinstance(omega, Mapping):
        return cells(plain({name: part for name, part in omega.items() if is_small(part)}))
    return cells(plain(omega)) if is_small(omega) else {}


def is_small(part: Any) -> bool:
    """Return whether the table has a part of an ω."""
    leaves = jax.tree.leaves(part, is_leaf=is_formula)
    return sum(1 if is_formula(leaf) else np.size(leaf) for leaf in leaves) <= MOST_NUMBERS


class TrialsFile:
    """The table of a run, opened for appending.

    Args:
        folder: the run directory.
        columns: its columns.
        after: the generation up to which rows are kept; those after it are dropped.
    """

    def __init__(self, folder: Path, columns: Sequence[str], *, after: int) -> None:
        self._columns = columns
        self._table = Table(folder / TRIALS, columns, after=after, complete=False)
        self._left = MOST_TRIALS - max(0, count(folder))

    def append(self, rows: Sequence[Row]) -> None:
        """Append rows, as long as there are not too many; if writing fails, no part of them stays."""
        kept, self._left = rows[: self._left], max(0, self._left - len(rows))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([_cell(row.get(name)) for name in self._columns] for row in kept)
        self._table.append(text.getvalue().encode())

    def flush(self) -> None:
        """Sync the appended rows to disk."""
        self._table.flush()

    def close(self) -> None:
        """Close the file."""
        self._table.close()


def read_trials(folder: Path) -> Any:
    """Return the trials of a run as a ``pandas.DataFrame``, without an incomplete last row of a search that is writing.

    Raises:
        RunDirectoryError: there is no such table, or it is damaged.
        ConfigurationError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ConfigurationError(
            f"Reading {TRIALS} expects pandas, which is not installed; 'pip install pandas', or read the file, which "
            "is CSV, with another program."
        ) from None
    try:
        content = (folder / TRIALS).read_bytes()
    except OSError:
        raise RunDirectoryError(
            f"{folder} was expected to hold {TRIALS} and has none; search with trials=True (--trials True), which is "
            "the default for problems in plain Python."
        ) from None
    whole = io.BytesIO(content[: content.rfind(b"\n") + 1])
    # (pandas 2 reads the last bit wrong unless it is asked for the number that was written, and 3 warns of being asked)
    exactly: Any = {"float_precision": "round_trip"} if pd.__version__.startswith("2.") else {}
    try:
        found = pd.read_csv(whole, dtype={"failure": str, "seed": str}, **exactly)
    except ValueError:  # pandas' own errors are such, and those of text that is no UTF-8
        found = None
    if found is None or "generation" not in found:
        raise RunDirectoryError(
            f"{folder / TRIALS} was expected to hold the run's candidates and is damaged; restore it from a copy, or "
            "remove it."
        )
    return found


def count(folder: Path) -> int:
    """Return how many trials are written, -1 where there is no table."""
    try:
        with open(folder / TRIALS, "rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1
    except OSError:
        return -1


def _cell(value: Any) -> Any:
    """Return a value as the table holds it: numbers with the fewest digits that identify them, text in one line."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return " ".join(str(value).split())
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode() if np.isfinite(value) else ""
