"""Runs on the functions of COCO, the file that keeps their results, and pycma's side of them."""

import functools
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _measure import peer

cma = peer("cma")
cocoex = peer("cocoex", "coco-experiment")

SIGMA = 2.0
"""First step size of all sides; starts are uniform in [-4, 4]^d, where the functions have their optima."""

MULTIMODAL = (3, 4, *range(15, 25))
NOISELESS = {101: 1, 104: 8, 107: 1, 110: 8, 113: 7, 119: 14, 122: 17, 128: 21}
"""First of three noisy functions -> the function of suite bbob that they are without noise.

Missing are 116-118 and 125-127, which suite bbob has with other constants only.
"""


class Mode(NamedTuple):
    """A class of searches, and the functions they are compared on."""

    suite: str
    functions: Sequence[int]
    budget: int
    """Evaluations that one run may take, times D."""
    pycma: dict[str, Any]
    """Arguments of ``cma.fmin2``."""


def averaging() -> type:
    """Return pycma's noise handler with up to 30 evaluations of a candidate, as its documentation sets it for fmin."""

    class Averaging(cma.NoiseHandler):
        def __init__(self, dimension: int) -> None:
            super().__init__(dimension, maxevals=[1, 1, 30])

    return Averaging


MODES = {
    "plain": Mode("bbob", range(1, 25), 100_000, {}),
    "diagonal": Mode("bbob", range(1, 25), 100_000, {"options": {"CMA_diagonal_decoding": 1}}),
    "bipop": Mode("bbob", MULTIMODAL, 10_000, {"bipop": True, "restarts": 9}),
    "noise": Mode(
        "bbob-noisy", [f + i for f in NOISELESS for i in range(3)], 10_000, {"noise_handler": averaging, "restarts": 9}
    ),
}
MODES["uncertainty"] = MODES["noise"]


class Task(NamedTuple):
    """One search to be run."""

    mode: str
    function: int
    dimension: int
    instance: int
    seed: int

    def random(self) -> np.random.Generator:
        """Return what draws the seeds and starts of this search."""
        return np.random.default_rng((self.function, self.dimension, self.instance, self.seed))


class Run(NamedTuple):
    """What a search came to."""

    mode: str
    function: int
    dimension: int
    instance: int
    seed: int
    evaluations: int
    """Until the target was hit, or of the whole run."""
    solved: bool
    reason: str


Objective = Callable[[np.ndarray], float]
Side = Callable[[Task, Objective], str]
"""Runs a search and returns why it stopped."""


class Over(Exception):
    """The target has been hit, or the budget spent: ``args[0]`` says which."""


def tasks(mode: str, functions: Sequence[int], dimensions: Sequence[int], runs: int) -> Iterator[Task]:
    """Yield ``runs`` searches for each function and dimension, over the instances 1 to 5 in turn."""
    for run in range(runs):
        for dimension in dimensions:
            for function in functions:
                yield Task(mode, function, dimension, 1 + run % 5, run // 5)


@functools.cache
def suite(name: str) -> Any:
    """Return a suite of COCO."""
    return cocoex.Suite(name, "instances: 1-5", "dimensions: 5,10,20,40")


def perform(task: Task, side: Side) -> Run:
    """Run one search until COCO says that a candidate is within 1e-8 of the optimum, its noise taken off.

    Noisy problems compare the target with values that have noise and an offset above it, so that no search can hit it;
    their noiseless twins, asked at the same points, tell what was hit.
    """
    mode, place = MODES[task.mode], (task.dimension, task.instance)
    problem = truth = suite(mode.suite).get_problem_by_function_dimension_instance(task.function, *place)
    noisy = mode.suite == "bbob-noisy"
    if noisy:
        twin = next(f for first, f in NOISELESS.items() if 0 <= task.function - first < 3)
        truth = suite("bbob").get_problem_by_function_dimension_instance(twin, *place)

    def objective(x: np.ndarray) -> float:
        value = float(problem(x))
        if noisy:
            truth(x)
        if truth.final_target_hit:
            raise Over("target")
        if problem.evaluations >= mode.budget * task.dimension:
            raise Over("budget")
        return value

    try:
        reason = side(task, objective)
    except Over as over:
        (reason,) = over.args
    run = Run(*task, int(problem.evaluations), reason == "target", reason)
    for each in {problem, truth}:
        each.free()
    return run


def pycma(task: Task, objective: Objective) -> str:
    """Search with pycma as it comes; each restart has a new start."""
    random = task.random()
    arguments = dict(MODES[task.mode].pycma)
    if "noise_handler" in arguments:
        arguments["noise_handler"] = arguments["noise_handler"]()
    options = {"verbose": -9, "verb_log": 0, "verb_disp": 0, "seed": 1 + int(task.random().integers(2**30))}
    options |= arguments.pop("options", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, search = cma.fmin2(objective, lambda: random.uniform(-4, 4, task.dimension), SIGMA, options, **arguments)
    return ", ".join(search.stop())


class Results:
    """Runs, kept in a JSON file if there is a path, one a line; the file is whole after every run."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        kept = json.loads(path.read_text())["runs"] if path and path.exists() else []
        self.runs = [Run(*row) for row in kept]

    def missing(self, wanted: Iterator[Task]) -> list[Task]:
        """Return the searches that are not kept yet."""
        done = {run[: len(Task._fields)] for run in self.runs}
        return [task for task in wanted if task not in done]

    def add(self, run: Run) -> None:
        """Keep a run."""
        self.runs.append(run)
        if self._path is None:
            return
        rows = ",\n".join(json.dumps(row) for row in self.runs)
        new = self._path.with_suffix(".new")
        new.write_text(f'{{"columns": {json.dumps(Run._fields)},\n"runs": [\n{rows}\n]}}\n')
        new.replace(self._path)
