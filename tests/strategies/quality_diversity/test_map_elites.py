"""The archive equals one kept in a dictionary; MAP-Elites on any space."""

import re
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Search
from evometa.errors import ConfigurationError
from evometa.problems import ZDT1, LinearProjection
from evometa.spaces import Box, Categorical, Dict, Integer
from evometa.storage import archive_file
from evometa.strategies import CMAME, MAPElites
from evometa.strategies.quality_diversity.grid import DISCOVERED, IMPROVED, REJECTED, enter, no_elites, pick
from evometa.strategy import Feedback
from evometa.testing import check_strategy

QUIET: dict[str, Any] = {"progress": False, "devices": 1}
KEY = jax.random.key(0)
SMALL: dict[str, Any] = {"cells": (4, 3), "low": (0.0, -1.0), "high": (1.0, 2.0)}


@pytest.mark.usefixtures("x64")
def test_searches_mixed_spaces() -> None:
    space = Dict({"x": Box((2,), low=0.0, high=1.0), "n": Integer(0, 9), "c": Categorical(4)})
    check_strategy(MAPElites(6, cells=(6, 6)), space)


def test_keeps_what_a_dictionary_would() -> None:
    rng = np.random.default_rng(0)
    elites, expected = no_elites(jnp.zeros(2), 6, 1), {}
    step = jax.jit(enter, static_argnames="worst")
    for _ in range(30):
        cell, fitness = rng.integers(0, 6, 9), rng.integers(-4, 5, 9).astype(float)
        fitness[rng.random(9) < 0.2] = np.inf
        genotypes, measures = rng.normal(size=(9, 2)).astype(np.float32), rng.normal(size=(9, 1)).astype(np.float32)
        before = dict(expected)
        elites, entry = step(
            elites, jnp.asarray(cell), jnp.asarray(genotypes), jnp.asarray(fitness), measures, worst=7.0
        )
        for i in range(9):
            old = before.get(cell[i], (np.inf,))[0]
            status = REJECTED if fitness[i] >= old else DISCOVERED if np.isinf(old) else IMPROVED
            gain = -np.inf if np.isinf(fitness[i]) else (7.0 if np.isinf(old) else old) - fitness[i]
            assert (entry.status[i], entry.improvement[i]) == (status, gain)
            if fitness[i] < expected.get(cell[i], (np.inf,))[0]:
                expected[cell[i]] = (fitness[i], genotypes[i], measures[i])
        assert set(elites.occupied[: elites.filled].tolist()) == set(expected)
        assert elites.filled == len(expected)
        for c, (value, genotype, measure) in expected.items():
            assert elites.fitness[c] == value
            np.testing.assert_array_equal(elites.genotypes[c], genotype)
            np.testing.assert_array_equal(elites.measures[c], measure)
    assert len(expected) == 6


def test_draws_every_elite_equally_often_and_nobody_else() -> None:
    cell = np.array([3, 30, 31, 49])

    @jax.jit
    def picked() -> Any:
        elites = no_elites(jnp.zeros(()), 50, 1)
        elites, _ = enter(elites, cell, jnp.asarray(cell, float), jnp.ones(4), jnp.zeros((4, 1)), 0.0)
        return pick(KEY, elites, 4000)

    found, times = np.unique(picked(), return_counts=True)
    assert found.tolist() == cell.tolist()
    assert (abs(times - 1000) < 100).all()


def told(strategy: MAPElites, measures: Any, fitness: Any, constraints: Any = None) -> Any:
    """Return the state, what it reports and what it keeps."""

    @jax.jit
    def generation(fitness: Any, measures: Any, constraints: Any) -> Any:
        genotypes, state = strategy.ask(KEY, strategy.init(KEY, Box((2,))))
        state = strategy.tell(KEY, state, genotypes, Feedback(fitness, measures=measures, constraints=constraints))
        return state, strategy.diagnostics(state), strategy.archive(state)

    return jax.device_get(generation(np.asarray(fitness, np.float32), np.asarray(measures, np.float32), constraints))


def test_cells_of_measures() -> None:
    strategy = MAPElites(6, **SMALL)
    measures = [[0.0, -1.0], [0.24, 1.99], [0.5, 0.0], [1.0, 2.0], [-9.0, 9.0], [9.0, -9.0]]
    elites = told(strategy, measures, np.arange(6.0))[0].elites
    # Row-major: cell 3 a + b for the a-th part of the first measure and the b-th of the second; the fifth is worse.
    assert elites.occupied[:5].tolist() == [0, 2, 7, 11, 9]
    assert elites.fitness[[0, 2, 7, 11, 9]].tolist() == [0, 1, 2, 3, 5]


