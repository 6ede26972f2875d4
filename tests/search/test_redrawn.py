"""Populations that are nowhere as a whole, and vectors of which each device has a slice."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import Search
from evometa.backend import slices
from evometa.naming import load
from evometa.search import compiled_driver
from evometa.strategies import PGPE, OpenAIES, SepCMAES

Bowl = load(f"{Path(__file__).parents[1] / 'toys.py'}:Bowl")
POPULATION, DIMENSION = 64, 4096


STRATEGIES = (
    OpenAIES(population_size=POPULATION, regenerate_noise=True, learning_rate=0.1, tasks_per_pair=True),
    SepCMAES(population_size=POPULATION, regenerate_noise=True),
    PGPE(population_size=POPULATION, regenerate_noise=True),
)


def searched(strategy: Any, devices: int) -> Search:
    made = Search(Bowl(dimension=DIMENSION), strategy, devices=devices, population_chunk=1, finalists=1, progress=False)
    made.run(generations=3)
    return made


def temporaries(made: Search) -> int:
    assert made.running.driver is not None
    return int(made.running.driver._dispatch.memory_analysis().temp_size_in_bytes)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_a_large_population_is_never_a_whole_and_the_search_is_the_same(
    strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    redrawn = searched(strategy, 2)
    whole = POPULATION * DIMENSION * 4
    assert temporaries(redrawn) < whole / 2
    monkeypatch.setattr(compiled_driver, "LEAST_NUMBERS_TO_SPREAD", np.inf)
    large = searched(strategy, 1)
    assert temporaries(large) >= whole
    for name in ("best", "median", "best_so_far", "strategy/sigma"):
        np.testing.assert_allclose(redrawn.history[name], large.history[name], rtol=1e-5)
    np.testing.assert_allclose(redrawn.run(generations=3).best_omega, large.run(generations=3).best_omega, atol=1e-5)


# A slice ends inside a block; with 2,051 numbers on two devices one slice is shorter besides.
@pytest.mark.bits
@pytest.mark.parametrize(
    ("strategy", "dimension"),
    [
        (OpenAIES(4, regenerate_noise=True, weight_decay=0.1), 2052),
        (SepCMAES(4, regenerate_noise=True), 2051),
        (PGPE(4, regenerate_noise=True), 2052),
    ],
)
def test_a_state_in_slices_is_the_same_to_the_bit_on_any_number_of_devices_also_when_resumed(
    strategy: Any, dimension: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module, name, number in (
        (slices, "LEAST_LENGTH", 2048),
        (slices, "BLOCK", 512),
        (compiled_driver, "LEAST_NUMBERS_TO_SPREAD", 2048),
    ):
        monkeypatch.setattr(module, name, number)
    settings: Any = {"population_chunk": 1, "finalists": 1, "validation_share": 0, "progress": False}
    whole = Search(Bowl(dimension=dimension), strategy, devices=2, run_directory=tmp_path / "whole", **settings)
    whole.run(generations=4)
    if dimension % 2 == 0:
        held = {leaf.addressable_shards[0].data.shape for leaf in jax.tree.leaves(whole._run.state)}
        assert (dimension // 2,) in held
        assert (dimension,) not in held
    moved = tmp_path / "moved"
    Search(Bowl(dimension=dimension), strategy, devices=1, run_directory=moved, **settings).run(generations=2)
    resumed = Search.resume(moved, devices=2, progress=False)
    resumed.run(generations=4)
    assert (moved / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    for first, second in zip(*(jax.tree.leaves(each._run.state) for each in (resumed, whole)), strict=True):
        np.testing.assert_array_equal(first, second)
