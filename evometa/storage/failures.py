"""``failures.txt``: of what the candidates of a plain-Python problem failed, kind by kind, to read and to count on.

A kind has a line with its count, and below it, indented, the first failure in words and its traceback. The file has a
bounded size: of more kinds than it holds, only how many failures they were is kept.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from evometa.storage.files import NotWritten, write_atomically

FAILURES = "failures.txt"

MOST_KINDS = 50
"""Kinds of failures that are told apart; the traceback of each has at most 8,000 characters."""

OTHER = "other kinds"
"""The kind of all that come after those."""


@dataclasses.dataclass
class Failure:
    """One kind of failure."""

    count: int = 0
    """Calls that failed so."""
    first: str = ""
    """The first of them: the failure in words, and its traceback where there is one."""


def add(failures: dict[str, Failure], kind: str, first: str) -> bool:
    """Count a failure; return whether it is the first of its kind.

    Args:
        failures: the kinds so far.
        kind: its kind, in a line.
        first: what is kept of the first of a kind.
    """
    kind = " ".join(kind.split())
    if kind not in failures and len(failures) >= MOST_KINDS:
        kind = OTHER
    new = kind not in failures
    found = failures.setdefault(kind, Failure(first="" if kind == OTHER else first))
    found.count += 1
    return new


def counts(failures: Mapping[str, Failure]) -> dict[str, int]:
    """Return how many failures there were of each kind, the most frequent first."""
    ranked = sorted(failures.items(), key=lambda item: -item[1].count)
    return {kind: failure.count for kind, failure in ranked}


def write(run_directory: Path, failures: Mapping[str, Failure]) -> None:
    """Write the file, where there is any failure.

    Raises:
        NotWritten: it could not be written (a full disk).
    """
    if not failures:
        return
    lines = []
    for kind, count in counts(failures).items():
        lines += [f"{count} x {kind}", *(f"    {line}" for line in failures[kind].first.splitlines()), ""]
    try:
        write_atomically(run_directory / FAILURES, "\n".join(lines).encode(errors="backslashreplace"))
    except OSError as error:
        raise NotWritten(
            f"Could not write {run_directory / FAILURES}: {error}; make room or fix the folder's permissions, then "
            "resume the run."
        ) from error


def read(run_directory: Path) -> dict[str, Failure]:
    """Return the failures of a run; none where there is no file that can be read."""
    failures: dict[str, Failure] = {}
    try:
        text = (run_directory / FAILURES).read_text(errors="replace")
    except OSError:
        return {}
    for part in re.split(r"^(?=\d+ x )", text, flags=re.MULTILINE):
        head, _, rest = part.partition("\n")
        if match := re.fullmatch(r"(\d+) x (.*)", head):
            first = "\n".join(line[4:] for line in rest.rstrip().splitlines())
            failures[match[2]] = Failure(int(match[1]), first)
    return failures
