"""``drift.csv``: how the weights of ω move while a search runs; ``pandas.read_csv`` reads it.

A row has the Euclidean norm of the weights and their distance from where the search began, in total and for each array
of ω, a layer. The weights are those of the strategy's center, or of the best so far where there is no center. The first
row is of generation 0; the later ones are ever farther apart, so that a long run has no more than some hundreds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evometa.errors import RunDirectoryError
from evometa.storage.history import read_table

DRIFT = "drift.csv"
MOST_LAYERS = 40
"""Layers that have columns of their own; of more, the largest have, and what remains is in one column."""
OTHERS = "others"


def drift_columns(layers: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of the table for the names of layers."""
    of_layers = (f"{measure}/{name}" for measure in ("norm", "distance") for name in layers)
    return ("generation", "norm", "distance", *of_layers)


def largest_layers(layers: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the names of the layers that are shown by themselves, in their order."""
    largest = sorted(layers, key=lambda name: -layers[name].size)[:MOST_LAYERS]
    return [name for name in layers if name in largest]


def read_drift(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of the table, also while the search is running.

    Raises:
        RunDirectoryError: there is no such table, or it cannot be read.
    """
    if not (folder / DRIFT).exists():
        raise RunDirectoryError(
            f"{folder} was expected to hold {DRIFT} and has none, which only runs have whose ω consists of weights and "
            "that were begun or resumed since evometa writes it; read the history instead."
        )
    return read_table(folder / DRIFT)
