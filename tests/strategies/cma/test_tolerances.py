"""Tolerances end a search at the scale of its fitness and of its coordinates, and each can be switched off."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.spaces import Box
from evometa.strategies import BIPOPCMAES, CMAES, CRFMNES, IPOPCMAES, LMMAES, XNES, CMAwM, SepCMAES
from evometa.strategies.cma import stagnation
from evometa.strategies.cma.stagnation import empty_cells, extent, narrowest, record_in_cells, spread, tolerance

from ..driver import search, sphere

SPACE = Box((4,), start=np.zeros(4))


@pytest.mark.parametrize("strategy", [CMAES(8), CMAwM(8), SepCMAES(8), XNES(16), LMMAES(8), CRFMNES(8)], ids=repr)
def test_a_fitness_of_1e_minus_18_is_searched_to_its_end(strategy: Any) -> None:
    scale = 2.0**-60
    found = search(strategy, SPACE, lambda x: scale * sphere(x), generations=1000)
    assert found.best < 1e-7 * scale
    assert found.reason in ("tolfun", "tolfunhist")


def test_restarts_begin_when_a_run_has_converged() -> None:
    found = search(IPOPCMAES(8, largest=1), SPACE, lambda x: 2.0**-60 * sphere(x), generations=100)
    assert found.best < 2.0**-60 * 1e-7
    endless = IPOPCMAES(8, largest=1, tolfun=0.0, tolfunhist=0.0, tolx=0.0)
    local = endless._local
    assert (local.tolfun, local.tolfunhist, local.tolx) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("strategy", [CMAES(8, sigma=1e-12), SepCMAES(8, sigma=1e-12)], ids=lambda s: type(s).__name__)
def test_coordinates_of_1e_minus_12_are_searched_to_their_end(strategy: Any) -> None:
    found = search(strategy, SPACE, lambda x: sphere(1e12 * x), generations=1000)
    assert found.best < 1e-7


def test_the_scale_of_the_fitness_is_its_largest_difference() -> None:
    first = extent(jnp.float32(jnp.inf), jnp.int32(1), spread(jnp.array([3e-9, 1e-9, jnp.inf])))
    assert float(first) == pytest.approx(2e-9)
    assert float(extent(first, jnp.int32(2), jnp.float32(1e-10))) == float(first)
    assert float(tolerance(1e-11, first)) == pytest.approx(2e-18)
    # Around 1 the tolerance is as given, and where nothing ever differed, or the scale is unknown.
    for scale in (1.0, 0.02, 0.0, jnp.inf):
        assert float(tolerance(1e-11, jnp.float32(scale))) == pytest.approx(1e-11)
    assert (narrowest(1e-11, 0.3), narrowest(1e-11, 1e-6)) == (1e-11, pytest.approx(1e-14))
    # What a user sets above the usual tolerances counts as it is.
    assert float(tolerance(1e-3, jnp.float32(1.0))) == pytest.approx(1e-3)
    assert narrowest(1e-3, 0.3) == 1e-3


@pytest.mark.parametrize("strategy", [IPOPCMAES, BIPOPCMAES])
@pytest.mark.parametrize("name", ["tolfun", "tolfunhist", "tolx"])
def test_tolerances_of_restarted_runs_are_not_negative(strategy: Any, name: str) -> None:
    assert name in {field.name for field in dataclasses.fields(strategy)}
    words = rf"{strategy.__name__} expects {name} \(.*\) to be a number of at least 0, got -1\.0"
    with pytest.raises(ConfigurationError, match=words):
        strategy(**{name: -1.0})


@pytest.mark.parametrize("window", [5, 40])
def test_the_extremes_of_a_long_window_are_kept_in_few_cells(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stagnation, "CELLS", 8)
    part = -(-window // 7)
    best = np.random.default_rng(0).normal(size=150).astype(np.float32)
    cells = empty_cells(window)
    assert cells.shape[1] <= 8

    def step(cells: Any, generation: Any) -> Any:
        cells = record_in_cells(cells, generation, jnp.asarray(best)[generation - 1][None], window)
        return cells, jnp.max(cells) - jnp.min(cells)

    _, found = jax.lax.scan(step, cells, jnp.arange(1, 151))
    for generation, extremes in enumerate(np.asarray(found), start=1):
        if generation < window:
            assert not np.isfinite(extremes)
        elif generation >= window + 2 * part:
            lengths = range(window, window + 2 * part + 1)
            assert extremes in [np.ptp(best[generation - length : generation]) for length in lengths]
