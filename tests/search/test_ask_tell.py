"""AskTell: the candidates of a search for those who own their loop, and its file."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import evometa as em
from evometa import AskTell, Box, Categorical, ConfigurationError, Dict, Evaluation, Integer, RunDirectoryError, When
from evometa.executors.executor import Outcome, failed
from evometa.executors.memory import Memory
from evometa.executors.returned import read_result
from evometa.search.driver import ValidationSettings
from evometa.search.stepped_driver import SteppedDriver
from evometa.strategies import CMAES, NSGA2, PBT, PES, GeneticAlgorithm, Gradient, MAPElites, RandomSearch

SPACE = Dict(
    optimizer=Categorical(["adam", "sgd"]),
    rate=Box((), 1e-4, 1.0, log=True),
    momentum=When("optimizer", "sgd", Box((), 0.0, 0.99)),
    units=Integer(8, 64, step=8),
)
BOX = Box((3,), -2.0, 2.0)


def cost(omega: Any) -> float:
    """Fails for the smallest number of units."""
    if omega["units"] == 8:
        return math.nan
    return abs(math.log10(omega["rate"]) + 2.0) - float(omega.get("momentum", 0.0)) + float(omega["units"]) / 64


class Tuning(em.HostProblem):
    """The same as a problem."""

    space = SPACE  # type: ignore[assignment]

    def evaluate(self, rng: Any, omega: Any) -> float:
        return cost(omega)


class Here:
    """An executor in this process."""

    def __init__(self, evaluate: Callable[[Any], Any]) -> None:
        self.evaluate, self.done = evaluate, dict[int, Outcome]()

    def submit(self, trials: Any) -> list[int]:
        numbers = list(range(len(self.done), len(self.done) + len(trials)))
        for number, trial in zip(numbers, trials, strict=True):
            found = read_result(Tuning(), "evaluate", self.evaluate(SPACE.present(trial.omega)))
            done = failed(found["failure"]) if "failure" in found else Outcome(failure=None, **found)
            self.done[number] = done._replace(drew=False)
        return numbers

    def as_completed(self) -> Any:
        return iter(self.done.items())


def bits(omegas: Any) -> Any:
    return [{name: (np.asarray(leaf).dtype, np.asarray(leaf).tobytes()) for name, leaf in o.items()} for o in omegas]


def test_candidates_are_those_of_a_search() -> None:
    asked: list[Any] = []
    strategy, settings = GeneticAlgorithm(6), ValidationSettings(every=100, tasks=0, finalists=0, share=0.0)

    def evaluate(omega: Any) -> float:
        asked.append(omega)
        return cost(omega)

    here: Any = Here(evaluate)
    driver = SteppedDriver(Tuning(), SPACE, strategy, here, 3, settings, note=print, failures={}, memory=Memory())
    state, rows, _ = driver.advance(driver.initial(), 1, 4, -math.inf)
    loop, told = AskTell(SPACE, strategy, 3), list[Any]()
    for _ in range(4):
        omegas = loop.ask()
        assert bits(loop.ask()) == bits(omegas)  # until they are told
        told += [omega for omega in omegas if bits([omega])[0] not in bits(told)]
        assert all(("momentum" in omega) == (omega["optimizer"] == 1) for omega in omegas)
        loop.tell([None if omega["units"] == 8 else cost(omega) for omega in omegas])
    assert all(omega in bits(told) for omega in bits(asked))
    assert loop.failed == rows.failed.sum() > 0
    assert (loop.generation, loop.evaluations) == (4, 24)
    assert loop.best_fitness == float(state.best_fitness) == cost(loop.best_omega)
    assert loop.center_omega is None
    assert loop.archive is None
    assert SPACE.readable(loop.best_omega)["optimizer"] in ("adam", "sgd")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any, float]:
    """Files of a loop, one of them between ask and tell, and what comes two generations later."""
    folder = tmp_path_factory.mktemp("loop")
    loop = AskTell(BOX, CMAES(4), 5, direction="maximize")
    loop.tell([-float(np.sum(omega**2)) for omega in loop.ask()])
    loop.save(folder / "told.npz")
    loop.ask()
    loop.save(folder / "asked.npz")
    return folder / "told.npz", folder / "asked.npz", continued(loop), loop.best_fitness


def continued(loop: AskTell) -> Any:
    for _ in range(2):
        loop.tell(-np.sum(np.square(loop.ask()), axis=1))
    return [omega.tobytes() for omega in loop.ask()]


def test_a_file_continues_to_the_bit(saved: tuple[Path, Path, Any, float]) -> None:
    *files, expected, best = saved
    for file in files:
        loop = AskTell.restore(file, BOX) if "asked" in file.name else AskTell.restore(file, BOX, CMAES(4))
        assert loop.direction == "maximize"
        if "told" in file.name:
            loop.ask()
        assert continued(loop) == expected
        assert loop.best_fitness == best == -float(np.sum(loop.best_omega**2))
        assert loop.generation == 3


def test_a_file_is_restored_only_where_it_fits(saved: tuple[Path, Path, Any, float], tmp_path: Path) -> None:
    told, *_ = saved
    with pytest.raises(ConfigurationError, match="restore expects the strategy that was saved"):
        AskTell.restore(told, BOX, CMAES(4, sigma=0.2))
    with pytest.raises(ConfigurationError, match="restore expects the space that was saved"):
        AskTell.restore(told, Box((3,), -3.0, 3.0), CMAES(4))
    with pytest.raises(ConfigurationError, match="restore expects the space that was saved"):
        AskTell.restore(told, Box((3,), -2.0, 2.5, scale=4.0), CMAES(4))  # the same but for a bound
    (tmp_path / "cut.npz").write_bytes(told.read_bytes()[:200])
    for name in ("cut.npz", "absent.npz"):
        with pytest.raises(RunDirectoryError, match="restore expects a whole file"):
            AskTell.restore(tmp_path / name, BOX, CMAES(4))
    with pytest.raises(RunDirectoryError, match="save expects a path that it can write to"):
        AskTell.restore(told, BOX, CMAES(4)).save(tmp_path / "absent" / "loop.npz")


def test_what_cannot_be_told_is_refused_and_can_be_told_again() -> None:
    loop = AskTell(BOX, RandomSearch(2))
    with pytest.raises(ConfigurationError, match="tell expects candidates that were asked for"):
        loop.tell([1.0, 2.0])
    first = np.array(loop.ask())
    for wrong, words in (
        ([1.0], "expects 2 results, one of each candidate"),
        (1.0, "expects a list or array of 2 results, one of each candidate, got a float"),
        (Evaluation(1.0), "expects a list or array of 2 results"),
        ([1.0, "2"], r"tell expects a number or an Evaluation of numbers; fitness is str \(of candidate 1\)"),
        (np.zeros((2, 2)), "fitness is an array of shape"),
        ([1.0, Evaluation(2.0, objectives=[1.0])], "expects 0 objectives"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            loop.tell(wrong)  # type: ignore[arg-type]
    assert np.array_equal(loop.ask(), first)
    loop.tell([math.inf, None])
    assert (loop.failed, loop.best_omega, loop.generation) == (2, None, 1)
    assert math.isnan(loop.best_fitness)
    loop.tell([Evaluation(3.0, {"seconds": 2.0}), 4] if len(loop.ask()) == 2 else [])
    assert loop.best_fitness == 3.0


def test_several_objectives_and_constraints() -> None:
    lengths = {"objectives": 2, "constraints": 1}
    loop = AskTell(Box((), 0.0, 1.0), NSGA2(4), direction="maximize", vector_lengths=lengths)
    for _ in range(2):
        loop.tell([Evaluation(x, objectives=[x, 1 - x], constraints=[x - 0.5]) for x in map(float, loop.ask())])
    assert loop.archive is not None
    assert np.allclose(loop.archive.objectives, np.stack([loop.archive.omegas, 1 - loop.archive.omegas], axis=1))
    assert 0.0 < loop.best_fitness == loop.best_omega <= 0.5


def test_a_strategy_that_stops_says_why() -> None:
    loop = AskTell(BOX, CMAES(4, tolfun=1.0))
    while loop.stop_reason is None and loop.generation < 40:
        loop.tell([0.0 + i * 1e-3 for i, _ in enumerate(loop.ask())])
    assert loop.stop_reason is not None
    assert loop.stop_reason.code.startswith("strategy:tol")
    assert loop.center_omega is not None
    assert len(loop.ask()) == 4


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (PES(4), "inner training"),
        (PBT(4), "an InnerTraining, and AskTell is none"),
        (Gradient(), "AskTell is evaluated by plain Python"),
        (NSGA2(4), "NSGA2 requires objectives, and AskTell gives none; add them to vector_lengths"),
        (MAPElites(4, cells=(2,), low=(0.0,), high=(1.0,)), "requires measures"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_strategies_that_need_more_than_fitness_are_refused_in_words(strategy: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AskTell(BOX, strategy)


@pytest.mark.parametrize("lengths", [{"foo": 1}, {"objectives": 0}, {"measures": math.nan}])
def test_vectors_of_no_length_or_of_other_names_are_refused(lengths: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"AskTell expects vector_lengths .*to be a dict with .*, got \{"):
        AskTell(BOX, RandomSearch(4), vector_lengths=lengths)


def test_a_loop_begins_with_what_a_run_has_found_and_so_does_its_file(tmp_path: Path) -> None:
    strategy, quiet = GeneticAlgorithm(4), {"workers": 0, "progress": False}
    em.Search(Tuning(), strategy, seed=1, run_directory=tmp_path / "first", **quiet).run(generations=2)
    second = em.Search(Tuning(), strategy, seed=3, start=tmp_path / "first", run_directory=tmp_path / "second", **quiet)
    loop = AskTell(SPACE, strategy, 3, start=tmp_path / "first")
    assert loop.beginning == second.beginning != ""
    loop.save(tmp_path / "loop.npz")
    second.run(generations=1)
    members = jax.tree.leaves(second.running.run.state.strategy)[0]  # type: ignore[union-attr]
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    again = AskTell.restore(tmp_path / "loop.npz", SPACE)
    assert again.beginning == loop.beginning
    for one in (loop, again):
        assert bits(one.ask()) == bits(SPACE.present(omega) for omega in one._driver.omegas(members))
    with pytest.raises(ConfigurationError, match="restore expects the space that was saved"):
        AskTell.restore(tmp_path / "loop.npz", BOX)


def test_a_loop_begins_at_points() -> None:
    points = [np.full(3, value) for value in (0.5, 1.0, 1.5)]
    known = AskTell(BOX, CMAES(4), start=em.Start(points=points, fitness=[2.0, np.nan, 1.0]))
    np.testing.assert_allclose(known.center_omega, np.full(3, 1.0))
    np.testing.assert_allclose(AskTell(BOX, CMAES(4), start=points[:1]).center_omega, points[0])
    np.testing.assert_allclose(AskTell(BOX, GeneticAlgorithm(4), start=points).ask()[:3], points)
    with pytest.raises(ConfigurationError, match="AskTell expects the fitness of the 3 points of start, since a"):
        AskTell(BOX, CMAES(4), start=points)
    with pytest.raises(ConfigurationError, match=r"AskTell expects start\[0\] to be an ω of the space"):
        AskTell(BOX, CMAES(4), start=[np.full(3, 9.0)])
