"""A search begins with what another run has found, or with points whose fitness is known."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import (
    Box,
    Categorical,
    ConfigurationError,
    Dict,
    HostProblem,
    Integer,
    Permutation,
    Problem,
    RunDirectoryError,
    Search,
    Space,
    Start,
    When,
)
from evometa.cli.main import main
from evometa.problems import SymbolicRegression
from evometa.search.matching import matched
from evometa.search.other_run import _is_whole_in_trials
from evometa.search.start import _kept
from evometa.storage.omega_values import cells, from_cells
from evometa.strategies import (
    BIPOPCMAES,
    CMAES,
    CRFMNES,
    LMMAES,
    NSGA2,
    PBIL,
    PES,
    PGPE,
    SNES,
    XNES,
    CMAwM,
    GeneticAlgorithm,
    LearnedES,
    OpenAIES,
    PyCMA,
    RandomSearch,
    Reinforce,
    Restarts,
    SepCMAES,
)


@dataclasses.dataclass(frozen=True)
class Valley(Problem):
    """A bowl whose optimum is at ``place``."""

    place: float = 1.0
    dimension: int = 3

    @property
    def space(self) -> Space:
        return Dict({"x": Box((self.dimension,), -5.0, 5.0)})

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jnp.sum((omega["x"] - self.place) ** 2)


def run(folder: Path, problem: Any, strategy: Any, generations: int = 8, **settings: Any) -> Any:
    search = Search(problem, strategy, seed=1, run_directory=folder, progress=False, **settings)
    return search, search.run(generations=generations)


@pytest.fixture(scope="module")
def ancestor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a genetic algorithm, with a table of trials."""
    folder = tmp_path_factory.mktemp("start") / "ancestor"
    run(folder, Valley(), GeneticAlgorithm(8), trials=True)
    return folder


def test_a_population_begins_with_that_of_another_run(ancestor: Path, tmp_path: Path) -> None:
    known = _population(ancestor)
    search, result = run(tmp_path / "run", Valley(2.0), GeneticAlgorithm(12), 1, start=ancestor)
    assert result.evaluations == 12
    members = jax.tree.leaves(search._run.state.strategy)[0]
    np.testing.assert_allclose(np.sort(members[:8] * 10.0, axis=0), np.sort(known, axis=0), rtol=1e-5, atol=1e-5)
    record = json.loads((tmp_path / "run" / "manifest.json").read_text())["start"]
    assert record["run"] == str(ancestor)
    assert (record["part"], record["generation"], record["taken"]) == ("population", 8, 8)
    assert len(record["manifest_sha256"]) == 64


def _population(folder: Path) -> Any:
    from evometa import load

    population = load(folder).population
    assert population is not None
    return population.omegas["x"]


