"""A run continues with another population size: what a strategy has learned stays, and the counts are right."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Search
from evometa.expressions import Expression
from evometa.naming import load
from evometa.problems import ZDT1, SymbolicRegression
from evometa.spaces import Box
from evometa.storage import history
from evometa.storage.manifest import read_manifest
from evometa.strategies import (
    BIPOPCMAES,
    CMAES,
    NEAT,
    NSGA2,
    PBT,
    PES,
    UHCMAES,
    AgedEvolution,
    Averaged,
    CMAwM,
    Evosax,
    GeneticAlgorithm,
    GeneticProgramming,
    Gradient,
    Restarts,
)
from evometa.strategy import Feedback, Strategy
from evometa.topology import Topology

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase"))
QUIET: dict[str, Any] = {"progress": False, "devices": 1, "validation_tasks": 1}
SPACE = Box((3,), -1.0, 1.0)


def sized(strategy: Any, size: int) -> Any:
    """Return a strategy of another population size."""
    if hasattr(strategy, "strategy"):
        return dataclasses.replace(strategy, strategy=sized(strategy.strategy, size))
    return dataclasses.replace(strategy, population_size=size)


def told(strategy: Strategy[Any], space: Any, **parts: Any) -> tuple[Any, Any, Any]:
    """Return the state after a generation of fitness 5, 4, ..., its population, and what it was told."""
    key, fitness = jax.random.key(0), np.arange(strategy.population_size, dtype=np.float32)[::-1]
    feedback = Feedback(fitness, **{name: np.asarray(part, np.float32) for name, part in parts.items()})

    @jax.jit
    def generation() -> tuple[Any, Any]:
        genotypes, state = strategy.ask(key, strategy.init(key, space))
        return strategy.tell(key, state, genotypes, jax.tree.map(jnp.asarray, feedback)), genotypes

    return *jax.device_get(generation()), feedback


def resized(strategy: Strategy[Any], former: Strategy[Any], state: Any, space: Any) -> Any:
    """Return the state of a former strategy in the form of another, which it is checked to have."""
    key = jax.random.key(1)
    found = jax.device_get(jax.jit(lambda state: strategy.resized(key, state, space, former))(state))
    assert shapes(found) == shapes(jax.eval_shape(lambda: strategy.init(key, space)))
    return found


def shapes(state: Any) -> Any:
    return jax.tree.structure(state), [(np.shape(leaf), leaf.dtype) for leaf in jax.tree.leaves(state)]


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [
        (CMAES(6), ("mean", "sigma", "covariance", "path_c", "generation")),
        (CMAwM(6), ("numbers.gaussian.covariance", "numbers.mean")),
        (BIPOPCMAES(6, largest=2), ("run.cma.mean", "run.cma.covariance", "run.restarts")),
        (PES(6), ("center", "generation")),
        (Averaged(CMAES(6)), ("inner.mean", "average")),
        (UHCMAES(CMAES(6)), ("inner.covariance", "uncertainty")),
        (Restarts(CMAES(6)), ("inner.mean", "best")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Strategy) else "",
)
def test_a_distribution_stays(strategy: Any, kept: tuple[str, ...]) -> None:
    state, _, _ = told(strategy, SPACE)
    for size in (4, 10):
        changed = resized(sized(strategy, size), strategy, state, SPACE)
        for path in kept:
            before, after = state, changed
            for name in path.split("."):
                before, after = getattr(before, name), getattr(after, name)
            np.testing.assert_array_equal(before, after)


def test_budgets_of_restarts_count_the_same_evaluations() -> None:
    strategy = BIPOPCMAES(6, largest=2)
    state, _, _ = told(strategy, SPACE)
    run = resized(BIPOPCMAES(12, largest=2), strategy, state, SPACE).run
    assert float(run.allowed) == round(float(state.run.allowed) / 2)


@pytest.mark.parametrize(
    ("strategy", "members", "parts"),
    [
        (GeneticAlgorithm(6), lambda state: (state.parents, state.fitness), {}),
        (
            NSGA2(6),
            lambda state: (state.parents, state.fitness),
            {"objectives": [[i, i] for i in range(6)][::-1]},
        ),
        (Evosax("DifferentialEvolution", 6), lambda state: (state.inner.population, state.inner.fitness), {}),
        (Gradient(6), lambda state: (state.points, state.mean), {"gradient": np.zeros((6, 3))}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Strategy) else "",
)
def test_the_best_members_stay(strategy: Any, members: Any, parts: Any) -> None:
    state, genotypes, feedback = told(strategy, SPACE, **parts)
    for size in (4, 10):
        kept, fitness = members(resized(sized(strategy, size), strategy, state, SPACE))
        best = np.argsort(feedback.fitness)[:size]
        np.testing.assert_allclose(kept[: len(best)], genotypes[best], rtol=1e-6)
        np.testing.assert_array_equal(fitness[: len(best)], feedback.fitness[best])
        if size > 6:
            assert len(np.unique(kept, axis=0)) == size
            assert fitness[6:].min() > 1e9


def test_expressions_stay() -> None:
    space: Any = SymbolicRegression(max_size=7).space
    assert isinstance(space, Expression)
    strategy = GeneticProgramming(6, proposals=1)
    state, _, _ = told(strategy, space)
    for size in (4, 10):
        changed = resized(sized(strategy, size), strategy, state, space)
        count = min(size, 6)
        np.testing.assert_array_equal(changed.parents.op[:count], state.parents.op[:count])
        np.testing.assert_array_equal(changed.best.op, state.best.op)


def test_species_stay() -> None:
    net, strategy = Topology(2, 1), NEAT(6, max_species=3, threshold=0.1)
    state, _, _ = told(strategy, net)
    for size in (4, 10):
        changed = resized(sized(strategy, size), strategy, state, net)
        assert int(changed.species.size.sum()) == min(size, 6)
        np.testing.assert_allclose(changed.species.share.sum(), 1.0, rtol=1e-6)
        champions = np.cumsum(state.species.size) - state.species.size
        alive = changed.species.size > 0
        firsts = (np.cumsum(changed.species.size) - changed.species.size)[alive]
        np.testing.assert_array_equal(changed.fitness[firsts], state.fitness[champions[alive]])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resized") / "run"
    Search(Bowl(dimension=3), CMAES(4), run_directory=folder, **QUIET).run(generations=3)
    return folder


def resume(run: Path, strategy: Any) -> Search:
    with pytest.warns(UserWarning, match="The run continues with the strategy"):
        return Search.resume(run, strategy=strategy, progress=False, devices=1)


@pytest.mark.parametrize("size", [2, 8])
def test_a_run_continues_with_another_population_size(run: Path, tmp_path: Path, size: int) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    before = history.read(copy)
    search = resume(copy, CMAES(size))
    result = search.run(generations=5)
    after = history.read(copy)
    assert after["evaluations"].tolist() == [4, 8, 12, 12 + size, 12 + 2 * size]
    assert result.evaluations == 12 + 2 * size
    np.testing.assert_array_equal(after["best"][:3], before["best"])
    (change,) = read_manifest(copy).changes
    assert (change["generation"], change["before"]["fields"]["population_size"]) == (3, 4)
    assert Search.resume(copy, progress=False, devices=1).run(generations=6).evaluations == 12 + 3 * size


def test_a_process_killed_before_its_next_checkpoint_is_resumed(run: Path, tmp_path: Path) -> None:
    whole, killed = (shutil.copytree(run, tmp_path / name) for name in ("whole", "killed"))
    resume(whole, CMAES(8)).run(generations=5)
    resume(killed, CMAES(8)).run(generations=4)
    shutil.rmtree(killed / "checkpoints")  # the change is recorded, and the newest checkpoint is that before it
    shutil.copytree(run / "checkpoints", killed / "checkpoints")
    Search.resume(killed, progress=False, devices=1).run(generations=5)
    assert (killed / history.HISTORY).read_bytes() == (whole / history.HISTORY).read_bytes()


def test_what_cannot_be_carried_over_is_refused(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    words = r"with the run's population_size, 4, .* cannot be carried over to CMAES\("
    with pytest.raises(ConfigurationError, match=words):
        resume(copy, CMAES(8, diagonal_decoding=True)).run(generations=4)
    assert Search.resume(copy, progress=False, devices=1).run(generations=4).evaluations == 16


def test_aged_members_and_training_in_progress_are_refused(tmp_path: Path) -> None:
    Search(Bowl(dimension=3), AgedEvolution(2, living=4), run_directory=tmp_path / "aged", **QUIET).run(generations=3)
    with pytest.raises(ConfigurationError, match="cannot be carried over to AgedEvolution"):
        resume(tmp_path / "aged", AgedEvolution(4, living=8)).run(generations=4)
    assert resume(tmp_path / "aged", AgedEvolution(4, living=4)).run(generations=4).evaluations == 10
    Search(Chase(inner_steps=4), PBT(4, windows=4), run_directory=tmp_path / "pbt", **QUIET).run(generations=2)
    with pytest.raises(ConfigurationError, match=r"PBT with the run's population_size, 4, .* start a new run"):
        resume(tmp_path / "pbt", PBT(6, windows=4)).run(generations=3)


def test_fronts_are_kept_through_the_engine(tmp_path: Path) -> None:
    Search(ZDT1(dimension=3), NSGA2(8), run_directory=tmp_path / "run", progress=False, devices=1).run(generations=20)
    grown = resume(tmp_path / "run", NSGA2(16)).run(generations=21)
    table = history.read(tmp_path / "run")
    assert grown.archive is not None
    assert table["strategy/hypervolume"][-1] >= table["strategy/hypervolume"][-2] - 1e-6
