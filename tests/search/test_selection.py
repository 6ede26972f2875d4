"""The final selection: finalists, winner and result; objectives and constraints."""

import dataclasses
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Callback, ConfigurationError, Evaluation, Search
from evometa.evaluation.population_evaluator import Evaluated
from evometa.naming import load
from evometa.search.finalists import enter, no_finalists
from evometa.search.generation import SearchState, tell
from evometa.strategies import CMAES, RandomSearch
from evometa.strategy import Feedback

TOYS = Path(__file__).parents[1] / "toys.py"
Bowl, Chase, Fence, Liar = (load(f"{TOYS}:{name}") for name in ("Bowl", "Chase", "Fence", "Liar"))


def test_the_best_winners_are_kept_and_none_twice() -> None:
    finalists = jax.device_get(no_finalists(jnp.zeros(2), 3))
    entered = jax.jit(enter)
    for fitness, number in ((5.0, 0), (3.0, 1), (3.0, 1), (9.0, 2), (4.0, 3), (8.0, 4), (np.inf, 5)):
        finalists = jax.device_get(entered(finalists, np.full(2, number, np.float32), np.float32(fitness)))
    order = np.argsort(finalists.fitness)
    np.testing.assert_array_equal(finalists.fitness[order], [3.0, 4.0, 5.0])
    np.testing.assert_array_equal(finalists.genotypes[order, 0], [1.0, 3.0, 0.0])


def test_the_selected_is_the_best_on_fresh_tasks_and_the_best_was_lucky() -> None:
    options: Any = {"seed": 3, "validation_tasks": 64, "validation_share": 100.0, "progress": False}
    search = Search(Chase(num_tasks=2), RandomSearch(16), **options)
    result = search.run(generations=30)
    # The best fitness of 480 is that of easy tasks; a mean over 64 tasks is not.
    assert result.selected_fitness > result.best_fitness
    assert result.selected_fitness <= result.center_fitness  # the best is among those evaluated again
    alone = Search(Chase(num_tasks=2), RandomSearch(16), finalists=0, **options)
    one = alone.run(generations=30)
    assert (one.selected_fitness, one.selected_held_out) == (one.center_fitness, one.held_out)
    assert result.selected_fitness < one.selected_fitness
    np.testing.assert_array_equal(one.best_omega, result.best_omega)


def test_the_selection_costs_a_share_of_the_search_and_is_not_made_twice() -> None:
    search = Search(Chase(num_tasks=2, inner_steps=3), RandomSearch(16), seed=3, progress=False)
    result = search.run(generations=30)
    assert 0 < result.validation_inner_steps <= 0.25 * result.inner_steps
    assert result.validation_inner_steps == 3 * result.validation_tasks
    assert result.selection_tasks >= 2
    again = search.run(generations=30)
    assert again.validation_tasks == result.validation_tasks
    assert again.selected_fitness == result.selected_fitness
    longer = search.run(generations=60)
    assert longer.validation_inner_steps <= 0.25 * longer.inner_steps


def test_a_share_of_nothing_means_no_validation_and_no_selection() -> None:
    search = Search(Chase(num_tasks=2), CMAES(4), validate_every=2, validation_share=0.0, progress=False)
    result = search.run(inner_steps=5 * 4 * 2 * 4)  # all for the search
    assert (result.generations, result.validation_tasks, result.selection_tasks) == (5, 0, 0)
    assert np.isnan(search.history["center"]).all()
    np.testing.assert_array_equal(result.selected_omega, result.best_omega)


def test_without_noise_the_best_is_selected_where_the_center_is_worse() -> None:
    search = Search(Bowl(dimension=5), CMAES(8), seed=1, progress=False)
    result = search.run(generations=4)
    assert result.selection_tasks == 1
    assert result.selected_fitness == pytest.approx(min(result.best_fitness, result.center_fitness), rel=1e-6)
    assert result.selected_fitness <= result.best_fitness * (1 + 1e-6)


class Heedless(CMAES):
    """CMA-ES that is told the problem's own fitness."""

    constraint_handling = "own"


def test_a_feasible_candidate_is_selected_before_a_better_one_that_is_not() -> None:
    result = Search(Fence(), Heedless(8), workers=1, progress=False).run(generations=10)
    assert result.selected_fitness == result.best_fitness
    assert result.center_fitness < result.selected_fitness
    assert (result.best_feasible, result.selected_feasible) == (True, True)


def test_a_selection_that_is_cancelled_selects_the_best_so_far(caplog: pytest.LogCaptureFixture) -> None:
    search = Search(Chase(num_tasks=2), RandomSearch(16), seed=3, progress=False, callbacks=[(ends := Cancels())])
    result = search.run(generations=30)
    assert ends.result is result
    assert result.selection_tasks == 0
    assert np.isnan(result.selected_fitness)
    np.testing.assert_array_equal(result.selected_omega, result.best_omega)


