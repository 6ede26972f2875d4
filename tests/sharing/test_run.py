"""A run is read by its folder: what was searched, its history, and every ω, as the search had them."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import evometa as em
from evometa.naming import load
from evometa.problems import ZDT2
from evometa.strategies import CMAES, NSGA2, AgedEvolution, GeneticAlgorithm
from evometa.strategy import Strategy

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Hill, Tuned = (load(f"{TOYS}:{name}") for name in ("Bowl", "Hill", "Tuned"))


def searched(folder: Path, problem: Any, strategy: Strategy[Any], generations: int = 3) -> em.Search:
    search = em.Search(problem, strategy, seed=3, run_directory=folder, workers=1, progress=False)
    search.run(generations=generations)
    return search


def test_a_run_is_what_the_search_was(tmp_path: Path) -> None:
    search = searched(tmp_path / "run", Bowl(3), CMAES(4))
    run = em.load(tmp_path / "run")
    assert (run.problem, run.strategy, run.seed) == (Bowl(3), CMAES(4), 3)
    result = search.result()
    for name in ("best_omega", "center_omega", "selected_omega"):
        np.testing.assert_array_equal(getattr(run, name), getattr(result, name))
    np.testing.assert_array_equal(run.export(), result.selected_omega)
    frame = run.history
    assert list(frame["generation"]) == [1, 2, 3]
    np.testing.assert_allclose(frame["best_so_far"].iloc[-1], result.best_fitness, rtol=1e-6)
    assert frame["seconds"].is_monotonic_increasing
    assert run.population is None
    assert run.archive is None


@pytest.mark.parametrize("strategy", [GeneticAlgorithm(4), AgedEvolution(2, living=4)], ids=type)
def test_the_population_is_that_of_the_newest_generation(strategy: Strategy[Any], tmp_path: Path) -> None:
    searched(tmp_path / "run", Hill(2), strategy)
    population = em.load(tmp_path / "run").population
    assert population is not None
    fitness = jax.vmap(lambda omega: Hill(2).evaluate(jax.random.key(0), omega))(population.omegas)
    assert len(fitness) == 4
    np.testing.assert_allclose(population.fitness, fitness, rtol=1e-6)


def test_a_population_of_another_size_is_read_after_a_resume(tmp_path: Path) -> None:
    searched(tmp_path / "run", ZDT2(dimension=3), NSGA2(8), 1)
    with pytest.warns(em.EvometaWarning, match="records the change"):
        resumed = em.Search.resume(tmp_path / "run", strategy=NSGA2(12), progress=False)
    resumed.run(generations=2)
    population = em.load(tmp_path / "run").population
    assert population is not None
    assert population.objectives is not None
    assert len(population.fitness) == 12
    np.testing.assert_allclose(population.objectives[:, 0], np.asarray(population.omegas)[:, 0], rtol=1e-6)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(em.RunDirectoryError, match="run directory"):
        em.load(tmp_path)


def test_a_run_whose_class_is_gone_still_has_its_numbers(tmp_path: Path) -> None:
    searched(tmp_path / "run", Bowl(2), CMAES(4))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["problem"]["type"] = "nowhere.py:Bowl"
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    run = em.load(tmp_path / "run")
    assert len(run.history) == 3
    with pytest.warns(em.EvometaWarning, match="cannot be built"):
        assert run.best_omega.shape == (2,)
    with pytest.raises(em.ConfigurationError, match="If the problem has moved"):
        run.export()
    moved = em.load(tmp_path / "run", problem=Bowl(2))
    np.testing.assert_array_equal(moved.export(), run.selected_omega)


def test_notebooks_show_tables(tmp_path: Path) -> None:
    search = em.Search(Bowl(2), CMAES(4), run_directory=tmp_path / "<run>", progress=False)
    result = search.run(generations=12)
    shown = {
        "search": search._repr_html_(),
        "result": result._repr_html_(),
        "history": search.history._repr_html_(),
        "run": em.load(tmp_path / "<run>")._repr_html_(),
    }
    assert f"{result.best_fitness:.6g}" in shown["result"]
    assert "CMAES(population_size=4" in shown["search"]
    assert "&lt;run&gt;" in shown["search"]
    assert "<run>" not in shown["search"]
    assert shown["history"].count("<tr>") == 12  # headers, both ends, and dots between them
    assert "generations" in shown["run"]
