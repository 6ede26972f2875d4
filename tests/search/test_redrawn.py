"""Populations that are nowhere as a whole: each device draws again what it evaluates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evometa import Search
from evometa.naming import load
from evometa.search import compiled_driver
from evometa.strategies import OpenAIES, SepCMAES

Bowl = load(f"{Path(__file__).parents[1] / 'toys.py'}:Bowl")
POPULATION, DIMENSION = 64, 4096


STRATEGIES = (
    OpenAIES(population_size=POPULATION, regenerate_noise=True, learning_rate=0.1, tasks_per_pair=True),
    SepCMAES(population_size=POPULATION, regenerate_noise=True),
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
