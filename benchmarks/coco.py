"""Evaluations that strategies need on the functions of COCO, against pycma: expected running time to 1e-8, float64.

Suites bbob (f1-f24) and bbob-noisy, instances 1 to 5 in turn, first step size 2, starts uniform in [-4, 4]^d, one run
for each start. The expected running time is the number of evaluations of all runs over the number of runs that hit the
target. Modes: ``plain`` (no restarts, default population, at most 1e5 D evaluations), ``diagonal`` (the same with
diagonal decoding, against pycma without), ``bipop`` (multimodal functions, BIPOP restarts, 1e4 D evaluations), and
against pycma's IPOP with its noise handler at 1e4 D evaluations ``noise`` (IPOP) and ``uncertainty`` (UH-CMA-ES with
restarts).

    python benchmarks/coco.py plain --runs 15

pycma's runs are kept in ``benchmarks/data/coco_pycma.json``. This adds those that are missing (an hour or so for all):

    python benchmarks/coco.py plain --runs 15 --pycma
"""

import argparse
import functools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

import numpy as np  # noqa: E402
from _coco import MODES, SIGMA, Objective, Results, Run, Task, cocoex, perform, pycma, tasks  # noqa: E402
from _engine import tell  # noqa: E402
from _measure import note, parse_arguments, print_table  # noqa: E402

from evometa.spaces import Like  # noqa: E402
from evometa.strategies import BIPOPCMAES, CMAES, IPOPCMAES, UHCMAES, Restarts  # noqa: E402
from evometa.strategy import Strategy  # noqa: E402

KEPT = Path(__file__).parent / "data" / "coco_pycma.json"

OURS: dict[str, Callable[[int], Strategy[Any]]] = {
    "plain": lambda d: CMAES(CMAES.default_population_size(d), sigma=SIGMA),
    "diagonal": lambda d: CMAES(CMAES.default_population_size(d), sigma=SIGMA, diagonal_decoding=True),
    "bipop": lambda d: BIPOPCMAES(CMAES.default_population_size(d), sigma=SIGMA),
    "noise": lambda d: IPOPCMAES(CMAES.default_population_size(d), sigma=SIGMA),
    "uncertainty": lambda d: Restarts(UHCMAES(CMAES(CMAES.default_population_size(d), sigma=SIGMA, stagnation=True))),
}
"""What meets pycma in each mode, by dimension."""
AGAINST = {"diagonal": "plain", "uncertainty": "noise"}
"""Modes that are compared with another mode of pycma's."""


@functools.cache
def compiled(mode: str, dimension: int) -> tuple[Callable[..., Any], Callable[..., Any], tuple[str, ...]]:
    """Return functions to begin a search and to continue it, and the names of stop reasons; for all functions."""
    strategy = OURS[mode](dimension)
    space = Like(lambda key: jax.random.uniform(key, (dimension,), minval=-4.0, maxval=4.0))  # also after restarts

    def ask(key: jax.Array, state: Any) -> tuple[Any, ...]:
        stop = strategy.stop(state)
        genotypes, state = strategy.ask(key, state)
        return genotypes, stop, state

    def begin(key: jax.Array) -> tuple[Any, ...]:
        key, key_init, key_ask = jax.random.split(key, 3)
        return key, *ask(key_ask, strategy.init(key_init, space))

    def proceed(key: jax.Array, genotypes: jax.Array, state: Any, fitness: jax.Array) -> tuple[Any, ...]:
        key, key_tell, key_ask = jax.random.split(key, 3)
        return key, *ask(key_ask, tell(strategy, key_tell, state, genotypes, fitness))

    names = tuple(reason.partition(":")[0] for reason in strategy.stop_reasons)
    return jax.jit(begin), jax.jit(proceed, donate_argnums=(0, 1, 2)), names


def evometa(task: Task, objective: Objective) -> str:
    """Search with a strategy, the functions evaluated on the host."""
    begin, proceed, names = compiled(task.mode, task.dimension)
    key, genotypes, stop, state = begin(jax.random.key(int(task.random().integers(2**30))))
    while not (code := int(stop)):
        fitness = np.array([objective(x) for x in np.array(genotypes)])
        key, genotypes, stop, state = proceed(key, genotypes, state, fitness)
    return names[code - 1]


def progress(wanted: Sequence[Task], side: Callable[[Task, Objective], str], results: Results) -> None:
    """Run what is missing, and say how far it is."""
    begin = time.perf_counter()
    for number, task in enumerate(wanted, start=1):
        results.add(perform(task, side))
        if number % 20 == 0 or number == len(wanted):
            note(f"{number}/{len(wanted)} runs in {time.perf_counter() - begin:.0f} s")


def running_time(runs: Sequence[Run]) -> float:
    """Return the expected running time: evaluations of all runs over how many were solved."""
    solved = sum(run.solved for run in runs)
    return sum(run.evaluations for run in runs) / solved if solved else math.inf


