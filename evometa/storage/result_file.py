"""``result.npz`` and ``result.json``: what a run has found so far, beside its history.

``result.npz`` holds everything: the numbers of a :class:`~evometa.Result` as JSON text under ``numbers``, and the ω of
the best, the center and the selected candidate, one array for each leaf with its path behind the name, such as
``selected_omega['w1']``. ``result.json`` is a copy of the numbers to read, with the selected ω as text. Both are
written with each checkpoint and at the end of a run, and read without compiling a search. ``numpy.load`` reads the
arrays without pickle.
"""

import dataclasses
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from evometa import naming
from evometa.backend.static_leaves import abstract
from evometa.errors import EvometaError, RunDirectoryError, warn
from evometa.problem import BaseProblem, precision_of
from evometa.settings import checked
from evometa.storage import archive_file
from evometa.storage.data_copies import problem_with_copies, with_kept_classes
from evometa.storage.files import NotWritten, npz, run_folder, write_atomically
from evometa.storage.flat_trees import flatten, restore, unflatten
from evometa.storage.manifest import read_manifest, warn_of_changed_data
from evometa.storage.result import Result

RESULT = "result.npz"
NUMBERS = "result.json"
SCHEMA_VERSION = 1
_OMEGAS = ("best_omega", "center_omega", "selected_omega")
_FOUND = "selected_omega"
_FIELDS = {field.name: field for field in dataclasses.fields(Result) if field.name not in (*_OMEGAS, "archive")}
_NUMBERS = tuple(_FIELDS)
_LATER = {name: field.default for name, field in _FIELDS.items() if field.default is not dataclasses.MISSING} | {
    "failures": {}
}
"""What results of older versions lack."""


def write(run_directory: Path, result: Result) -> None:
    """Write a result.

    Raises:
        NotWritten: a file could not be written (a full disk).
    """
    content = {"schema_version": SCHEMA_VERSION} | {name: _plain(getattr(result, name)) for name in _NUMBERS}
    text = json.dumps(content, indent=2)
    shown = json.dumps(content | {_FOUND: result.found or None}, indent=2)
    arrays = {"numbers": np.array(text)}
    for name in _OMEGAS:
        arrays |= flatten(name, getattr(result, name))
    try:
        write_atomically(run_directory / RESULT, npz(arrays, compressed=False))
        write_atomically(run_directory / NUMBERS, shown.encode() + b"\n")
    except OSError as error:
        raise NotWritten(
            f"Could not write {run_directory / RESULT}: {error}; the run's history and checkpoints are safe, so make "
            "room or fix the folder's permissions, then resume the run to its present generation."
        ) from error


@checked
def load_result(run_directory: str | os.PathLike[str], *, problem: BaseProblem | None = None) -> Result:
    """Return what a run has found, as ``Search.run`` returned it, without compiling a search.

    Of a run that is going on or was killed: the result of its newest checkpoint, without a final selection. Where the
    problem's class cannot be imported any more, each ω is a dict from the paths of its leaves to arrays.

    Args:
        run_directory: the folder of the run.
        problem: the problem, where its class has moved since.

    Raises:
        RunDirectoryError: there is no result, or it cannot be read.
    """
    folder = run_folder(run_directory)
    try:
        with open(folder / RESULT, "rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = dict(file)
        content = json.loads(str(arrays.pop("numbers")))
        version = content.pop("schema_version")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise RunDirectoryError(
            f"{folder / RESULT} was expected to hold a run's result and cannot be read; give the folder of a run that "
            "has written a checkpoint, or resume the run to its present generation, which writes the file."
        ) from None
    if version != SCHEMA_VERSION:
        raise RunDirectoryError(
            f"{folder / RESULT} has schema version {version}, and this version of evometa reads {SCHEMA_VERSION}; "
            "use the version that wrote it."
        )
    structure, genotype = _structures(folder, problem)
    parts: dict[str, Any] = {name: unflatten(name, arrays) for name in _OMEGAS}
    archive = archive_file.read(folder) if (folder / archive_file.ARCHIVE).exists() else None
    if structure is not None:
        parts = {name: None if tree is None else restore(tree, structure) for name, tree in parts.items()}
        if archive is not None:
            trees = restore(archive.omegas, structure), restore(archive.genotypes, genotype)
            archive = dataclasses.replace(archive, omegas=trees[0], genotypes=trees[1])
    content = _LATER | content
    parts |= {name: _number(content[name]) for name in _NUMBERS}
    return Result(**parts, archive=archive)


def numbers(run_directory: Path) -> dict[str, Any] | None:
    """Return the numbers of a run's result without its ω; None where there is none that can be read."""
    try:
        content = _LATER | _read_numbers(run_directory)
        return {name: _number(content[name]) for name in _NUMBERS}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def found_text(run_directory: Path) -> str | None:
    """Return the selected ω of a run in a line; None where there is no result, or one of an older version."""
    try:
        text = _read_numbers(run_directory)[_FOUND]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return text if isinstance(text, str) else None


def _read_numbers(run_directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_directory / NUMBERS).read_text(encoding="utf-8"))
    return content


def tasks_after(run_directory: Path, generation: int) -> int:
    """Return the tasks that validations and selections had taken when the run stopped after a generation, else 0."""
    known = numbers(run_directory)
    return known["validation_tasks"] if known is not None and known["generations"] == generation else 0


def _structures(folder: Path, problem: BaseProblem | None) -> tuple[Any, Any]:
    """Return ω and genotype as pytrees of shapes; two times None where the problem cannot be built."""
    try:
        manifest = with_kept_classes(folder, read_manifest(folder))
        problem = problem or naming.rebuild(problem_with_copies(folder, manifest))
        warn_of_changed_data(manifest, problem)
        with precision_of(problem):
            space = problem.space
            genotype = jax.eval_shape(space.sample, jax.eval_shape(jax.random.key, 0))
            return abstract(lambda genotype: space.decode(space.repair(genotype)), genotype), genotype
    except EvometaError as error:
        warn(
            f"ω is given as arrays by path, since its problem cannot be built: {error} Where the class has moved, "
            "give load_result problem=...",
        )
        return None, None


def _plain(value: Any) -> Any:
    """Return a number as JSON can hold it."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _number(item) for name, item in value.items()}
    return float(value) if value in ("nan", "inf", "-inf") else value
