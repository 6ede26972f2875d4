"""Copies of the data files that a problem reads, in the run directory: reading a run does not depend on the originals.

The same goes for the source of a class that was typed into a notebook.

A formula's slope and intercept, say, are computed from the table it was fitted to. Whoever loads a run, plots it or
evaluates what it found gets the data as they were, also after the original was changed, moved or removed.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from evometa.errors import RunDirectoryError, warn
from evometa.naming.cells import is_cell_file
from evometa.storage.files import write_atomically
from evometa.storage.manifest import Manifest

FOLDER = "copied_data"
LARGEST = 2**24
"""Bytes of a file above which no copy is kept."""


def keep(run_directory: Path, manifest: Manifest) -> None:
    """Copy the data files of a run's problem, as far as they are what the manifest says.

    Raises:
        OSError: a copy could not be written.
    """
    for name, source in _data(manifest):
        content = b""
        with contextlib.suppress(OSError):
            file = Path(source["file"])
            content = file.read_bytes() if file.stat().st_size <= LARGEST else b""
        if content and hashlib.sha256(content).hexdigest() == source["sha256"]:
            (run_directory / FOLDER).mkdir(exist_ok=True)
            write_atomically(run_directory / FOLDER / name, content)


def problem_with_copies(run_directory: Path, manifest: Manifest) -> dict[str, Any]:
    """Return the description of a run's problem, which reads a copy where an original is not what it was."""
    description = manifest.problem
    for name, source in _data(manifest):
        original, copy = Path(source["file"]), run_directory / FOLDER / name
        if _digest(original) != source["sha256"] == _digest(copy):
            description = _replaced(description, str(original), str(copy))
    return description


def with_kept_classes(run_directory: Path, manifest: Manifest) -> Manifest:
    """Return a manifest whose problem and strategy, where they were typed into a notebook, are the copies in the run.

    Warns of each.
    """
    for reference, source in manifest.sources.items():
        copy = run_directory / FOLDER / os.path.basename(source["file"])
        if not is_cell_file(source["file"]) or not copy.exists():
            continue
        digest, name = _digest(copy) or "none", reference.rpartition(":")[2]
        if digest != source["sha256"]:
            raise RunDirectoryError(
                f"{copy}, the source of {name}, was expected to have the digest {source['sha256'][:12]} that the "
                f"manifest names, and has {digest[:12]}; restore the file, or name a class with problem= or strategy=."
            )
        warn(f"{name} was typed into a notebook; it is built from the source kept with the run: {copy}, {digest[:12]}.")
        moved = {"type": f"{copy.resolve()}:{name}"}
        for role in ("problem", "strategy"):
            if getattr(manifest, role)["type"] == reference:
                manifest = manifest._replace(**{role: getattr(manifest, role) | moved})
    return manifest


def _data(manifest: Manifest) -> list[tuple[str, dict[str, str]]]:
    """Return name and source of the files to copy: data, which have the file's name, and classes of a notebook."""
    return [
        (os.path.basename(source["file"]), source)
        for name, source in manifest.sources.items()
        if name == os.path.basename(source["file"]) or is_cell_file(source["file"])
    ]


def _digest(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def _replaced(value: Any, original: str, copy: str) -> Any:
    """Return a description in which all names of one file are those of another."""
    if isinstance(value, dict):
        return {key: _replaced(one, original, copy) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, original, copy) for one in value]
    if not isinstance(value, str) or not value:
        return value
    written = os.path.normpath(os.path.expanduser(value))
    return copy if written == original or original.endswith(os.sep + written) else value
