"""``archive.npz``: the candidates that a strategy keeps as its answer, in the run directory of a finished search.

One array for each part of :class:`~evometa.result.Archive`, leading axis N: ``fitness``, and where there are any
``objectives``, ``constraints`` and ``measures``; ``genotypes`` and ``omegas``, where these are trees of arrays one for
each leaf, with its path behind the name, such as ``omegas['weights']``; and ``objective_names``, where objectives have
some. ``numpy.load`` reads it without pickle.
"""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.errors import RunDirectoryError
from evometa.files import write_atomically
from evometa.flat_trees import flatten, unflatten
from evometa.problem import VECTORS
from evometa.result import Archive

ARCHIVE = "archive.npz"
SCHEMA_VERSION = 1
_ARRAYS, _TREES = ("fitness", *VECTORS), ("omegas", "genotypes")


def write(run_directory: Path, kept: Archive | None) -> None:
    """Write what a strategy keeps; with None remove what an earlier run in the same folder kept.

    Raises:
        RunDirectoryError: the file could not be written (a full disk).
    """
    path = run_directory / ARCHIVE
    try:
        if kept is None:
            path.unlink(missing_ok=True)
        else:
            content = io.BytesIO()
            np.savez_compressed(content, allow_pickle=False, **_arrays(kept))
            write_atomically(path, content.getvalue())
    except OSError as error:
        raise RunDirectoryError(
            f"Could not write {path}: {error}; the run's history and checkpoints are safe, so make room or mend the "
            "folder's rights, then resume the run to its present generation."
        ) from error


def read(run_directory: str | os.PathLike[str]) -> Archive:
    """Read what a finished run keeps.

    Returns:
        As in ``Result.archive``, but ω and genotypes that are trees are dicts from the path of a leaf to its array.

    Raises:
        RunDirectoryError: there is no such file, or it cannot be read.
    """
    path = Path(run_directory) / ARCHIVE
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        version = int(arrays.pop("schema_version"))
    except (OSError, ValueError, KeyError):
        raise RunDirectoryError(
            f"{path} was expected to hold what a run keeps and cannot be read; give the folder of a finished run of a "
            "strategy that keeps a front or an archive."
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


def _arrays(kept: Archive) -> dict[str, NDArray[Any]]:
    found = {"schema_version": np.array(SCHEMA_VERSION)}
    for name in _ARRAYS:
        part = getattr(kept, name)
        if part is not None:
            found[name] = np.asarray(part)
    if kept.objective_names:
        found["objective_names"] = np.array(kept.objective_names)
    for name in _TREES:
        found |= flatten(name, getattr(kept, name))
    return found