class Cancels(Callback):
    """Presses Ctrl-C when the final selection begins, by way of its first announcement."""

    result: Any = None

    def start(self, search: Search) -> None:
        driver: Any = search.running.driver
        validate = driver.validate

        def pressed(*given: Any, **settings: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return validate(*given, **settings)

        driver.validate = pressed

    def end(self, search: Search, result: Any) -> None:
        self.result = result


def test_finalists_survive_an_interruption(tmp_path: Path) -> None:
    options: Any = {"seed": 1, "validation_tasks": 8, "finalists": 4, "validation_share": 10.0, "progress": False}
    search = Search(Chase(), RandomSearch(4), run_directory=tmp_path / "whole", **options)
    search.run(generations=5)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    whole = search.run(generations=9)
    resumed = Search.resume(tmp_path / "cut", progress=False)
    result = resumed.run(generations=9)
    assert resumed._run.state.finalists.fitness.shape == (4,)  # type: ignore[union-attr]
    np.testing.assert_array_equal(result.selected_omega, whole.selected_omega)
    assert result.selected_held_out == whole.selected_held_out


def test_a_negative_number_of_finalists_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Search expects finalists .* of at least 0 or None"):
        Search(Chase(), RandomSearch(4), finalists=-1)


def test_failed_and_forbidden_candidates() -> None:
    """A candidate fails by any of its numbers; one that violates a constraint ranks behind, and is not the best."""
    seen = {}

    @dataclasses.dataclass(frozen=True)
    class Spy(RandomSearch):
        def tell(self, key: Any, state: Any, genotypes: Any, feedback: Feedback) -> Any:
            seen["feedback"] = feedback
            return state

    strategy = Spy(5)
    space = Box((1,))
    state = SearchState(strategy.init(jax.random.key(0), space), jnp.zeros(1), jnp.float32(jnp.inf))
    evaluation = Evaluation(
        jnp.array([1.0, 5.0, 3.0, 4.0, 2.0]),
        objectives=jnp.array([[1.0, 2], [3, 4], [5, jnp.nan], [7, 8], [9, 10]]),
        constraints=jnp.array([[0.0], [-1], [-1], [-1], [1e-3]]),
        measures=jnp.array([[jnp.inf], [1], [2], [3], [4]]),
        metrics={"number": jnp.arange(5.0)},
    )
    genotypes = jnp.arange(5.0)[:, None]
    key = jax.random.key(0)
    state, fitness, record = tell(strategy, -1.0, key, state, genotypes, Evaluated(evaluation, ()))
    np.testing.assert_array_equal(fitness, [np.nan, 5, np.nan, 4, 2])
    told = seen["feedback"]
    inf = np.inf
    np.testing.assert_array_equal(told.fitness[:4], [inf, -5, inf, -4])
    assert 1e24 < told.fitness[4] < inf
    np.testing.assert_array_equal(told.objectives, [[inf, inf], [-3, -4], [inf, inf], [-7, -8], [-9, -10]])
    np.testing.assert_array_equal(told.constraints[:, 0], np.array([inf, -1, inf, -1, 1e-3], np.float32))
    np.testing.assert_array_equal(told.measures[:, 0], [0, 1, 0, 3, 4])
    assert (int(record["best/number"]), float(state.best_fitness)) == (1, -5.0)
    assert float(record["best_so_far"]) == 5.0
    assert float(record["feasible"]) == pytest.approx(0.8)
    forbidden = Evaluated(evaluation._replace(constraints=jnp.ones((5, 1))), ())
    state, _, _ = tell(strategy, 1.0, key, state._replace(best_fitness=jnp.float32(7)), genotypes, forbidden)
    assert float(state.best_fitness) == 7.0


def test_plain_python_has_constraints_too() -> None:
    search = Search(Fence(), CMAES(8), workers=1, progress=False)
    result = search.run(generations=30)
    assert -1.0 <= result.best_fitness < -0.999  # the least that keeps the constraint
    assert result.center_fitness > -1.01
    assert np.nanmin(search.history.columns["feasible"]) < np.nanmax(search.history.columns["feasible"])


def test_plain_python_that_breaks_its_word_fails(caplog: pytest.LogCaptureFixture) -> None:
    result = Search(Liar(), RandomSearch(2), workers=1, progress=False).run(generations=1)
    assert result.failed == 2
    assert "evaluate expects 3 constraints, as vector_lengths of the problem says, and constraints is" in caplog.text


def test_validation_tasks_that_a_user_gives_are_honoured() -> None:
    search = Search(Bowl(noise=1.0), RandomSearch(4), validation_tasks=512, finalists=0, progress=False)
    result = search.run(generations=1)
    assert result.selection_tasks == 512
    truth = float(np.sum((result.selected_omega - 1.0) ** 2))
    assert abs(result.selected_fitness - truth) < 5 / 512**0.5  # standard errors of a mean of 512 draws
    with pytest.raises(ConfigurationError, match="a limit that leaves room for a generation and the final selection"):
        search.run(evaluations=100)
    bounded = Search(Bowl(noise=1.0), RandomSearch(4), validation_tasks=512, validation_share=0.5, progress=False)
    assert bounded.run(generations=1).selection_tasks < 512
