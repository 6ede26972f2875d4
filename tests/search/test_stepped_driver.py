"""A search whose problem is plain Python keeps the promises of any other."""

import json
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import Search
from evometa.naming import load
from evometa.storage.history import HISTORY
from evometa.strategies import RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Errand = load(f"{TOYS}:Errand")
Slow = load(f"{Path(__file__).parents[1] / 'user_files' / 'misbehaving.py'}:Misbehaving")


def search(folder: Path | None, workers: int) -> Search:
    return Search(
        Errand(), RandomSearch(population_size=6), seed=2, run_directory=folder, workers=workers, validate_every=3
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Any, Path]:
    """A run of eight generations at one go, by one worker."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    one = search(folder, workers=1)
    return one, one.run(generations=8), folder


def test_failures_are_counted_told_and_ranked_last(
    whole: tuple[Search, Any, Path], caplog: pytest.LogCaptureFixture
) -> None:
    one, result, _ = whole
    # The candidates are random search's own: those with n = 0 must be the failed ones.
    space, failed = Errand().space, []
    state = RandomSearch(population_size=6).init(jax.random.key(0), space)
    for generation in range(1, 9):
        root = jax.random.split(jax.random.key(2), 3)[1]
        key = jax.random.split(jax.random.fold_in(root, generation), 3)[0]
        genotypes, state = RandomSearch(population_size=6).ask(key, state)
        omegas = jax.vmap(lambda genotype: space.decode(space.repair(genotype)))(genotypes)
        failed.append(int((np.asarray(omegas["n"]) == 0).sum()))
    assert one.history["failed"].tolist() == failed
    assert result.failed == sum(failed) > 0
    assert result.evaluations == 48
    assert int(result.best_omega["n"]) > 0
    assert result.best_fitness == pytest.approx(one.history["best"].min(), rel=1e-6)
    with caplog.at_level(logging.WARNING, logger="evometa"):
        search(None, workers=2).run(generations=4)
    told = [record.getMessage() for record in caplog.records if "candidate failed" in record.getMessage()]
    assert len(told) == 1  # each kind of failure once
    assert "raised: ValueError: no candidates with n = 0 (toys.py, line" in told[0]


def test_metrics_and_held_out_judgement_are_recorded(whole: tuple[Search, Any, Path]) -> None:
    one, result, _ = whole
    draws = one.history["best/draw"]
    assert np.isfinite(draws).all()
    assert len(np.unique(draws)) == 8  # a generator of its own for each generation
    assert np.flatnonzero(~np.isnan(one.history["held_out"])).tolist() == [2, 5]
    assert one.history["held_out"][5] >= 100.0
    assert result.held_out == pytest.approx(100.0 + np.sum(result.best_omega["x"] ** 2), rel=1e-5)
    assert set(result.metrics) == {"center/draw", "held_out/draw"}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_interruptions_change_no_bit(whole: tuple[Search, Any, Path], tmp_path: Path, workers: int) -> None:
    expected, result, folder = whole
    search(tmp_path / "run", workers).run(generations=2)
    Search.resume(tmp_path / "run", workers=3 - workers).run(generations=5)
    one = Search.resume(tmp_path / "run", workers=workers)
    again = one.run(generations=8)
    assert (tmp_path / "run" / HISTORY).read_bytes() == (folder / HISTORY).read_bytes()
    for leaf, other in zip(jax.tree.leaves(one._state), jax.tree.leaves(expected._state), strict=True):
        assert np.asarray(leaf).tobytes() == np.asarray(other).tobytes()
    assert (again.best_fitness, again.held_out) == (result.best_fitness, result.held_out)
    json.dumps(again.metrics)


def test_a_target_stops_it_too(whole: tuple[Search, Any, Path]) -> None:
    best = np.minimum.accumulate(whole[0].history["best"])
    target = float(best[4])
    result = search(None, workers=2).run(generations=8, target=target)
    assert result.stop_reason == f"the target fitness {target:g} was reached"
    assert result.generations == int(np.argmax(best <= best[4])) + 1
