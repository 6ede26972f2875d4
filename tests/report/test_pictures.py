"""Pictures of the selected ω: the problem's own ones, or how learners train with it."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evometa as em
from evometa.report.pictures import pictures, start_of
from evometa.strategies import CMAES, NEAT, RandomSearch


@dataclasses.dataclass(frozen=True)
class Shrink(em.InnerTraining):
    """Multiply a number by ω in each step; on held-out tasks it begins at 3, else at 1."""

    num_tasks: int = 2
    inner_steps: int = 4

    @property
    def space(self) -> em.Box:
        return em.Box((), 0.1, 0.9, start=0.5)

    def sample_task(self, key: Any) -> Any:
        return jnp.float32(1.0)

    def sample_test_task(self, key: Any) -> Any:
        return jnp.float32(3.0)

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return task

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return omega * learner

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner


@dataclasses.dataclass(frozen=True)
class Drawn(Shrink):
    """Has pictures of its own."""

    def pictures(self, key: Any, omega: Any) -> dict[str, Any]:
        return {"own": em.plots.over_steps({"x": [float(omega), 1.0]}, y="y")}


def searched(problem: Any, strategy: Any, folder: Path, **given: Any) -> em.Run:
    em.Search(problem, strategy, seed=0, run_directory=folder, progress=False, **given).run(generations=2)
    return em.load(folder, problem=problem)


def test_the_training_of_learners_with_the_omega_found_and_the_first_one(tmp_path: Path) -> None:
    run = searched(Shrink(), RandomSearch(4), tmp_path / "run")
    (picture,) = pictures(run).values()
    curves = {line.get_label(): np.asarray(line.get_ydata()) for line in picture.axes[0].get_lines()}
    steps = np.arange(1, 5)
    np.testing.assert_allclose(curves["start of the search"], 3 * 0.5**steps, rtol=1e-6)
    np.testing.assert_allclose(curves["found"], 3 * float(run.selected_omega) ** steps, rtol=1e-6)
    assert picture._repr_png_().startswith(b"\x89PNG")  # notebooks show it
    again = em.load(tmp_path / "run", problem=Shrink(inner_steps=600))
    assert len(pictures(again)["training"].axes[0].get_lines()[0].get_xdata()) == 12  # long training: some steps


def test_own_pictures_are_drawn_instead(tmp_path: Path) -> None:
    assert list(pictures(searched(Drawn(), RandomSearch(4), tmp_path / "run"))) == ["own"]


def test_a_grown_network_is_drawn(tmp_path: Path) -> None:
    run = searched(em.problems.XOR(), NEAT(8), tmp_path / "run")
    (picture,) = pictures(run).values()
    assert {text.get_text() for text in picture.axes[0].texts} >= {"0", "1", "bias"}
    assert jax.tree.leaves(run.selected_omega)


@pytest.mark.parametrize(
    ("strategy", "given", "begins"),
    [
        (RandomSearch(4), {"initial": [0.7]}, 0.7),
        (CMAES(4), {"initial": [0.7, 0.2, 0.3]}, 0.2),  # at the best
        (CMAES(4), {"start": em.Start(points=[0.7, 0.2, 0.3], fitness=[3, 1, 2])}, 0.4),  # at the mean
    ],
)
def test_the_start_is_the_one_that_the_search_was_given(
    strategy: Any, given: dict[str, Any], begins: float, tmp_path: Path
) -> None:
    assert start_of(searched(Shrink(), strategy, tmp_path / "run", **given)) == pytest.approx(begins)
