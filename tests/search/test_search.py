"""The search as a user meets it: what it records, what equals bit for bit, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError, Integer, Search
from evometa.naming import load
from evometa.search import decisions
from evometa.storage import checkpoint
from evometa.storage.history import HISTORY
from evometa.strategies import CMAES, OpenAIES, RandomSearch

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Hill, Cliff, Abyss, Chase, Careless, Waves, Walk = (
    load(f"{TOYS}:{name}") for name in ("Bowl", "Hill", "Cliff", "Abyss", "Chase", "Careless", "Waves", "Walk")
)
STRATEGIES = [CMAES(population_size=8), OpenAIES(population_size=8)]
by_name = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)


def search(problem: Any, strategy: Any, **options: Any) -> Search:
    return Search(problem, strategy, **{"validation_tasks": 4, "validate_every": 3} | options)


def bits(one: Search) -> list[Any]:
    return [(leaf.dtype, np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(one._run.state)]


def table(one: Search) -> dict[str, bytes]:
    return {name: column.tobytes() for name, column in one.history.columns.items()}


# What is recorded.


def test_the_record_of_a_search_is_that_of_its_candidates() -> None:
    seen: list[Any] = []

    class Watched(Bowl):  # type: ignore[misc,valid-type]
        def evaluate(self, key: Any, omega: Any) -> Any:
            fitness = super().evaluate(key, omega)
            jax.debug.callback(lambda value: seen.append(float(value)), fitness, ordered=False)
            return fitness

    one = search(Watched(dimension=2), RandomSearch(7), population_chunk=1, devices=1, validate_every=100)
    result = one.run(generations=5)
    jax.effects_barrier()
    fitness = np.array(seen[: 7 * 5], np.float32).reshape(5, 7)  # what follows is the validation of the result
    fitness.sort(axis=1)
    for name, rank in (("best", 0), ("lower_quartile", 2), ("median", 3), ("upper_quartile", 4)):
        np.testing.assert_allclose(one.history[name], fitness[:, rank], rtol=1e-6)
    np.testing.assert_allclose(one.history["best_so_far"], np.minimum.accumulate(fitness[:, 0]), rtol=1e-6)
    assert one.history["generation"].tolist() == [1, 2, 3, 4, 5]
    assert one.history["evaluations"].tolist() == [7, 14, 21, 28, 35]
    assert not one.history["failed"].any()
    np.testing.assert_allclose(result.best_fitness, fitness.min(), rtol=1e-6)
    np.testing.assert_allclose(np.sum((result.best_omega - 1.0) ** 2), fitness.min(), rtol=1e-5)


@pytest.mark.bits
def test_maximising_is_minimising_upside_down() -> None:
    down, up = (search(cls(noise=0.1), CMAES(population_size=9)) for cls in (Bowl, Hill))
    low, high = (one.run(generations=20) for one in (down, up))
    assert high.best_fitness == -low.best_fitness
    np.testing.assert_array_equal(high.best_omega, low.best_omega)
    for name, mirrored in (("best", "best"), ("lower_quartile", "upper_quartile"), ("median", "median"),
                           ("best_so_far", "best_so_far"), ("center", "center")):  # fmt: skip
        np.testing.assert_array_equal(up.history[name], -down.history[mirrored])
    assert (up.history["lower_quartile"] <= up.history["upper_quartile"]).all()


def test_validation_is_regular_and_on_tasks_of_its_own() -> None:
    one = search(Chase(), OpenAIES(population_size=8, sigma=0.1, learning_rate=0.05))
    result = one.run(generations=11)
    for name in ("center", "held_out", "center/distance", "held_out/distance"):
        assert np.flatnonzero(~np.isnan(one.history[name])).tolist() == [2, 5, 8]  # after generations 3, 6 and 9
    # Training targets lie around 0, held-out ones around 10; 3/4 of the way is left after each of four steps.
    assert one.history["held_out/distance"][2] > 5 * one.history["center/distance"][2]
    np.testing.assert_allclose(result.held_out, 0.75**8 * (10.0 - result.center_omega) ** 2, rtol=0.6)
    assert set(result.metrics) == {"center/distance", "held_out/distance"}
    again = one.run(generations=11)
    assert (again.center_fitness, again.held_out) == (result.center_fitness, result.held_out)


def test_failed_candidates_are_counted_ranked_last_and_do_no_harm() -> None:
    noisy = OpenAIES(population_size=8, sigma=0.3, learning_rate=0.05)
    for strategy in (CMAES(population_size=8), noisy, Walk(population_size=8)):
        one = search(Cliff(dimension=3), strategy)
        result = one.run(generations=60)
        failed = one.history["failed"]
        assert failed.sum() == result.failed > 0
        assert np.isfinite(result.best_omega).all()
        assert np.isfinite(one.history["best_so_far"][failed.cumsum() < 8 * one.history["generation"]]).all()
        ordered = np.stack([one.history[n] for n in ("best", "lower_quartile", "median", "upper_quartile")])
        succeeded = failed < 8
        assert (np.diff(ordered[:, succeeded], axis=0) >= 0).all()
        assert np.isnan(ordered[:, ~succeeded]).all()
        assert result.best_fitness >= 0.0  # a bowl, and -inf is not its best
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.center_omega))


def test_a_search_in_which_all_fail_goes_on_and_learns_nothing() -> None:
    one = search(Abyss(), CMAES(population_size=8))
    started = one.run(generations=1).center_omega
    result = one.run(generations=5)
    assert (result.failed, result.generations) == (40, 5)
    assert np.isnan(result.best_fitness)
    np.testing.assert_array_equal(result.center_omega, started)
    assert np.isnan(one.history["best"]).all()
    assert np.isnan(one.history["best_so_far"]).all()


# What stays the same.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Path]:
    """A run of 40 generations without interruption."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    one = search(Chase(), STRATEGIES[0], seed=4, run_directory=folder)
    one.run(generations=40)
    return one, folder


