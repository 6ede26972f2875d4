"""pycma as a strategy: the same candidates, its place in the contract, and what it refuses."""

import importlib.util
from pathlib import Path
from typing import Any

import cma
import numpy as np
import pytest

from evometa import AskTell, Box, ConfigurationError, Dict, Integer, Search, problems
from evometa.strategies import PyCMA
from evometa.strategies.pycma import _Normal

SPACE = Dict(x=Box((2,), -1.0, 3.0, start=[0.5, 0.1]), y=Box((), start=2.0))


def cost(omega: Any) -> float | None:
    """Fails in a corner."""
    if omega["x"][0] > 0.7 and omega["y"] > 2.0:
        return None
    return float(np.sum((omega["x"] + 0.5) ** 2) + 10 * omega["y"] ** 2)


def test_candidates_are_those_of_pycma_that_runs_on() -> None:
    loop = AskTell(SPACE, PyCMA(6), seed=2)
    normal = _Normal()
    options = {"popsize": 6, "randn": normal, "verbose": -9, "bounds": [[-0.25, -0.25, None], [0.75, 0.75, None]]}
    reference = cma.CMAEvolutionStrategy([0.125, 0.025, 2.0], 0.3, options)
    failed = 0
    for generation in range(8):
        omegas = loop.ask()
        normal.seed(loop._state.strategy.seeds[generation])
        drawn = reference.ask()
        for omega, genotype in zip(omegas, drawn, strict=True):
            assert np.allclose([*omega["x"], omega["y"]], genotype * np.array([4.0, 4.0, 1.0]), rtol=1e-12)
        results = [cost(omega) for omega in omegas]
        loop.tell(results)
        sound = [result for result in results if result is not None]
        worst = max(sound) + np.ptp(sound) + 1.0
        reference.tell(drawn, [worst if result is None else result for result in results])
        failed += results.count(None)
    assert loop.failed == failed > 0
    loop.ask()
    assert loop.center_omega is not None
    assert np.allclose(loop.center_omega["x"], 4.0 * reference.mean[:2], rtol=1e-12)


def bowl(omegas: list[Any]) -> list[float]:
    return [1e-9 * float(np.sum((omega["x"] - 1) ** 2) + omega["y"] ** 2) for omega in omegas]


def test_converges_stops_and_continues_to_the_bit(tmp_path: Path) -> None:
    loop = AskTell(SPACE, PyCMA(8), seed=0)
    while loop.stop_reason is None:
        loop.tell(bowl(loop.ask()))
        if loop.generation == 5:
            loop.ask()
            loop.save(tmp_path / "loop.npz")
        if loop.generation == 8:
            eighth = [omega["x"].tolist() for omega in loop.ask()]
    assert loop.stop_reason.code in ("strategy:tolfun", "strategy:tolfunhist", "strategy:tolx")
    assert loop.generation < 100
    assert loop.best_fitness < 1e-11
    again = AskTell.restore(tmp_path / "loop.npz", SPACE)
    for _ in range(3):
        again.tell(bowl(again.ask()))
    assert [omega["x"].tolist() for omega in again.ask()] == eighth


def test_what_it_cannot_do_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = AskTell(Box((2,)), PyCMA(2, generations=1))
    loop.tell([1.0, 2.0] if len(loop.ask()) == 2 else [])
    assert loop.stop_reason is not None
    assert loop.stop_reason.code == "strategy:generations"
    with pytest.raises(ConfigurationError, match="expects no more than generations=1"):
        loop.ask()
    for space, words in (
        (Box(()), "two numbers or more, got one"),
        (Integer(1, 3), "PyCMA searches real vectors only"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            AskTell(space, PyCMA())
    with pytest.raises(ConfigurationError, match="PyCMA asks in plain Python"):
        Search(problems.Sphere(), PyCMA())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r'pip install "evometa\[pycma\]" brings it'):
        AskTell(SPACE, PyCMA())
