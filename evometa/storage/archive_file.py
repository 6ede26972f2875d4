"""``archive.npz``: the Pareto front or archive of a finished search, in its run directory.

The file holds one array with leading axis N for each part of :class:`~evometa.storage.result.Archive`: ``fitness``, and
if they exist ``objectives``, ``constraints`` and ``measures``; ``genotypes`` and ``omegas``, or for pytrees one array
for each leaf, named by its path as in ``omegas['weights']``. ``objective_names`` is there if objectives have names.
``numpy.load`` reads it without pickle.
"""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.errors import RunDirectoryError
from evometa.problem import VECTORS
from evometa.storage.files import NotWritten, npz, run_folder, write_atomically
from evometa.storage.flat_trees import flatten, unflatten
from evometa.storage.result import Archive

ARCHIVE = "archive.npz"
SCHEMA_VERSION = 1
_ARRAYS, _TREES = ("fitness", *VECTORS), ("omegas", "genotypes")


def write(run_directory: Path, archive: Archive | None) -> None:
    """Write an archive; None removes the file of an earlier run in the same folder.

    Raises:
        NotWritten: the file could not be written (a full disk).
    """
    path = run_directory / ARCHIVE
    try:
        if archive is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, npz(_arrays(archive)))
    except OSError as error:
        raise NotWritten(
            f"Could not write {path}: {error}; the run's history and checkpoints are safe, so make room on the "
            "disk or fix the folder's permissions, then resume the run to its present generation."
        ) from error


def read(run_directory: str | os.PathLike[str]) -> Archive:
    """Read the archive of a finished run.

    Returns:
        ``Result.archive``, in which ω and genotypes that are pytrees are dicts from the path of a leaf to its array.

    Raises:
        RunDirectoryError: the file does not exist or cannot be read.
    """
    path = run_folder(run_directory) / ARCHIVE
    try:
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = dict(file)
        version = int(arrays.pop("schema_version"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise RunDirectoryError(
            f"{path} was expected to hold the archive of a run and cannot be read; give the folder of a finished run "
            "of a strategy with a Pareto front or an archive."
        ) from None
    if version != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{path} has schema version {version}, and this version of evometa reads {SCHEMA_VERSION}; "
            "use the version that wrote it."
        )
    trees = {name: unflatten(name, arrays) for name in _TREES}
    names = tuple(str(name) for name in arrays.get("objective_names", ()))
    vectors: dict[str, Any] = {name: arrays.get(name) for name in _ARRAYS}
    return Archive(**trees, **vectors, objective_names=names)


def _arrays(archive: Archive) -> dict[str, NDArray[Any]]:
    arrays = {"schema_version": np.array(SCHEMA_VERSION)}
    for name in _ARRAYS:
        part = getattr(archive, name)
        if part is not None:
            arrays[name] = np.asarray(part)
    if archive.objective_names:
        arrays["objective_names"] = np.array(archive.objective_names)
    for name in _TREES:
        arrays |= flatten(name, getattr(archive, name))
    return arrays
