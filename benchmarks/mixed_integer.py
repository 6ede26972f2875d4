"""Evaluations that CMA-ES with margin needs on reals mixed with integers or categories, against the package cmaes.

``integers``: suite bbob-mixint of COCO (f1-f24; a fifth of the coordinates each with 2, 4, 8, 16 and infinitely many
values), instances 1 to 5 in turn, against ``cmaes.CMAwM``. ``categories``: half of the coordinates real, half with 5
choices each, against ``cmaes.CatCMA``. Both sides get the population 4 + ⌊3 ln D⌋, a start at random (integers too),
and the same first standard deviations: 0.2 of the range in the first table, 1 in the second. A run ends 1e-8 above the
optimum, at its own stop reasons, or after 3000 D evaluations; there are no restarts. The expected running time to a
target is the number of evaluations of all runs over the number of runs that came below it; the targets are 10, 1, ...,
1e-8 above the optimum, the last of which counts as solved. Unsolved runs count with what they took until they stopped,
so that a side gains by knowing when to stop; the column "where solved" has the mean evaluations of solved runs alone.

    python benchmarks/mixed_integer.py integers
    python benchmarks/mixed_integer.py categories

The other side's runs are kept in ``benchmarks/data/mixed_integer_cmaes.json``. This adds those that are missing (an
hour or so for all of the first table):

    python benchmarks/mixed_integer.py integers --peer
    python benchmarks/mixed_integer.py categories --peer
"""

import argparse
import contextlib
import functools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

import numpy as np  # noqa: E402
from _engine import tell  # noqa: E402
from _measure import note, parse_arguments, peer, print_table  # noqa: E402

from evometa.spaces import Box, Categorical, Dict, Integer  # noqa: E402
from evometa.strategies import CMAES  # noqa: E402
from evometa.strategies.cma.cmaes_margin import CMAwM  # noqa: E402

KEPT = Path(__file__).parent / "data" / "mixed_integer_cmaes.json"
TARGETS = [10.0**-k for k in range(-1, 9)]
BUDGET = 3000
CHOICES = 5
SCALE = 10.0 ** np.array([0, -3, -1, -1, 0, -2, 0, -2, -2, -3, -2, -4, -1, 0, -1, 0, 1, 0, 1, -1, 0, 0, 1, -1])
"""What suite bbob-mixint multiplies the functions of suite bbob by; it does not say where its optima are."""


class Task(NamedTuple):
    """One search to be run."""

    mode: str
    function: str
    dimension: int
    run: int

    def random(self) -> np.random.Generator:
        """Return what draws the start and the seed of this search."""
        name = [ord(letter) for letter in self.mode + self.function]
        return np.random.default_rng((*name, self.dimension, self.run))


class Run(NamedTuple):
    """What a search came to."""

    mode: str
    function: str
    dimension: int
    run: int
    evaluations: int
    hits: list[int]
    """After how many evaluations each of the targets was met, as far as they were."""


class Over(Exception):
    """The last target has been met or the budget is spent."""


class Objective:
    """A function above its optimum that counts its evaluations; takes numbers ``[D]``, categories by their index."""

    def __init__(self, function: Callable[[np.ndarray], float], optimum: float, dimension: int) -> None:
        self._function, self._optimum, self._budget = function, optimum, BUDGET * dimension
        self.evaluations = 0
        self.hits: list[int] = []

    def __call__(self, x: np.ndarray) -> float:
        """Return the value at one candidate."""
        self.evaluations += 1
        value = float(self._function(x))
        while len(self.hits) < len(TARGETS) and value <= self._optimum + TARGETS[len(self.hits)]:
            self.hits.append(self.evaluations)
        if len(self.hits) == len(TARGETS) or self.evaluations >= self._budget:
            raise Over
        return value