def test_any_interruptions_and_dispatches_give_the_same_bytes(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, folder = whole
    monkeypatch.setattr(decisions, "DISPATCH_SECONDS", 0.0)  # a generation in each dispatch
    search(Chase(), STRATEGIES[0], seed=4, run_directory=tmp_path / "run").run(generations=1)
    monkeypatch.setattr(decisions, "DISPATCH_SECONDS", 0.003)
    for generations in (9, 10):
        one = Search.resume(tmp_path / "run", checkpoint_seconds=0.0)
        one.run(generations=generations)
    one = Search.resume(tmp_path / "run")
    one.run(generations=33)
    one.run(generations=40)
    assert (tmp_path / "run" / HISTORY).read_bytes() == (folder / HISTORY).read_bytes()
    assert bits(one) == bits(expected)


def test_memory_and_directory_hold_the_same(whole: Any) -> None:
    expected, _ = whole
    one = search(Chase(), STRATEGIES[0], seed=4)
    one.run(generations=13)
    one.run(generations=40)
    assert bits(one) == bits(expected)
    np.testing.assert_equal(
        {name: column.astype(np.float32) for name, column in one.history.columns.items()},
        {name: column.astype(np.float32) for name, column in expected.history.columns.items()},
    )
    assert (np.diff(one.history.seconds) >= 0).all()


def test_the_seed_decides_everything(whole: Any) -> None:
    other = search(Chase(), STRATEGIES[0], seed=5)
    other.run(generations=40)
    assert other.history["best"].tobytes() != whole[0].history["best"].tobytes()


@pytest.mark.bits
@by_name
def test_the_number_of_devices_changes_no_bit(strategy: Any) -> None:
    one, two = (search(Waves(), strategy, devices=devices, population_chunk=2) for devices in (1, 2))
    for each in (one, two):
        each.run(generations=12)
    assert table(one) == table(two)
    assert bits(one) == bits(two)


def test_a_resumed_run_keeps_its_chunk_and_omega_comes_back_as_numpy(tmp_path: Path) -> None:
    one = search(Waves(), RandomSearch(4), run_directory=tmp_path / "run", population_chunk=1, devices=1)
    result = one.run(generations=2)
    assert {type(leaf) for leaf in jax.tree.leaves(result.best_omega)} <= {np.ndarray, np.float32}
    assert result.best_omega["weights"]["out"].shape == (16, 1)
    assert result.center_omega is None
    assert np.isfinite(result.held_out)
    resumed = Search.resume(tmp_path / "run", devices=1)
    resumed.run(generations=4)
    one.run(generations=4)
    assert bits(resumed) == bits(one)
    assert resumed.running.driver.evaluator.chunk == 1  # type: ignore[union-attr]


def test_a_damaged_newest_checkpoint_costs_nothing_but_time(whole: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    one = search(Chase(), STRATEGIES[0], seed=4, run_directory=folder)
    for generations in (20, 30):
        one.run(generations=generations)
    newest = folder / checkpoint.CHECKPOINTS / f"{30:012d}" / "index.json"
    newest.write_bytes(newest.read_bytes()[:50])
    resumed = Search.resume(folder)
    with pytest.warns(UserWarning, match="checkpoint of generation 30 .* is damaged"):
        resumed.run(generations=40)
    expected, whole_folder = whole
    assert (folder / HISTORY).read_bytes() == (whole_folder / HISTORY).read_bytes()
    assert bits(resumed) == bits(expected)


# Precision.

DOUBLE = """
import json, sys, warnings
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, numpy as np
import evometa as em
from evometa.naming import load
from evometa.evaluation.full_evaluator import FullEvaluator

toys = sys.argv[1]
found = {}
problem = load(f"{toys}:Waves")()
with warnings.catch_warnings():
    warnings.simplefilter("error")
    em.Search(problem, em.strategies.CMAES(population_size=6))
evaluator = FullEvaluator(problem, problem.space, 0, 2, (jax.devices()[0],))
program = jax.make_jaxpr(evaluator.population)(jax.random.key(0), jnp.zeros((4, problem.space.size)))
lines = [line for line in str(program).splitlines() if "dot_general" in line]
found["products"] = sorted({line.split(":")[1].split("[")[0] for line in lines})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    em.Search(load(f"{toys}:Careless")(), em.strategies.CMAES(population_size=6))
found["warnings"] = [str(warning.message) for warning in caught]
patient = em.strategies.CMAES(population_size=8, tolfun=0.0, tolfunhist=0.0)
bowl = em.Search(load(f"{toys}:Bowl")(), patient, validation_share=0.0, devices=1)
found["resolved"] = bowl.run(generations=400, target=1e-20).best_fitness
found["state"] = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(bowl._run.state.strategy)})
found["best"] = str(bowl._run.state.best_fitness.dtype)
print(json.dumps(found))
"""


def test_in_double_precision_strategies_are_double_and_learners_stay_single() -> None:
    done = subprocess.run([sys.executable, "-c", DOUBLE, str(TOYS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "float32" not in found["state"]
    assert "float64" in found["state"]
    assert found["best"] == "float64"
    assert found["products"] == ["f32"]
    assert len(found["warnings"]) == 1
    assert "Careless trains learners in float64 although its ω is not" in found["warnings"][0]
    assert found["resolved"] <= 1e-20


# What is refused.


def test_what_is_no_strategy_or_no_problem_is_refused() -> None:
    for strategy in (CMAES, "cma-es", None):
        with pytest.raises(ConfigurationError, match=r"expects strategy .*; give an instance such as OpenAIES"):
            Search(Bowl(), strategy)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="give an instance of a Problem"):
        Search(Bowl, RandomSearch(4))


class Mixed(Bowl):  # type: ignore[misc,valid-type]
    space = Integer(0, 3)


def test_a_strategy_that_cannot_search_the_space_says_so_at_once() -> None:
    with pytest.raises(
        ConfigurationError, match=r"CMAES searches real vectors only .* use CMAwM, GeneticAlgorithm or RandomSearch"
    ):
        Search(Mixed(), CMAES())


class Crooked(Bowl):  # type: ignore[misc,valid-type]
    def evaluate(self, key: Any, omega: Any) -> Any:
        return omega


def test_a_problem_that_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Crooked.evaluate expects to return a scalar"):
        Search(Crooked(), RandomSearch(4), run_directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandomSearch(population_size=-3), "population_size .* of at least 1, got -3"),
        (lambda: OpenAIES(population_size=7), "population_size .* an even whole number of at least 2, got 7"),
        (lambda: Search(Bowl(), RandomSearch(4), validate_every=0), "validate_every .* of at least 1, got 0"),
        (
            lambda: Search(Bowl(), RandomSearch(4), validation_tasks=0),
            "validation_tasks .* of at least 1 or None, got 0",
        ),
        (lambda: Search(Bowl(), RandomSearch(4), keep_checkpoints=0), "keep_checkpoints .* of at least 1, got 0"),
        (
            lambda: Search(Bowl(), RandomSearch(4), workers=-1),
            "workers .* of at least 0, 'ray', an instance of Ray, a function or None, got -1",
        ),
        (lambda: Search(Bowl(), RandomSearch(4)).run(), "at least one limit"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(generations=-1), "generations .* of at least 1 or None, got -1"),
        (lambda: Search(Bowl(), RandomSearch(4)).run(inner_steps=5), "a problem without inner training"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make()


def test_a_search_goes_on_after_a_callback_raised(tmp_path: Path) -> None:
    expected = search(Chase(), STRATEGIES[1], seed=4)
    expected.run(generations=20)

    def fail(report: Any) -> None:
        if report.status.generation == 1:
            raise RuntimeError("the network is down")

    for options in ({}, {"run_directory": tmp_path / "run"}):
        one = search(Chase(), STRATEGIES[1], seed=4, callbacks=[fail], **options)
        with pytest.raises(RuntimeError, match="the network is down"):
            one.run(generations=20)
        one.running.callbacks = ()
        one.run(generations=20)
        assert bits(one) == bits(expected)
        assert one.history["generation"].tolist() == list(range(1, 21))
