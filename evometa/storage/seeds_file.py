"""A folder of one run directory for each seed: ``seeds.json`` in it says which."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from evometa.errors import RunDirectoryError
from evometa.storage.files import write_atomically

SEEDS = "seeds.json"
SCHEMA_VERSION = 1


def folder(path: Path, seed: int) -> Path:
    """Return the run directory of a seed."""
    return path / f"seed-{seed}"


def write(path: Path, seeds: Sequence[int]) -> None:
    """Make the folder, and note its seeds.

    Raises:
        RunDirectoryError: it cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"schema_version": SCHEMA_VERSION, "seeds": list(seeds)})
        write_atomically(path / SEEDS, content.encode() + b"\n")
    except OSError as error:
        raise RunDirectoryError(
            f"{path} was expected to become a folder of run directories: {error.strerror or error}; choose another."
        ) from None


def read(path: Path) -> list[int]:
    """Return the seeds of a folder.

    Raises:
        RunDirectoryError: it holds no seeds that this version reads.
    """
    try:
        content = json.loads((path / SEEDS).read_text(encoding="utf-8"))
        if content["schema_version"] == SCHEMA_VERSION:
            return [int(seed) for seed in content["seeds"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise RunDirectoryError(
        f"{path / SEEDS} was expected to name the seeds whose runs the folder holds, and cannot be read."
    )


def expanded(paths: Iterable[Path]) -> list[Path]:
    """Return run directories, those of all seeds that have begun instead of a folder of several seeds."""
    from evometa.storage.manifest import MANIFEST  # imports JAX, which most commands do without

    found: list[Path] = []
    for path in paths:
        if (path / SEEDS).is_file():
            found += [run for seed in read(path) if ((run := folder(path, seed)) / MANIFEST).exists()]
        else:
            found.append(path)
    return found