def test_what_is_reported_and_kept() -> None:
    strategy = MAPElites(4, worst_fitness=10.0, **SMALL)
    constraints = np.array([[0.0], [-1.0], [0.1], [0.0]], np.float32)
    measures = [[0.1, 0.0], [0.9, 0.0], [0.5, 0.0], [0.3, 0.0]]
    _, diagnostics, archive = told(strategy, measures, [1.0, 4.0, -50.0, np.inf], constraints)
    assert diagnostics == {"coverage": np.float32(2 / 12), "qd_score": 15}
    assert archive.fitness[archive.occupied].tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    "strategy",
    [MAPElites(40, cells=(5,), low=(0.0,), high=(4.0,)), CMAME(40, cells=(5,), low=(0.0,), high=(4.0,), emitters=2)],
    ids=lambda strategy: type(strategy).__name__,
)
def test_the_least_violation_leads_to_the_first_elite(strategy: Any) -> None:
    space = Box((6,), -5.0, 5.0)
    limit = 0.3  # a ball of a millionth of the box

    def generation(state: Any, key: Any) -> Any:
        genotypes, state = strategy.ask(key, state)
        x = jax.vmap(lambda genotype: space.decode(space.repair(genotype)))(genotypes)
        away = jnp.sum((x - 3) ** 2, axis=1)
        feedback = Feedback(jnp.sum(x, axis=1), measures=x[:, :1], constraints=away[:, None] - limit)
        state = strategy.tell(key, state, genotypes, feedback)
        archive = strategy.archive(state)
        known = jnp.where(archive.occupied, archive.fitness, 18.0)
        return state, (jnp.min(away), jnp.sum(archive.occupied), strategy.diagnostics(state)["coverage"], known)

    @jax.jit
    def run() -> Any:
        return jax.lax.scan(generation, strategy.init(KEY, space), jax.random.split(KEY, 80))[1]

    away, occupied, coverage, known = map(np.asarray, run())
    first = int(np.argmax(away <= limit))
    assert first > 3
    assert not occupied[:first].any()
    assert occupied[first:].all()
    np.testing.assert_allclose(coverage, occupied / 5)
    assert abs(known - 18).max() < 2  # the sum of six numbers within the ball, and no violations


def test_children_lie_on_lines_between_elites() -> None:
    strategy = MAPElites(50, cells=(2,), low=(0.0,), high=(1.0,), iso_sigma=0.0, line_sigma=0.5)

    @jax.jit
    def children() -> Any:
        genotypes = jnp.zeros((50, 2)).at[0].set(jnp.array([1.0, 3.0]))
        feedback = Feedback(jnp.ones(50), measures=jnp.zeros((50, 1)).at[0].set(1.0))
        return strategy.ask(KEY, strategy.tell(KEY, strategy.init(KEY, Box((2,))), genotypes, feedback))[0]

    x, y = np.asarray(children()).T
    np.testing.assert_allclose(y, 3 * x, atol=1e-5)
    assert len(np.unique(x)) > 10
    assert (x < 0).any()
    assert (x > 1).any()


def test_an_interrupted_search_ends_as_a_whole_one_and_leaves_its_archive(tmp_path: Path) -> None:
    problem, strategy = LinearProjection(4), MAPElites(30, cells=(10, 10), iso_sigma=0.5)
    whole = Search(problem, strategy, run_directory=tmp_path / "whole", **QUIET)
    whole.run(generations=7)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    result = whole.run(generations=40)
    Search.resume(tmp_path / "cut", **QUIET).run(generations=40)
    for name in ("history.csv", "archive.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    kept = archive_file.read(tmp_path / "cut")
    assert result.archive is not None
    np.testing.assert_array_equal(kept.omegas, result.archive.omegas)
    # The archive is in the problem's own direction, with the problem's own values, and what the history counts.
    again = jax.jit(jax.vmap(problem.evaluate, in_axes=(None, 0)))(KEY, kept.omegas)
    np.testing.assert_allclose(kept.fitness, again.fitness, rtol=1e-5)
    np.testing.assert_allclose(kept.measures, again.measures, rtol=1e-4, atol=1e-5)
    found = whole.history
    assert found["strategy/coverage"][-1] == pytest.approx(len(kept.fitness) / 100)
    assert found["strategy/qd_score"][-1] == pytest.approx(kept.fitness.sum(), rel=1e-5)
    assert (np.diff(found["strategy/qd_score"]) >= 0).all()
    assert found["strategy/coverage"][-1] > 0.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 0}, "to be a whole number of at least 1, got 0"),
        (
            {"cells": (4,)},
            "MAPElites expects cells, low and high to have a number for each measure, got (4,)",
        ),
        ({"cells": (), "low": (), "high": ()}, "a number for each measure"),
        ({"cells": (4, 0)}, "to be a tuple of whole numbers of at least 1"),
        ({"low": (0.0, 1.0)}, "low < high for each measure"),
        ({"high": (1.0, float("inf"))}, "to be a tuple of finite numbers"),
        ({"cells": (100_000, 100_000)}, "fewer than 2³¹ cells"),
        ({"iso_sigma": -0.1}, "to be a number of at least 0, got -0.1"),
        ({"mutation_rate": 2.0}, "to be a number from 0 to 1, got 2.0"),
    ],
)
def test_refuses_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        MAPElites(**settings)


def test_refuses_problems_with_other_measures() -> None:
    with pytest.raises(ConfigurationError, match="MAPElites expects 3 measures, as its cells, low and high say"):
        Search(LinearProjection(), MAPElites(cells=(4, 4, 4), low=(0.0,) * 3, high=(1.0,) * 3))
    with pytest.raises(ConfigurationError, match="MAPElites requires measures, and ZDT1 gives none"):
        Search(ZDT1(), MAPElites())