def test_a_distribution_takes_mean_and_spread_from_the_best_trials(ancestor: Path, tmp_path: Path) -> None:
    search, result = run(tmp_path / "run", Valley(), CMAES(6), 1, start=ancestor)
    assert search.history["evaluations"].tolist() == [7]  # the best candidate once, and the population
    rows = [line.split(",") for line in (ancestor / "trials.csv").read_text().splitlines()[1:]]
    unique = {tuple(map(float, row[-3:])): float(row[2]) for row in rows}
    best = np.array(sorted(unique, key=unique.__getitem__)[: max(4, int(np.ceil(0.1 * len(unique))))]) / 10
    begun = search.running.parts.strategy.begun(CMAES(6).init(jax.random.key(0), Box((3,))), jnp.asarray(best))
    np.testing.assert_allclose(begun.mean, best.mean(axis=0), rtol=1e-4)
    covariance = np.cov(best.T, bias=True) + 0.1**2 * np.eye(3)
    np.testing.assert_allclose(begun.sigma**2 * begun.covariance, covariance, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(begun.factor @ begun.factor.T, begun.covariance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(begun.covariance), 1.0, rtol=1e-4)
    assert result.best_fitness <= min(unique.values()) * (1 + 1e-5)


POINTS = np.array([[0.1, 0.3], [0.2, 0.1], [0.3, 0.2], [0.2, 0.2]])


@pytest.mark.parametrize(
    "strategy",
    [
        *(kind(512) for kind in (CMAES, SepCMAES, XNES, SNES, CRFMNES, LMMAES, CMAwM, LearnedES, PyCMA)),
        BIPOPCMAES(8),
        PGPE(512, sigma=0.3),
        Restarts(CMAES(512)),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_candidates_are_drawn_from_the_distribution_of_the_points(strategy: Any) -> None:
    space = Box((2,), 0.0, 1.0)

    def draw(key: Any) -> Any:
        return strategy.ask(key, strategy.begun(strategy.init(key, space), jnp.asarray(POINTS)))[0]

    draw = draw if strategy.asks_in_python else jax.jit(draw)

    drawn = np.concatenate([draw(key) for key in jax.random.split(jax.random.key(1), 512 // strategy.population_size)])
    np.testing.assert_allclose(drawn.mean(axis=0), [0.2, 0.2], atol=0.03)
    expected = np.sqrt(POINTS.var(axis=0) + 0.1**2)
    np.testing.assert_allclose(drawn.std(axis=0), expected, rtol=0.15)


@pytest.mark.parametrize("strategy", [OpenAIES(4), PES(4)], ids=lambda strategy: type(strategy).__name__)
def test_a_sigma_that_is_a_setting_stays(strategy: Any) -> None:
    state = strategy.begun(strategy.init(jax.random.key(0), Box((2,), 0.0, 1.0)), jnp.asarray(POINTS))
    np.testing.assert_allclose(strategy.center(state), [0.2, 0.2], rtol=1e-6)
    noise = strategy.ask(jax.random.key(1), state)[0] - state.center[None]
    fresh = strategy.init(jax.random.key(0), Box((2,), 0.0, 1.0))
    np.testing.assert_allclose(noise, strategy.ask(jax.random.key(1), fresh)[0] - fresh.center[None], atol=1e-6)


@pytest.mark.parametrize("strategy", [PBIL(512), Reinforce(512), CMAwM(512)], ids=lambda s: type(s).__name__)
def test_choices_are_drawn_as_the_points_have_them(strategy: Any) -> None:
    space, points = Dict({"a": Categorical(3), "b": Categorical(2)}), jnp.asarray([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
    key = jax.random.key(0)
    drawn = jax.jit(lambda: strategy.ask(key, strategy.begun(strategy.init(key, space), points))[0])()
    frequency = [np.mean(np.asarray(drawn)[:, 0] == choice) for choice in range(3)]
    np.testing.assert_allclose(frequency, np.array([2 + 1 / 3, 1 / 3, 1 + 1 / 3]) / 4, atol=0.07)


def test_a_resumed_run_needs_the_other_one_no_more(ancestor: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(ancestor, tmp_path / "copy")
    whole, _ = run(tmp_path / "whole", Valley(2.0), CMAES(6), 4, start=copy)
    run(tmp_path / "run", Valley(2.0), CMAES(6), 2, start=copy)
    shutil.rmtree(copy)
    for again in (False, True):
        if again:
            shutil.rmtree(tmp_path / "run" / "checkpoints")
        resumed = Search.resume(tmp_path / "run", progress=False)
        resumed.run(generations=4)
        np.testing.assert_array_equal(resumed.history["best"], whole.history["best"])
    with pytest.raises(ConfigurationError, match="keeps the run's own start"):
        Search.resume(tmp_path / "run", start=ancestor)


@dataclasses.dataclass(frozen=True)
class Tuned(HostProblem):
    """A space with other bounds, other choices and other names than it has with ``other=True``."""

    other: bool = False

    @property
    def space(self) -> Space:
        if self.other:
            inner = Dict({"depth": Integer(2, 4), "width": Integer(1, 9)})
            kinds = Categorical(["sgd", "rmsprop", "adam"])
            return Dict(
                {"rate": Box((), 0.1, 1.0, log=True), "kind": kinds, "inner": inner, "fresh": Box((2,), 0.0, 1.0)}
            )
        inner = Dict({"depth": Integer(1, 8)})
        momentum = When("kind", "sgd", Box((), 0.0, 1.0))
        return Dict({"kind": Categorical(["adam", "sgd"]), "rate": Box((), 1e-3, 1.0), "inner": inner, "m": momentum})

    def evaluate(self, rng: Any, omega: Any) -> float:
        return float(omega["rate"])


def test_another_space_is_matched_by_names_and_the_rest_is_drawn(tmp_path: Path) -> None:
    _, found = run(tmp_path / "ancestor", Tuned(), RandomSearch(6), 1, workers=0)
    search, result = run(
        tmp_path / "run", Tuned(other=True), GeneticAlgorithm(4), 1, start=tmp_path / "ancestor", workers=0
    )
    assert "inner.depth, kind, rate as there, fresh, inner.width drawn anew" in search.beginning
    names = ["sgd", "rmsprop", "adam"]
    first = search.running.parts.space.decode(jnp.asarray(search.running.parts.space.starts[0]))
    source = found.best_omega
    np.testing.assert_allclose(first["rate"], max(0.1, source["rate"]), rtol=1e-5)
    assert names[int(first["kind"])] == ["adam", "sgd"][int(source["kind"])]
    assert int(first["inner"]["depth"]) == np.clip(source["inner"]["depth"], 2, 4)
    assert result.evaluations == 4


def test_a_table_is_read_whatever_marks_names_have() -> None:
    omega = {"optimizer.lr": 0.1, "layer/size": 3, "k[0]": [1.0, 2.0], "group": {"a.b": "x,y", "0": 1, "1": 2}}
    texts = {name: str(value) for name, value in cells(omega).items()}
    assert from_cells(texts, omega) == jax.tree.map(str, omega)
    del texts["omega/k[0][1]"], texts["omega/group.1"]  # not active, or not finite
    assert from_cells(texts, omega) == {"optimizer.lr": "0.1", "layer/size": "3", "group": {"a.b": "x,y", "0": "1"}}
    assert from_cells({}, omega) is None


def test_numbers_are_taken_from_texts_as_a_table_has_them() -> None:
    space = Dict({"a": Permutation(3), "b": Integer(0, 9), "c": Box((2,), 0.0, 1.0), "d": Categorical([16, 32])})
    found = matched(space, {"a": ["2", "0", "1"], "b": "7", "c": ["0.5", "1e-1"], "d": "32"}, jax.random.key(0))
    omega = jax.device_get(space.decode(jnp.asarray(found.genotype)))
    assert not found.drawn
    assert (omega["a"].tolist(), int(omega["b"]), int(omega["d"])) == ([2, 0, 1], 7, 1)
    np.testing.assert_allclose(omega["c"], [0.5, 0.1], rtol=1e-6)


def test_trials_without_all_of_an_omega_are_not_what_a_distribution_begins_from() -> None:
    assert _is_whole_in_trials(Valley(dimension=64))
    assert not _is_whole_in_trials(Valley(dimension=65))


def test_parts_that_do_not_fit_are_drawn_and_nothing_that_fits_is_refused() -> None:
    space, key = Dict({"a": Box((2,), 0.0, 1.0), "b": Categorical(["u", "v"])}), jax.random.key(0)
    found = matched(space, {"a": [0.5, 2.0], "b": "w", "c": 1.0}, key)
    np.testing.assert_allclose(found.genotype[:2], [0.5, 1.0])
    assert (found.names, found.drawn) == ({"a"}, {"b"})
    for omega in ({"c": 1.0}, {"a": [1.0]}, 3.0, {"a": ["x", "y"]}):
        with pytest.raises(ConfigurationError):
            matched(space, omega, key)


def test_a_run_whose_space_does_not_fit_is_refused_in_a_sentence(ancestor: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"fit the space of the problem, and it has x, and the space kind"):
        Search(Tuned(), GeneticAlgorithm(4), start=ancestor)
    with pytest.raises(ConfigurationError, match="fit the space of the problem, and it has x, and the space x"):
        Search(Valley(dimension=2), GeneticAlgorithm(4), start=ancestor)
    with pytest.raises(RunDirectoryError, match="hold a center, and its strategy has none"):
        Search(Valley(), CMAES(4), start=Start(ancestor, "center"))
    with pytest.raises(RunDirectoryError, match="an archive, and its strategy keeps none"):
        Search(Valley(), CMAES(4), start=Start(ancestor, "archive"))
    with pytest.raises(RunDirectoryError, match="a run directory with a readable manifest"):
        Search(Valley(), CMAES(4), start=tmp_path / "nothing")


def test_points_with_known_fitness_are_not_evaluated_but_the_best(tmp_path: Path) -> None:
    points = [{"x": [0.0, 0.0, float(i)]} for i in range(6)]
    fitness = [5.0, np.nan, 1.0, 2.0, 3.0, 4.0]
    start = Start(points=points, fitness=fitness)
    search, result = run(tmp_path / "run", Valley(), CMAES(4), 1, start=start)
    assert result.evaluations == 5
    assert search.beginning == "4 of 6 points with their fitness"
    np.testing.assert_allclose(search.running.parts.space.starts[:, 2] * 10, [2.0, 3.0, 4.0, 5.0], rtol=1e-6)
    listed = Search(Valley(), CMAES(6), start=points, progress=False)
    listed.run(generations=1)
    assert listed.history["evaluations"].tolist() == [12]  # all six, then the population


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "a run or points, got neither"),
        ({"run": "a", "points": [1]}, "a run or points, got both"),
        ({"points": [1], "fitness": [1.0, 2.0]}, "a fitness for each of its 1 points, got 2"),
        ({"points": [1], "fitness": ["x"]}, "a number for each point, NaN where it failed"),
        ({"points": [1], "fitness": [[1.0]]}, "a number for each point, NaN where it failed"),
        ({"run": "a", "part": "bests"}, "'auto', 'best'"),
    ],
)
def test_wrong_starts_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Start(**settings)


def test_start_and_initial_exclude_each_other(ancestor: Path) -> None:
    with pytest.raises(ConfigurationError, match="start or initial, got both"):
        Search(Valley(), CMAES(4), start=ancestor, initial=[{"x": [0, 0, 0]}])
    with pytest.raises(ConfigurationError, match="a finite fitness, got none"):
        Search(Valley(), CMAES(4), start=Start(points=[{"x": [0, 0, 0]}], fitness=[np.nan]))


def test_a_front_is_taken_in_all_its_breadth() -> None:
    space = Box((2,))
    assert _kept(9, None, space, NSGA2(4), spread=True).tolist() == [0, 3, 5, 8]
    assert _kept(9, None, space, GeneticAlgorithm(4), spread=False).tolist() == [0, 1, 2, 3]
    assert _kept(100, None, space, CMAES(4), spread=True).tolist() == list(range(10))
    assert _kept(100, 3, space, CMAES(4), spread=False).tolist() == [0, 1, 2]
    assert len(_kept(100, None, Box((600_000,)), GeneticAlgorithm(4), spread=False)) == 1


def test_formulas_are_taken_by_their_genotypes() -> None:
    space, key = SymbolicRegression(max_size=7).space, jax.random.key(0)
    tree = jax.tree.map(np.asarray, space.encode("add(x, sin(x))"))
    for omega, genotype in ((None, tree), ("add(x, sin(x))", None)):
        for got, want in zip(matched(space, omega, key, genotype).genotype, tree, strict=True):
            np.testing.assert_array_equal(got, want)
    with pytest.raises(ConfigurationError, match="its candidates are none of Expression"):
        matched(space, {"x": 1.0}, key)


def test_from_the_command_line(ancestor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", f"{__file__}:Valley", "--place", "2", "--strategy", "cmaes", "--generations", "1"]
    words += ["--start", str(ancestor), "--start-part", "best", "--run-directory", str(tmp_path / "run")]
    assert main(words) == 0
    assert f"start      the best of {ancestor} at generation 8" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "run")]) == 0
    assert "the best of" in capsys.readouterr().out
