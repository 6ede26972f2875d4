"""Optuna's TPE as a strategy: its proposals, its place in the contract, and what it refuses."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from evometa import AskTell, Box, Categorical, ConfigurationError, Dict, HostProblem, Integer, Search, problems
from evometa.strategies import OptunaTPE, RandomSearch, Restarts
from evometa.strategies.optuna_tpe import _quiet
from evometa.testing import ContractError, check_strategy

SPACE = Dict(
    x=Box((2,), -1.0, 1.0, start=[0.5, 0.1]),
    rate=Box((), 1e-6, 1.0, log=True, start=0.1),
    units=Integer(1, 1000, log=True, start=7),
    kind=Categorical(4, start=2),
)


def cost(omega: Any) -> float | None:
    """Fails for one kind."""
    distance = np.sum(omega["x"] ** 2) + np.log10(omega["rate"] / 1e-3) ** 2 + np.log10(omega["units"] / 30) ** 2
    return None if omega["kind"] == 0 else float(distance + 3 * (omega["kind"] != 3))


def genotypes(loop: AskTell) -> Any:
    return np.array([SPACE.encode(omega) for omega in loop.ask()])


def test_begins_where_the_space_does_and_proposes_what_optuna_does() -> None:
    strategy = OptunaTPE(4, startup=3)
    loop = AskTell(SPACE, strategy, seed=1)
    first = loop.ask()[0]
    assert first["x"].tolist() == [0.5, 0.1]
    assert (first["rate"], first["units"], first["kind"]) == (pytest.approx(0.1, rel=1e-12), 7, 2)
    told, fitness = genotypes(loop), np.array([3.0, 1.0, 4.0, 2.0])
    proposed = strategy._proposed(17, SPACE, told, fitness)
    with _quiet():
        floats = [optuna.distributions.FloatDistribution(*ends) for ends in zip(*SPACE.coordinates[:2], strict=True)]
        units = optuna.distributions.IntDistribution(1, 1000, log=True)
        kind = optuna.distributions.CategoricalDistribution(range(4))
        distributions = dict(zip("01234", [*floats[:3], units, kind], strict=True))
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(n_startup_trials=3, seed=17, constant_liar=True))
        for row, value in zip(told.tolist(), fitness.tolist(), strict=True):
            params = dict(zip("01234", [*row[:3], int(row[3]), int(row[4])], strict=True))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
        expected = [list(study.ask(distributions).params.values()) for _ in range(4)]
    assert np.array_equal(proposed, np.array(expected, float))


def test_finds_more_than_random_search_and_continues_to_the_bit(tmp_path: Path) -> None:
    strategy = OptunaTPE(4, memory=60)
    loop = AskTell(SPACE, strategy, seed=1)
    for _ in range(9):
        loop.tell([cost(omega) for omega in loop.ask()])
    loop.save(tmp_path / "loop.npz")
    for _ in range(9):  # beyond what it remembers
        loop.tell([cost(omega) for omega in loop.ask()])
    again = AskTell.restore(tmp_path / "loop.npz", SPACE, strategy)
    for _ in range(9):
        again.tell([cost(omega) for omega in again.ask()])
    assert genotypes(again).tobytes() == genotypes(loop).tobytes()
    assert 0 < loop.failed < 20
    drawn = AskTell(SPACE.without_start(), RandomSearch(72), seed=1).ask()
    best = min(found for found in map(cost, drawn) if found is not None)
    assert loop.best_fitness < best / 2
    assert loop.best_omega["kind"] == 3


class Line(HostProblem):
    """A problem in plain Python."""

    space = Box((), 0.0, 1.0)  # type: ignore[assignment]

    def evaluate(self, rng: Any, omega: Any) -> float:
        return float(omega)


def test_what_it_cannot_do_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    Search(Line(), OptunaTPE())
    with pytest.raises(ConfigurationError, match=r"asks in plain Python, so it expects a plain-Python problem"):
        Search(problems.Sphere(), OptunaTPE())
    with pytest.raises(ConfigurationError, match="searches between bounds, and Box has a number without"):
        AskTell(Box((2,), 0.0), OptunaTPE())
    with pytest.raises(ConfigurationError, match="Restarts expects a strategy that can be compiled"):
        Restarts(OptunaTPE(), patience=3)
    with pytest.raises(ConfigurationError, match="raise memory"):
        OptunaTPE(8, memory=7)
    with pytest.raises(ContractError, match="only what is compiled is checked"):
        check_strategy(OptunaTPE(), Box((), 0.0, 1.0))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r'pip install "evometa\[optuna\]" brings it'):
        AskTell(SPACE, OptunaTPE())
