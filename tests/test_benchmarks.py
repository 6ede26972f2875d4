"""Every measurement still runs: at its smallest size it prints its table, with peers skipped that are not installed."""

import contextlib
import gc
import io
import os
import re
import runpy
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))

HEADERS = {
    "aged_evolution": "strategy | evaluations, median",
    "architecture_tables": "cross-entropy on digits |",
    "asynchronous": "strategy, problem | log10 best",
    "bayesian_prior": "prior | generations",
    "black_boxes": "player | generations",
    "checkpoint_cost": "seconds of search | checkpoints",
    "cmaes_quality": "function | D | P | evometa: evaluations",
    "coco": "function | D = 5",
    "constants": "formula | constants by",
    "contract_sizes": "strategy | P = 2, D = 4",
    "continual": "learner | after 2",
    "control": "environment | strategy",
    "dashboard": "runs | generations | history, MiB",
    "density_estimation": "density | held-out",
    "devices": "side | generations/s",
    "discrete": "1,000 evaluations at most | OneMax",
    "diversity": "side | QD score",
    "evolution_or_gradient": "point of the sweep | gradient",
    "evosax_trust": "algorithm | trusted | precision | sphere",
    "executors": "executor | workers",
    "expression_problems": "rule | loss,",
    "expression_training": "losses | candidates / CPU-s",
    "gradient_and_pbt": "problem | one candidate | ms",
    "gradient_free_learners": "1 seeds, 2 held-out tasks | defaults: loss",
    "halving": "boosting-hyperparameters |",
    "heterogeneous": "left out | tuned AdamW",
    "hyperparameter_schedule": "learning rate | loss | 10⁶ inner steps",
    "image_completion": "initial weights | generations",
    "inner_length": "way | S",
    "large_dimensions": "strategy | function | D | P | evaluations",
    "learned_evolution_strategy": "where | learned | OpenAI-ES, tuned",
    "learned_loss": "loss | digits",
    "learned_optimization_throughput": "side | CPU µs an inner step",
    "learned_optimizer": "last loss, held-out tasks | learned",
    "learned_optimizer_unrolls": "strategy | learning rate | σ | loss at the end",
    "locomotion": "weights | before",
    "mazes": "maze | its costs, found",
    "memory": "population_chunk | candidates/s",
    "meta_optimizers": "problem | meta-optimizer | held-out",
    "mixed_integer": "function | D = 10",
    "multimodal_regression": "initialisation | generations",
    "multi_objective": "problem | hypervolume",
    "navigation": "adaptation | generations",
    "omniglot": "embedding | CPU seconds | training",
    "overhead": "work | Search.run, generations/s",
    "policy_objectives": "objective |",
    "recipes": "problem | seeds | held-out",
    "sharded_state": "D = 262,144, P = 2 | devices",
    "several_seeds": "problem | SeveralSeeds, s",
    "scaling": "workers | measured, s",
    "shots_and_tasks": "training tasks | on training tasks",
    "simulators": "trained in | system 0",
    "sinusoid": "what is learned | seconds | generations",
    "strategy_speed": "strategy | D | P | evometa",
    "streams": "player | generations",
    "symbolic_regression": "target | recovered",
    "tasks_a_generation": "problem | tasks are drawn for",
    "throughput": "workload | side | GFLOP/s",
    "topology": "evaluations | mean | standard deviation",
    "training_data": " | held-out | gain",
    "unrolls": "strategy | mean estimate",
    "video_prediction": "predictor | held-out",
    "vision": "learner | held-out",
    "warm_start": "problem | strategy | target | evaluations, cold",
    "when_it_counts": "searched with the loss |",
    "zoo": "entry | distribution",
}
"""How the header of a table of each measurement begins, its cells without padding."""


class Sphere:
    """A function of the COCO suite ``bbob`` as its package gives it, for where that is not installed."""

    evaluations = 0
    final_target_hit = False

    def __call__(self, x: np.ndarray) -> float:
        self.evaluations += 1
        value = float(np.sum((x - 1) ** 2))
        self.final_target_hit |= value < 1e-8
        return value

    def free(self) -> None:
        """Nothing to free."""


def coco() -> types.ModuleType:
    module = types.ModuleType("cocoex")
    get = lambda *place: Sphere()  # noqa: E731
    module.Suite = lambda *name: types.SimpleNamespace(get_problem_by_function_dimension_instance=get)  # type: ignore[attr-defined]
    return module


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Undo what scripts change in their process: precision, cores, environment, imported modules."""
    modules, finders, double = set(sys.modules), list(sys.meta_path), jax.config.jax_enable_x64
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    environment = dict(os.environ)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with warnings.catch_warnings():
        yield
    jax.config.update("jax_enable_x64", double)
    if cores is not None:
        os.sched_setaffinity(0, cores)
    os.environ.clear()
    os.environ.update(environment)
    sys.meta_path[:] = finders
    own = {path.stem for path in FOLDER.glob("*.py")}
    for name in (set(sys.modules) - modules) & own:
        del sys.modules[name]
    jax.clear_caches()
    gc.collect()


def tables(printed: str) -> list[list[list[str]]]:
    """Return the Markdown tables of a text: rows of cells, the header first."""
    found: list[list[list[str]]] = [[]]
    for line in printed.splitlines():
        if line.startswith("|"):
            if not re.fullmatch(r"[|:-]+", line):
                found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def finite(row: list[str]) -> bool:
    """Return whether a row has numbers beside its label, and nothing that is not a number."""
    return bool(re.search(r"\d", " ".join(row[1:]))) and not re.search(r"\b(nan|inf)\b", " ".join(row))


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", SCRIPTS)
def test_prints_its_table_at_its_smallest_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "coco":
        monkeypatch.setitem(sys.modules, "cocoex", coco())
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--smallest"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    headers = {" | ".join(table[0]): table[1:] for table in tables(printed.getvalue())}
    ours = [rows for header, rows in headers.items() if header.startswith(HEADERS[name])]
    assert ours, f"no table of {name} begins with {HEADERS[name]!r} in\n{printed.getvalue()}"
    assert any(finite(row) for row in ours[0])
