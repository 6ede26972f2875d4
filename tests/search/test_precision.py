"""Plain-Python problems are searched in double precision whatever JAX's switch; seeds count with all their bits."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
import pytest

from evometa import (
    Box,
    ConfigurationError,
    Dict,
    Evaluation,
    HostProblem,
    Integer,
    Like,
    Search,
    Space,
    load_result,
)
from evometa.executors.executor import Outcome, Trial
from evometa.naming import load
from evometa.search.generalization import generalization
from evometa.search.generation import root_keys
from evometa.strategies import (
    CMAES,
    NSGA2,
    AgedEvolution,
    CMAwM,
    GeneticAlgorithm,
    MAPElites,
    RandomSearch,
    Restarts,
)

pytestmark = pytest.mark.filterwarnings("ignore::evometa.errors.IgnoredFeedbackWarning")
Bowl = load(f"{Path(__file__).parents[1] / 'toys.py'}:Bowl")


@dataclasses.dataclass(frozen=True)
class Likelihood(HostProblem):
    """A bowl far from zero or of a size beyond float32."""

    offset: float = 0.0
    factor: float = 1.0
    vector_lengths: ClassVar[Mapping[str, int]] = {"objectives": 2, "measures": 1}
    metric_names: ClassVar[tuple[str, ...]] = ("same",)

    @property
    def space(self) -> Space:
        return Box((2,), -1.0, 1.0)

    def evaluate(self, rng: np.random.Generator, omega: Any) -> Evaluation:
        assert omega.dtype == np.float64
        found = self.offset + self.factor * float(np.sum(omega**2))
        return Evaluation(found, {"same": found}, objectives=[found, -found], measures=[omega[0]])


class Here:
    """An executor that calls the problem in this process."""

    def __init__(self, problem: HostProblem, workers: int, **options: Any) -> None:
        self.problem, self.waiting = problem, list[Trial]()

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        self.waiting = list(trials)
        return list(range(len(trials)))

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        for number, (omega, seed, method, *_) in enumerate(self.waiting):
            found = getattr(self.problem, method)(np.random.default_rng(seed), omega)
            whole = found if isinstance(found, Evaluation) else Evaluation(found)
            vectors = {name: list(getattr(whole, name)) for name in self.problem.vector_lengths}
            yield number, Outcome(float(whole.fitness), whole.metrics, None, vectors)

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evometa.executors.choice.WorkerPool", Here)


@pytest.mark.parametrize(
    ("strategy", "generations", "reached"),
    [
        (Restarts(CMAES(8)), 40, 1e-7),
        (GeneticAlgorithm(16), 12, 0.1),
        (AgedEvolution(1, living=8, tournament_size=4), 60, 0.1),
        (NSGA2(16), 8, 0.1),
        (MAPElites(16, cells=(4,), low=(-1.0,), high=(1.0,)), 8, 0.1),
    ],
)
def test_small_differences_around_a_large_fitness_are_ranked_and_recorded(
    strategy: Any, generations: int, reached: float
) -> None:
    problem = Likelihood(offset=1e8)
    search = Search(problem, strategy, seed=1, progress=False)
    result = search.run(generations=generations)
    assert problem.evaluate(np.random.default_rng(0), result.best_omega).fitness == result.best_fitness
    assert result.best_fitness - 1e8 < reached
    assert search.history["best_so_far"][-1] == result.best_fitness
    assert search.history["best"].min() == result.best_fitness
    assert search.history["best/same"].min() == result.best_fitness
    assert result.selected_fitness <= result.best_fitness
    if result.archive is not None and result.archive.objectives is not None:
        assert result.archive.fitness.min() == result.archive.objectives[:, 0].min() == result.best_fitness


def test_what_float32_cannot_hold_is_no_failure_and_a_target_is_exact(tmp_path: Path) -> None:
    problem = Likelihood(factor=1e40)
    result = Search(problem, CMAES(8), seed=1, progress=False).run(generations=5)
    assert result.failed == 0
    assert 0 < result.best_fitness < 1e40
    one = Search(Likelihood(offset=1e8), CMAES(8), seed=1, run_directory=tmp_path / "run", progress=False)
    found = one.run(generations=40, target=1e8 + 1e-3)
    assert found.stop_code == "target"
    assert (one.history["best_so_far"] <= 1e8 + 1e-3).tolist() == [False] * (found.generations - 1) + [True]
    again = load_result(tmp_path / "run")
    assert (again.best_fitness, again.best_omega.tolist()) == (found.best_fitness, found.best_omega.tolist())
    whole = Search(Likelihood(offset=1e8), CMAES(8), seed=1, progress=False)
    resumed = Search.resume(tmp_path / "run", problem=Likelihood(offset=1e8), progress=False)
    assert resumed.run(generations=20).best_fitness == whole.run(generations=20).best_fitness
    np.testing.assert_array_equal(resumed.history["best"], whole.history["best"])


@dataclasses.dataclass(frozen=True)
class Wide(HostProblem):
    """Needs numbers that float32 and int32 do not have."""

    @property
    def space(self) -> Space:
        return Dict(
            {
                "n": Integer(0, 10**12),
                "far": Integer(10**15, 10**15 + 3),
                "rate": Box((), 1e-200, 1e-100, log=True),
                "near": Box((), 1e8, 1e8 + 1.0),
                "weights": Like({"w": np.zeros(2, np.float32)}),
            }
        )

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        assert omega["n"].dtype == np.int64
        assert 10**15 <= omega["far"] <= 10**15 + 3
        assert 0 < omega["rate"] < 1e-99
        assert omega["weights"]["w"].dtype == np.float32
        return abs(int(omega["n"]) - 123456789012) + float(omega["near"] - 1e8)


@pytest.mark.parametrize("strategy", [CMAwM(16), GeneticAlgorithm(16)])
def test_wide_spaces_reach_plain_python_exactly(strategy: Any, tmp_path: Path) -> None:
    search = Search(Wide(), strategy, seed=3, run_directory=tmp_path / "run", progress=False)
    result = search.run(generations=10)
    assert Wide().evaluate(np.random.default_rng(0), result.best_omega) == result.best_fitness
    for leaf, other in zip(
        jax.tree.leaves(load_result(tmp_path / "run").best_omega), jax.tree.leaves(result.best_omega), strict=True
    ):
        np.testing.assert_array_equal(leaf, other)
        assert leaf.dtype == other.dtype


def test_every_bit_of_a_seed_counts() -> None:
    seeds = [7, 7 + 2**32, 7 + 2**33, -1, 2**32 - 1, 2**63 - 1]
    assert len({jax.random.key_data(root_keys(seed).generations).tobytes() for seed in seeds}) == len(seeds)
    assert root_keys(7).start == jax.random.split(jax.random.key(7), 3)[0]  # as they always were
    scores = [generalization(Chance(), np.zeros(1), tasks=1, seed=seed)[0].fitness for seed in seeds]
    results = [Search(Chance(), RandomSearch(1), seed=seed).run(generations=1).best_fitness for seed in seeds[:2]]
    assert len({*scores, *results}) == len(scores) + len(results)
    assert Search(Chance(), RandomSearch(1), seed=np.int64(7)).run(generations=1).best_fitness == results[0]  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Chance(HostProblem):
    """The fitness is a draw."""

    @property
    def space(self) -> Space:
        return Box((1,))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float(rng.normal())


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        (2**63, "expects seed as a whole number from"),
        (-(2**63) - 1, "expects seed as a whole number from"),
        (1.5, "to be a whole number, got 1.5"),
        ("7", "to be a whole number, got '7'; write 7 without quotes"),
        (None, "to be a whole number, got None"),
    ],
)
def test_what_is_no_seed_is_refused(seed: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Search(Bowl(), RandomSearch(2), seed=seed)
