"""Checkpoints: the whole state of a search at one generation, in a folder that is either complete or not there.

A checkpoint is written under a temporary name by Orbax, with the digest of each of its files beside it, and moved to
its name in one step. On reading, every digest is checked: a checkpoint damaged later (a bad disk, a cut copy) is
recognised, and the one before it is used.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from evometa.errors import RunDirectoryError, warn
from evometa.storage.files import NotWritten, sync_folder, write_atomically

CHECKPOINTS = "checkpoints"
_ARRAYS, _INDEX, _DIGESTS = "arrays", "index.json", "digests.json"
_TEMPORARY = ".writing-"
ADDED = (".extent", ".noise_key")
"""How the paths of arrays end that states got after checkpoints had been written without them; where a checkpoint lacks
one, it has its initial value, with which a strategy does what it did before."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    state: Any
    """The search state, a pytree of arrays."""
    progress: dict[str, Any]
    """Counters and what else fits JSON; ``progress["generation"]`` names the checkpoint."""


def save(run_directory: Path, checkpoint: Checkpoint, *, keep: int) -> None:
    """Write a checkpoint, then remove all but the newest ``keep``.

    Raises:
        NotWritten: the files could not be written (a full disk); older checkpoints are still there.
    """
    folder = run_directory / CHECKPOINTS
    name = f"{checkpoint.progress['generation']:012d}"
    temporary = folder / (_TEMPORARY + name)
    for unfinished in folder.glob(f"{_TEMPORARY}*"):  # left by a process that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    paths, leaves = _flatten(checkpoint.state)
    try:
        folder.mkdir(exist_ok=True)
        temporary.mkdir()
        # Orbax refuses empty arrays and empty trees; both are rebuilt from the index.
        arrays = {f"{i}": leaf for i, leaf in enumerate(leaves) if leaf.size}
        if arrays:
            _orbax().save((temporary / _ARRAYS).absolute(), arrays)
        index = {
            "progress": checkpoint.progress,
            "leaves": [[path, list(leaf.shape), str(leaf.dtype)] for path, leaf in zip(paths, leaves, strict=True)],
        }
        write_atomically(temporary / _INDEX, json.dumps(index).encode())
        write_atomically(temporary / _DIGESTS, json.dumps(_digests(temporary)).encode())
        shutil.rmtree(folder / name, ignore_errors=True)
        temporary.rename(folder / name)
        sync_folder(folder)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise NotWritten(
            f"Could not write a checkpoint to {folder}: {_first_line(error)}; nothing written earlier is lost, so make "
            "room or fix the folder's permissions, then resume the run."
        ) from error
    remove_old(run_directory, keep=keep)


def remove_old(run_directory: Path, *, keep: int) -> int:
    """Remove all but the newest ``keep`` checkpoints; return how many bytes they had."""
    freed = 0
    for _, old in list(_newest_first(run_directory))[keep:]:
        with contextlib.suppress(OSError):  # another process removes it too
            freed += sum(file.stat().st_size for file in old.rglob("*") if file.is_file())
        shutil.rmtree(old, ignore_errors=True)
    return freed


def load(run_directory: Path, like: Any, part: str = "") -> Checkpoint | None:
    """Read the newest checkpoint that is whole, or None when there is none at all.

    Args:
        run_directory: the folder of the run.
        like: a pytree whose structure, shapes and types the state must have.
        part: the name of a field of the state; only that is read, and ``like`` is like it. Empty: the whole state.

    Raises:
        RunDirectoryError: every checkpoint is damaged, or the newest whole one holds another state (the message names
            the first array that differs).
    """
    damaged = []
    for generation, folder in _newest_first(run_directory):
        problem = _damage(folder)
        if problem:
            damaged.append(generation)
            warn(
                f"The checkpoint of generation {generation} in {run_directory} is damaged ({problem}); "
                "falling back to the one before it.",
            )
            continue
        return _read(folder, like, part)
    if damaged:
        raise RunDirectoryError(
            f"Every checkpoint in {run_directory / CHECKPOINTS} is damaged (generations {damaged}); "
            "restore the folder from a copy, or start a new run."
        )
    return None


def progress(run_directory: Path) -> dict[str, Any] | None:
    """Read the counters of the newest whole checkpoint without its arrays, or None when there is none."""
    for _, folder in _newest_first(run_directory):
        if not _damage(folder):
            with contextlib.suppress(OSError):  # a search that is running has removed it in between
                found: dict[str, Any] = json.loads((folder / _INDEX).read_text(encoding="utf-8"))["progress"]
                return found
    return None


def _newest_first(run_directory: Path) -> Iterator[tuple[int, Path]]:
    names = [path for path in (run_directory / CHECKPOINTS).glob("[0-9]*") if path.name.isdigit()]
    yield from sorted(((int(path.name), path) for path in names), reverse=True)


def _read(folder: Path, like: Any, part: str) -> Checkpoint:
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    paths, leaves = _flatten(jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), like))
    prefix = f".{part}" if part else ""
    paths = [prefix + path for path in paths]
    saved = [leaf for leaf in index["leaves"] if not part or re.match(rf"\.{part}(?![a-z_])", leaf[0])]
    place = {path: i for i, (path, *_) in enumerate(index["leaves"])}
    later = [path.endswith(ADDED) and path not in place for path in paths]
    expected = [[path, list(leaf.shape), str(leaf.dtype)] for path, leaf in zip(paths, leaves, strict=True)]
    for want, found in itertools.zip_longest(itertools.compress(expected, np.logical_not(later)), saved):
        if want != found:
            raise RunDirectoryError(
                f"The checkpoint {folder} holds another state than this problem and strategy make: expected "
                f"{_describe(want)}, found {_describe(found)}; resume with the problem, strategy and precision "
                "(jax_enable_x64) that began the run."
            )
    stored = _orbax().restore((folder / _ARRAYS).absolute()) if any(leaf.size for leaf in leaves) else {}
    arrays = [
        np.asarray(initial)
        if new
        else np.asarray(stored[f"{place[path]}"])
        if leaf.size
        else np.zeros(leaf.shape, leaf.dtype)
        for path, leaf, new, initial in zip(paths, leaves, later, jax.tree.leaves(like), strict=True)
    ]
    return Checkpoint(jax.tree.unflatten(jax.tree.structure(like), arrays), index["progress"])


def _describe(leaf: list[Any] | None) -> str:
    return "no further array" if leaf is None else f"{leaf[0]} of shape {tuple(leaf[1])} and type {leaf[2]}"


def _flatten(state: Any) -> tuple[list[str], list[Any]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(state)
    paths = [jax.tree_util.keystr(path) for path, _ in flat]
    leaves = [leaf if isinstance(leaf, jax.ShapeDtypeStruct) else np.asarray(leaf) for _, leaf in flat]
    return paths, leaves


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _DIGESTS)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _damage(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint's files, or None."""
    try:
        expected: dict[str, str] = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        found = _digests(folder)
    except (OSError, ValueError) as error:
        return _first_line(error)
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return f"{wrong[0]} is missing or changed" if wrong else None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


@functools.cache
def _orbax() -> Any:
    import orbax.checkpoint as ocp  # slow to import, and not needed to define or evaluate problems

    if jax.process_count() == 1:
        return ocp.PyTreeCheckpointer()
    # Of several ranks one writes and reads alone; Orbax would wait for the others.
    alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0}, barrier_sync_key_prefix="evometa")
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(multiprocessing_options=alone), multiprocessing_options=alone)
