from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from evometa.storage.history import History


@pytest.fixture
def made() -> Callable[..., History]:
    """Return a function that makes a history; columns not given are those of a plain run with a population of 10."""

    def make(best: ArrayLike, **columns: ArrayLike) -> History:
        best = np.asarray(best, np.float64)
        generation = np.arange(1, len(best) + 1)
        known = {
            "generation": generation,
            "evaluations": 10 * generation,
            "inner_steps": 40 * generation,
            "failed": np.zeros(len(best), np.int64),
            "best": best,
            "lower_quartile": best + 1,
            "median": best + 2,
            "upper_quartile": best + 3,
            "best_so_far": np.minimum.accumulate(best),
            "center": np.full(len(best), np.nan),
            "held_out": np.full(len(best), np.nan),
        }
        kinds = {"failed": np.int64}
        given = {name: np.asarray(values, kinds.get(name, np.float64)) for name, values in columns.items()}
        return History(known | given, {"generation": generation[-1:], "seconds": np.array([2.0 * len(best)])})

    return make


@pytest.fixture
def written(tmp_path: Path) -> Callable[[History], Path]:
    """Return a function that writes a history as a search does and returns the run directory."""

    def write(run: History) -> Path:
        for name, columns in (("history.csv", run.columns), ("timing.csv", run.timing)):
            rows = zip(*(column.tolist() for column in columns.values()), strict=True)
            lines = [",".join("" if value != value else repr(value) for value in row) for row in rows]
            (tmp_path / name).write_text("\n".join([",".join(columns), *lines, ""]))
        return tmp_path

    return write
