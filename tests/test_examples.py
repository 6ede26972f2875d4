"""Every example runs, small, and finds what it says it finds."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(request.param, FOLDER / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, request.param, module)
    spec.loader.exec_module(module)
    return module


def only(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [name], indirect=True)


@only("own_inner_training")
def test_own_inner_training_learns_to_learn(example: ModuleType, tmp_path: Path) -> None:
    result = example.main(generations=100, run_directory=str(tmp_path / "run"))
    # The best function that does not adapt, the mean of all waves, leaves an error of 3.0.
    assert result.held_out < 2.5
    assert (tmp_path / "run" / "fitness.png").read_bytes().startswith(b"\x89PNG")


@only("own_problem")
def test_own_problem_finds_the_signal_under_the_outliers(example: ModuleType) -> None:
    found = example.main().best_omega
    assert abs(found["frequency"] - 2.0) < 0.02
    assert abs(found["decay"] - 0.5) < 0.05
    assert abs(found["amplitude"] - 3.0) < 0.2


@only("own_host_problem")
def test_own_host_problem_runs_in_workers(example: ModuleType) -> None:
    result = example.main(generations=2, population_size=6)
    assert (result.evaluations, result.failed) == (12, 0)
    assert 0.9 < result.best_fitness <= 1.0


@only("tune_a_command")
def test_tune_a_command_runs_the_script(example: ModuleType) -> None:
    result = example.main(generations=2, population_size=6)
    assert (result.evaluations, result.failed) == (12, 0)
    assert result.best_fitness < 0.5


@only("compare_seeds")
def test_compare_seeds_draws_both_strategies(example: ModuleType, tmp_path: Path) -> None:
    picture = example.main(generations=3, seeds=2, folder=str(tmp_path))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 4


@only("evolve_a_loss")
def test_evolve_a_loss_leaves_a_module_and_two_pictures(example: ModuleType, tmp_path: Path) -> None:
    result = example.main(generations=2, population_size=8, steps=30, folder=str(tmp_path))
    assert 0.0 <= result.selected_held_out < 0.9
    found: dict[str, Any] = {}
    exec((tmp_path / "loss.py").read_text(), found)
    p, label = np.linspace(0.1, 0.9, 5, dtype=np.float32), np.array([0, 1, 0, 1, 1], np.float32)
    np.testing.assert_allclose(found["loss"](p, label), result.selected_omega(p, label), rtol=1e-5, atol=1e-6)
    for name in ("loss.png", "tree.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@only("one_shot_characters")
def test_one_shot_characters_learns_an_embedding_and_draws_an_episode(example: ModuleType, tmp_path: Path) -> None:
    result = example.main(generations=10, folder=str(tmp_path))
    assert result.held_out < 2.6  # chance: log 20 = 3.0, and random weights are no better
    for name in ("episode.png", "fitness.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_every_example_is_tested_here() -> None:
    tested = Path(__file__).read_text()
    assert [path.stem for path in FOLDER.glob("*.py") if f'@only("{path.stem}")' not in tested] == []


@only("distill_digits")
def test_distill_digits_draws_images_of_each_class(example: ModuleType, tmp_path: Path) -> None:
    picture = example.main(generations=2, population_size=4, steps=2, file=str(tmp_path / "distilled.png"))
    assert picture.read_bytes().startswith(b"\x89PNG")
