"""What makes a folder of run directories a sweep: the plan in it, and which of its runs are finished."""

import json
from pathlib import Path

from evometa.errors import RunDirectoryError
from evometa.storage import checkpoint
from evometa.storage.files import write_atomically
from evometa.storage.manifest import MANIFEST

PLAN = "sweep.json"
SCHEMA_VERSION = 1
UNFINISHED = ("interrupted", "running", "not_written", "callback")
"""Stop codes of runs that a sweep continues."""

Plan = dict[str, dict[str, list[str]]]
"""For each run, by the name of its folder, the words after 'evometa run' and after 'evometa resume'."""


def write_plan(directory: Path, planned: Plan) -> None:
    """Write the plan of a sweep into its directory, which holds nothing else yet.

    Raises:
        RunDirectoryError: the directory holds something else, or cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(entry.name != PLAN for entry in directory.iterdir()):
            raise RunDirectoryError(f"{directory} was expected to be empty; choose another --directory.")
        content = json.dumps({"schema_version": SCHEMA_VERSION, "runs": planned}, indent=2)
        write_atomically(directory / PLAN, content.encode() + b"\n")
    except OSError as error:
        raise RunDirectoryError(
            f"{directory} was expected to become a folder: {error.strerror or error}; choose another --directory."
        ) from None


def read_plan(directory: Path) -> Plan:
    """Return the plan of a sweep.

    Raises:
        RunDirectoryError: there is none that this version reads.
    """
    try:
        content = json.loads((directory / PLAN).read_text(encoding="utf-8"))
        planned: Plan = content["runs"]
        known = content["schema_version"] == SCHEMA_VERSION
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise RunDirectoryError(f"{directory / PLAN} was expected to hold the plan of a sweep and cannot be read.")
    return planned


def finished(folder: Path) -> bool:
    """Return whether a run has come to its end."""
    progress = checkpoint.progress(folder) if (folder / MANIFEST).exists() else None
    return bool(progress and progress.get("stop_code") and progress["stop_code"] not in UNFINISHED)