def categorical(name: str, correct: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return a function of n reals, best at 0, and n categories, best where they are ``correct``; its least is 0."""
    n = len(correct)
    scales = 10 ** (6 * np.arange(n) / (n - 1))

    def function(x: np.ndarray) -> float:
        reals, choices = x[:n], x[n:]
        right = choices == correct
        if name == "sphere + wrong choices":
            return np.sum(reals**2) + np.sum(~right)
        if name == "ellipsoid + choices after the first wrong one":
            return np.sum(scales * reals**2) + n - np.cumprod(right).sum()
        # Each choice has its own best real, so that a better choice looks worse until the real has followed.
        off = (choices - correct) % CHOICES
        return np.sum((reals - off / CHOICES) ** 2) + np.sum(off) / CHOICES

    return function


CATEGORICAL = (
    "sphere + wrong choices",
    "ellipsoid + choices after the first wrong one",
    "choices that move the sphere",
)


@functools.cache
def coco() -> Any:
    """Return COCO's module."""
    module = peer("cocoex", "coco-experiment")
    if module is None:
        raise SystemExit("The functions of this table are from coco-experiment.")
    return module


@functools.cache
def suite() -> Any:
    """Return the suite of COCO."""
    return coco().Suite("bbob-mixint", "instances: 1-5", "")


def objective(task: Task) -> Objective:
    """Return what a task minimises."""
    d, instance = task.dimension, 1 + task.run % 5
    if task.mode == "integers":
        f = int(task.function.removeprefix("f"))
        optimum = SCALE[f - 1] * coco().BareProblem("bbob", f, d, instance).best_value()
        return Objective(suite().get_problem_by_function_dimension_instance(f, d, instance), optimum, d)
    correct = np.random.default_rng(task.run).integers(CHOICES, size=d // 2)
    return Objective(categorical(task.function, correct), 0.0, d)


def integer_bounds(dimension: int) -> tuple[int, np.ndarray]:
    """Return how many coordinates of a function of the suite are integers, and the bounds ``[2, D]`` of all."""
    upper = np.repeat([1.0, 3, 7, 15, 5], dimension // 5)
    return 4 * dimension // 5, np.stack([np.where(upper == 5, -5.0, 0.0), upper])


def population_size(dimension: int) -> int:
    """Return the population of both sides."""
    return CMAES.default_population_size(dimension)


@functools.cache
def compiled(mode: str, dimension: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return functions to begin a search and to continue it, for all functions."""
    if mode == "integers":
        whole, (lower, upper) = integer_bounds(dimension)
        parts = {str(i): Integer(int(lower[i]), int(upper[i])) for i in range(whole)}
        space = Dict(parts | {"x": Box((dimension - whole,), -5, 5)})
        strategy = CMAwM(population_size(dimension), sigma=0.2)
    else:
        half = dimension // 2
        space = Dict({"x": Box((half,)), "c": Categorical(CHOICES, (half,))})
        strategy = CMAwM(population_size(dimension), sigma=1.0)

    def ask(key: jax.Array, state: Any) -> tuple[Any, ...]:
        stop = strategy.stop(state)
        genotypes, state = strategy.ask(key, state)
        omegas = jax.vmap(lambda one: space.decode(space.repair(one)))(genotypes)
        parts = [omegas[name].reshape(len(genotypes), -1) for name in space.spaces]
        return genotypes, jax.numpy.concatenate(parts, axis=1), stop, state

    def begin(key: jax.Array) -> tuple[Any, ...]:
        key, key_init, key_ask = jax.random.split(key, 3)
        return key, *ask(key_ask, strategy.init(key_init, space))

    def proceed(key: jax.Array, genotypes: jax.Array, state: Any, fitness: jax.Array) -> tuple[Any, ...]:
        key, key_tell, key_ask = jax.random.split(key, 3)
        return key, *ask(key_ask, tell(strategy, key_tell, state, genotypes, fitness))

    return jax.jit(begin), jax.jit(proceed)


def ours(task: Task, function: Objective) -> None:
    """Search with our strategy, the functions evaluated on the host."""
    begin, proceed = compiled(task.mode, task.dimension)
    key, genotypes, candidates, stop, state = begin(jax.random.key(int(task.random().integers(2**30))))
    while not int(stop):
        fitness = np.array([function(x) for x in np.array(candidates)])
        key, genotypes, candidates, stop, state = proceed(key, genotypes, state, fitness)


def theirs(cmaes: Any, task: Task, function: Objective) -> None:
    """Search with the package cmaes."""
    random, d = task.random(), task.dimension
    shared = {"seed": int(random.integers(2**30)), "population_size": population_size(d)}
    if task.mode == "integers":
        whole, (lower, upper) = integer_bounds(d)
        integer = np.arange(d) < whole
        start = np.where(integer, np.floor(random.uniform(lower, upper + 1)), random.uniform(lower, upper))
        bounds, cov = np.stack([lower, upper], axis=1), np.diag((upper - lower) ** 2)
        search = cmaes.CMAwM(start, 0.2, bounds, integer.astype(float), cov=cov, **shared)
        while not search.should_stop():
            asked = [search.ask() for _ in range(search.population_size)]
            search.tell([(raw, function(x)) for x, raw in asked])
        return
    search = cmaes.CatCMA(random.normal(size=d // 2), 1.0, np.full(d // 2, CHOICES), **shared)
    while not search.should_stop():
        asked = [search.ask() for _ in range(search.population_size)]
        search.tell([((x, c), function(np.concatenate([x, c.argmax(1)]))) for x, c in asked])


def tasks(mode: str, dimensions: Sequence[int], runs: int) -> Iterator[Task]:
    """Yield ``runs`` searches for each function and dimension."""
    for dimension in dimensions:
        for run in range(runs):
            for function in [f"f{f}" for f in range(1, 25)] if mode == "integers" else CATEGORICAL:
                yield Task(mode, function, dimension, run)


def perform(wanted: Sequence[Task], side: Callable[[Task, Objective], None]) -> Iterator[Run]:
    """Run searches, and say how far it is."""
    begin = time.perf_counter()
    for number, task in enumerate(wanted, start=1):
        function = objective(task)
        with contextlib.suppress(Over):
            side(task, function)
        yield Run(*task, function.evaluations, function.hits)
        if number % 20 == 0 or number == len(wanted):
            note(f"{number}/{len(wanted)} runs in {time.perf_counter() - begin:.0f} s")


def keep(runs: Sequence[Run]) -> None:
    """Write runs to the file that keeps them, one a line."""
    KEPT.parent.mkdir(exist_ok=True)
    rows = ",\n".join(json.dumps(run) for run in runs)
    command = "python benchmarks/mixed_integer.py MODE --peer"
    new = KEPT.with_suffix(".new")
    new.write_text(f'{{"command": "{command}", "columns": {json.dumps(Run._fields)},\n"runs": [\n{rows}\n]}}\n')
    new.replace(KEPT)


def running_time(runs: Sequence[Run], target: int) -> float:
    """Return the expected running time to a target."""
    spent = sum(run.hits[target] if target < len(run.hits) else run.evaluations for run in runs)
    met = sum(target < len(run.hits) for run in runs)
    return spent / met if met else math.inf


def solved(runs: Sequence[Run]) -> list[int]:
    """Return the evaluations of each run that met the last target."""
    return [run.evaluations for run in runs if len(run.hits) == len(TARGETS)]


def met(runs: Sequence[Run]) -> str:
    """Return the share of all targets that all runs met."""
    return f"{100 * sum(len(run.hits) for run in runs) / (len(TARGETS) * len(runs)):.1f} %"


def geometric(ratios: Sequence[float]) -> str:
    """Return the geometric mean of those that are finite."""
    finite = [math.log(ratio) for ratio in ratios if math.isfinite(ratio)]
    return f"{math.exp(sum(finite) / len(finite)):.2f} of {len(finite)}" if finite else "none"


def report(ours: Sequence[Run], theirs: Sequence[Run], dimensions: Sequence[int]) -> None:
    """Print the table and what it comes to."""
    ratios: dict[tuple[str, int], list[float]] = {}
    where_solved: dict[tuple[str, int], float] = {}
    cells: dict[str, list[str]] = {}
    for function in dict.fromkeys(run.function for run in ours):
        for d in dimensions:
            a, b = ([run for run in side if (run.function, run.dimension) == (function, d)] for side in (ours, theirs))
            times = [(running_time(a, target), running_time(b, target)) for target in range(len(TARGETS))]
            ratios[function, d] = [x / y if math.inf not in (x, y) else math.nan for x, y in times]
            last = ratios[function, d][-1]
            if not math.isnan(last):
                where_solved[function, d] = float(np.mean(solved(a)) / np.mean(solved(b)))
            cell = "" if math.isnan(last) else f"{last:.2f} "
            cells.setdefault(function, []).append(f"{cell}({len(solved(a))}, {len(solved(b))})")
    print("\nRatio of expected running times to 1e-8, ours over theirs (runs solved: ours, theirs)\n")
    print_table(["function", *(f"D = {d}" for d in dimensions)], [[name, *row] for name, row in cells.items()])
    rows = []
    for d in (*dimensions, None):
        part = [each for (_, dimension), each in ratios.items() if d in (dimension, None)]
        sides = [[run for run in side if d in (run.dimension, None)] for side in (ours, theirs)]
        rows.append(
            [
                "all" if d is None else f"D = {d}",
                geometric([each[-1] for each in part]),
                geometric([ratio for (_, dimension), ratio in where_solved.items() if d in (dimension, None)]),
                geometric([ratio for each in part for ratio in each]),
                " and ".join(str(len(solved(side))) for side in sides) + f" of {len(sides[0])}",
                " and ".join(met(side) for side in sides),
            ]
        )
    print("\nGeometric means of ratios, and totals (ours and theirs)\n")
    print_table(["", "to 1e-8", "where solved", "to every target", "runs solved", "targets met"], rows)


def main() -> None:
    """Run what is asked for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=["integers", "categories"])
    parser.add_argument("--dimensions", type=int, nargs="+", help="default 5 10 20, or 10 20 40 with categories")
    parser.add_argument("--runs", type=int, default=10, help="for each function and dimension")
    parser.add_argument("--peer", action="store_true", help="add the other side's missing runs to the file")
    parser.add_argument("--functions", nargs="+", help="by name; by default all of the mode")
    given = parse_arguments(parser, f"categories --dimensions 10 --runs 1 --functions '{CATEGORICAL[0]}'")
    dimensions = given.dimensions or ([5, 10, 20] if given.mode == "integers" else [10, 20, 40])
    kept = [Run(*row) for row in json.loads(KEPT.read_text())["runs"]] if KEPT.exists() else []
    have = {run[: len(Task._fields)]: run for run in kept}
    wanted = [t for t in tasks(given.mode, dimensions, given.runs) if t.function in (given.functions or [t.function])]
    lacking = [task for task in wanted if task not in have]
    if given.peer:
        cmaes = peer("cmaes")
        for run in perform(lacking, functools.partial(theirs, cmaes)) if cmaes else ():
            keep(kept := [*kept, run])
    elif lacking:
        raise SystemExit(f"{len(lacking)} runs of the other side are not kept yet: run this with --peer first")
    else:
        report(list(perform(wanted, ours)), [have[task] for task in wanted], dimensions)


if __name__ == "__main__":
    main()
