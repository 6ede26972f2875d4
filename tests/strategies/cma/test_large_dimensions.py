"""What the strategies for many dimensions, and xNES, have in common: sound at any size, and they stop by themselves."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from evometa.spaces import Box
from evometa.strategies import CRFMNES, LMMAES, XNES, SepCMAES

from ..driver import search, sphere


@pytest.mark.parametrize("strategy", [CRFMNES, LMMAES, SepCMAES])
@pytest.mark.parametrize(("population_size", "d"), [(200, 1), (300, 3), (4, 3000)])
def test_large_populations_and_dimensions_stay_sound(strategy: Any, population_size: int, d: int) -> None:
    chosen = strategy(population_size, sigma=0.01)
    found = search(chosen, Box((d,), start=np.zeros(d)), sphere, generations=60)
    assert float(sphere(found.state.mean)) < 0.25 * d
    assert all(np.isfinite(value) for value in chosen.diagnostics(found.state).values())


@pytest.mark.parametrize(
    ("settings", "function", "reason"),
    [
        ({}, lambda x: jnp.zeros(len(x)), "tolfunhist"),
        ({"tolfunhist": 0.0, "tolx": 1e-3}, sphere, "tolx"),
        ({"tolfunhist": 0.0}, lambda x: sphere(x - 1000.0), "noeffectcoord"),
        ({"tolfunhist": 0.0}, lambda x: x[:, 0], "nonfinite"),
    ],
)
@pytest.mark.parametrize("strategy", [CRFMNES, LMMAES, SepCMAES, XNES])
def test_stops_by_itself(strategy: Any, settings: dict[str, float], function, reason: str) -> None:
    found = search(strategy(12, **settings), Box((4,), start=np.ones(4)), function, generations=5000)
    assert found.reason == reason