def ratio_range(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[float, float]:
    """Return the 5 and 95 % quantiles of the ratio of running times when the runs are drawn again, with replacement."""
    random = np.random.default_rng(0)

    def drawn(runs: Sequence[Run]) -> np.ndarray:
        index = random.integers(len(runs), size=(2000, len(runs)))
        solved = np.array([run.solved for run in runs])[index].sum(1)
        return np.array([run.evaluations for run in runs])[index].sum(1) / np.maximum(solved, 0.5)

    low, high = np.quantile(drawn(ours) / drawn(theirs), [0.05, 0.95])
    return float(low), float(high)


class Row(NamedTuple):
    """One function in one dimension, both sides."""

    function: int
    dimension: int
    ours: list[Run]
    theirs: list[Run]

    @property
    def ratio(self) -> float:
        """Our expected running time over theirs; NaN unless both have solved a run."""
        times = running_time(self.ours), running_time(self.theirs)
        return times[0] / times[1] if math.inf not in times else math.nan

    def solved(self) -> tuple[int, int]:
        """Return how many runs each side has solved."""
        return sum(run.solved for run in self.ours), sum(run.solved for run in self.theirs)

    def __str__(self) -> str:
        ours, theirs = self.solved()
        ratio = "" if math.isnan(self.ratio) else f"{self.ratio:.2f} "
        return f"{ratio}({ours}, {theirs})"


def report(rows: Sequence[Row], dimensions: Sequence[int], runs: int) -> None:
    """Print the table and what it comes to."""
    at = {(row.function, row.dimension): row for row in rows}
    functions = sorted({row.function for row in rows})
    print(f"Ratio of expected running times, ours over pycma's (runs solved of {runs}: ours, pycma's)\n")
    print_table(
        ["function", *(f"D = {d}" for d in dimensions)],
        [[f"f{f}", *(at[f, d] for d in dimensions)] for f in functions],
    )
    both = [row for row in rows if not math.isnan(row.ratio)]
    for d in (*dimensions, None):
        part = [row for row in rows if d in (row.dimension, None)]
        logs = [math.log(row.ratio) for row in part if row in both]
        ours, theirs = np.sum([row.solved() for row in part], axis=0)
        mean = math.exp(sum(logs) / len(logs)) if logs else math.nan
        print(
            f"\n{'all' if d is None else f'D = {d}'}: geometric mean {mean:.3f} of {len(logs)} rows solved by both, "
            f"runs solved {ours} and {theirs} of {runs * len(part)}"
        )
    for row in sorted(both, key=lambda row: -row.ratio)[:5]:
        low, high = ratio_range(row.ours, row.theirs)
        print(
            f"\nf{row.function}, D = {row.dimension}: {row.ratio:.2f}, 90 % of redrawn runs in {low:.2f} to {high:.2f}"
        )
    for name, side in (("ours", 0), ("pycma", 1)):
        alone = [row for row in rows if row.solved()[side] and not row.solved()[1 - side]]
        print(f"\nSolved by {name} only: " + ", ".join(f"f{r.function} D = {r.dimension} {r}" for r in alone))


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--functions", type=int, nargs="+", help="numbers; default all of the mode")
    parser.add_argument("--runs", type=int, default=15, help="for each function and dimension")
    parser.add_argument("--pycma", action="store_true", help="add pycma's missing runs to the file that keeps them")
    parser.add_argument("--keep", type=Path, help="JSON file to keep our runs in; runs found there are not repeated")
    given = parse_arguments(parser, "plain --dimensions 5 --functions 1 --runs 1")
    if cocoex is None:
        raise SystemExit("All functions of this benchmark are from coco-experiment.")
    against = AGAINST.get(given.mode, given.mode)
    functions = given.functions or MODES[given.mode].functions

    theirs = Results(KEPT)
    if given.pycma:
        progress(theirs.missing(tasks(given.mode, functions, given.dimensions, given.runs)), pycma, theirs)
        return
    wanted = set(tasks(against, functions, given.dimensions, given.runs))
    if lacking := theirs.missing(iter(wanted)):
        raise SystemExit(f"{len(lacking)} of pycma's runs are not kept yet: run this with mode {against} and --pycma")
    ours = Results(given.keep)
    progress(ours.missing(tasks(given.mode, functions, given.dimensions, given.runs)), evometa, ours)

    def chosen(results: Results, mode: str, function: int, dimension: int) -> list[Run]:
        place = set(tasks(mode, [function], [dimension], given.runs))
        return [run for run in results.runs if Task(*run[: len(Task._fields)]) in place]

    report(
        [
            Row(f, d, chosen(ours, given.mode, f, d), chosen(theirs, against, f, d))
            for f in functions
            for d in given.dimensions
        ],
        given.dimensions,
        given.runs,
    )


if __name__ == "__main__":
    main()
