"""A folder of several seeds in a table: each run's figures, and their mean and standard deviation."""

import math
from pathlib import Path

import numpy as np

from evometa.storage import checkpoint, result_file, seeds_file

FIGURES = {
    "best": "best_fitness",
    "on fresh tasks": "selected_fitness",
    "held-out": "selected_held_out",
}
"""Columns of the table, and where their numbers stand in a result."""


def seeds_table(directory: Path) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows: one for each seed that has begun, then mean and standard deviation.

    Args:
        directory: the folder of the run directories.

    Raises:
        RunDirectoryError: it names no seeds.
    """
    folders = {seed: seeds_file.folder(directory, seed) for seed in seeds_file.read(directory)}
    numbers = {seed: result_file.numbers(folder) or {} for seed, folder in folders.items()}
    known = {
        title: np.array([float(found.get(name, math.nan)) for found in numbers.values()])
        for title, name in FIGURES.items()
    }
    known = {title: values for title, values in known.items() if np.isfinite(values).any()}
    rows = []
    for place, (seed, found) in enumerate(numbers.items()):
        progress = checkpoint.progress(folders[seed]) or {}
        cells = [_cell(values[place]) for values in known.values()]
        rows.append(
            [
                f"{seed}",
                f"{found.get('generations', 0):,}",
                *cells,
                (progress.get("stop_reason") or "not ended").partition(":")[0],
            ]
        )
    for title, of in (("mean", np.mean), ("deviation", lambda values: np.std(values, ddof=1))):
        finite = [values[np.isfinite(values)] for values in known.values()]
        rows.append([title, "", *(_cell(float(of(values))) if len(values) > 1 else "" for values in finite), ""])
    return ["seed", "generations", *known, "stopped"], rows


def _cell(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else ""
