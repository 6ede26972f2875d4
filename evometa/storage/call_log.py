"""``calls.jsonl``: the candidates of an asynchronous search, in the order in which they were asked for and completed.

One JSON object a line, appended as it happens. The order of arrival is data: a search that is told the completed
candidates of a log again, in their order, is in the same state to the bit. ::

    {"asked": 7, "seed": [[0, 3, 7]], "genotype": [[0.25, -1.5]]}
    {"completed": 7, "outcomes": [{"fitness": 2.3125, "seconds": 0.81}]}

``seed`` and ``outcomes`` have one entry for each call of the candidate, ``genotype`` one for each of its arrays. What
was asked for and not completed was on its way when the search ended; those calls are made again, with their seeds.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from evometa.errors import RunDirectoryError, warn
from evometa.executors.executor import Outcome, reports_of
from evometa.types import Genotype

CALLS = "calls.jsonl"

_DEFAULTS: dict[str, Any] = {**Outcome._field_defaults, "fitness": math.nan, "metrics": {}, "failure": None}
"""What an outcome has unless the log says otherwise."""


class Completed(NamedTuple):
    """A candidate whose calls have all returned."""

    number: int
    """How many candidates were asked for before it."""
    genotype: Genotype
    outcomes: tuple[Outcome, ...]
    """One of each of its calls."""


class Folder(Protocol):
    """A run directory, opened for writing."""

    path: Path

    def log(self, lines: bytes) -> None:
        """Append lines to the log of calls."""


class CallLog:
    """The candidates of one asynchronous search that the rows of its history do not contain yet."""

    def __init__(self) -> None:
        self._write: Callable[[bytes], None] | None = None  # without a run directory they are in memory only
        self._forget()

    def _forget(self) -> None:
        self.asked = 0
        """Candidates asked for so far; the number of the next one."""
        self.open: dict[int, Genotype] = {}
        """Those that are not completed, by number."""
        self.completed: list[Completed] = []
        """Those that are, in the order of their arrival."""
        self._begun = False
        self._lines: list[bytes] = []

    def ask(self, genotype: Genotype, seeds: Sequence[tuple[int, ...]]) -> int:
        """Note a candidate that is about to be called with some seeds; return its number."""
        number, self.asked = self.asked, self.asked + 1
        self.open[number] = genotype
        leaves = [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(genotype)]
        self._note({"asked": number, "seed": seeds, "genotype": leaves})
        return number

    def complete(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Note what became of a candidate.

        Raises:
            NotWritten: the log cannot be written to.
        """
        self._begun = True
        self.completed.append(Completed(number, self.open.pop(number), tuple(outcomes)))
        self._note({"completed": number, "outcomes": [_as_json(outcome) for outcome in outcomes]})

    def settle(self, count: int) -> None:
        """Let go of the first ``count`` completed candidates, which rows of the history contain now."""
        del self.completed[:count]

    def _note(self, line: dict[str, Any]) -> None:
        if self._write is None:
            return
        self._lines.append(json.dumps(line).encode() + b"\n")
        if self._begun:  # before there is a result, a run that is to be replaced is left alone
            lines, self._lines = self._lines, []
            self._write(b"".join(lines))

    def begin(self, folder: Folder, like: Genotype, *, after: int | None) -> None:
        """Continue the log of a run directory, which is written to from here on.

        Args:
            folder: the run directory.
            like: a genotype, or its shapes and types.
            after: how many completed candidates the rows of the history contain; None where the folder holds nothing
                of this search yet.

        Raises:
            RunDirectoryError: the log has fewer than that.
        """
        self._write = folder.log
        if after is None:
            return
        self._forget()
        path = folder.path / CALLS
        known, rest = self._read_file(path, like, after)
        self._begun = known > 0
        if known < after:
            raise RunDirectoryError(
                f"{path} was expected to hold the {after:,} completed candidates that the checkpoint knows, and holds "
                f"{known:,}; restore the file from a copy, or start a new run."
            )
        if b"\n" in rest:  # more than a last line that was being written
            warn(f"The last {len(rest):,} bytes of {path} are damaged; the calls that they recorded are made again.")
        if rest:
            os.truncate(path, path.stat().st_size - len(rest))

    def _read_file(self, path: Path, like: Genotype, after: int) -> tuple[int, bytes]:
        """Take in a log; return how many candidates are completed in it, and what follows the last sound line."""
        count = 0
        if not path.exists():
            return count, b""
        with path.open("rb") as file:
            for line in file:
                found = self._read(line, like)
                if found is None:
                    return count, line + file.read()
                if "completed" in found:
                    count += 1
                    self.settle(int(count <= after))
        return count, b""

    def _read(self, line: bytes, like: Genotype) -> dict[str, Any] | None:
        """Take in a line; return it, or None where it is not whole, or does not follow from those before."""
        if not line.endswith(b"\n"):
            return None
        try:
            found: dict[str, Any] = json.loads(line)
            if "asked" in found:
                leaves, tree = jax.tree.flatten(like)
                arrays = [
                    np.array(given, leaf.dtype).reshape(leaf.shape)
                    for given, leaf in zip(found["genotype"], leaves, strict=True)
                ]
                self.open[found["asked"]] = jax.tree.unflatten(tree, arrays)
                self.asked = max(self.asked, found["asked"] + 1)
            else:
                outcomes = tuple(_from_json(outcome) for outcome in found["outcomes"])
                if not outcomes:
                    return None
                self.completed.append(Completed(found["completed"], self.open.pop(found["completed"]), outcomes))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return found


def _as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the fields of an outcome that say something, numbers as they are read back to the bit.

    JSON has no word for metrics that are not finite, so they are text.
    """
    metrics = {name: value if math.isfinite(value) else str(value) for name, value in outcome.metrics.items()}
    return {
        name: value
        for name, value in (outcome._asdict() | {"metrics": metrics}).items()
        if not (value == _DEFAULTS[name] or _is_nan(value))
    }


def _from_json(found: dict[str, Any]) -> Outcome:
    known = {**_DEFAULTS, **{name: value for name, value in found.items() if name in Outcome._fields}}
    metrics = {name: float(value) for name, value in known["metrics"].items()}
    fitness = float(known["fitness"])
    return Outcome(**known | {"fitness": fitness, "metrics": metrics, "reports": reports_of(known["reports"])})


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
