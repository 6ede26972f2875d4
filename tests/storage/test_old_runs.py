"""Run directories that earlier versions wrote, kept in ``data/`` as they were: each can still be continued.

Their manifests name classes by the modules that held them then, and their checkpoints hold the states of then.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import Search, strategies
from evometa.storage import history

DATA = Path(__file__).parents[1] / "data"


def copy(name: str, folder: Path) -> Path:
    """Copy a run, and the user's file, whose path is written as ``FOLDER`` in the manifest."""
    shutil.copy(DATA / "own_problem.py", folder)
    run = shutil.copytree(DATA / name, folder / name)
    manifest = run / "manifest.json"
    manifest.write_text(manifest.read_text().replace("FOLDER", str(folder)))
    return run


@pytest.mark.parametrize(
    ("name", "problem", "strategy"),
    [
        ("zdt2-nsga2", "ZDT2", strategies.NSGA2(population_size=16)),  # an archive, evaluated in a compiled program
        ("hostbowl-cmaes", "HostBowl", strategies.CMAES()),  # a problem of a user's file, evaluated by worker processes
    ],
)
def test_an_old_run_is_continued(name: str, problem: str, strategy: Any, tmp_path: Path) -> None:
    run = copy(name, tmp_path)
    before = history.read(run)
    search = Search.resume(run, workers=1)
    assert (type(search.problem).__name__, search.strategy) == (problem, strategy)
    assert search.run(generations=len(before) + 2).generations == len(before) + 2
    after = history.read(run)
    assert len(after) == len(before) + 2
    for column, values in before.columns.items():
        np.testing.assert_array_equal(after.columns[column][: len(before)], values)
    # A state that was not the old one would begin with a random population, far from what the old one had found.
    median = after.columns["median"]
    assert median[len(before)] < (median[0] + median[len(before) - 1]) / 2
