"""Warm starts: evaluations to a target with and without what a run of a similar problem has found.

The similar problem is a function whose optimum is elsewhere, the tuning of a smaller network that trains half as long,
initial weights for a given learning rate where rates are to be learned too, or networks for the opposite of a logical
function. A search for it runs first, once for each seed, and its evaluations are not counted: it is there already. Then
the same strategy searches for the problem itself, from the space's start and from that run (``Search(start=...)``).
Prints a table with the median over seeds of the evaluations until the target is reached, those of the warm start
included, and of the fitness after all evaluations: by the best so far, or where tasks are drawn anew in each generation
by the median of the generation. Where no target is natural, it is the median of what cold runs with other seeds have
after half of the generations.

    python benchmarks/warm_start.py
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _measure import note, parse_arguments, print_table

import evometa as em
from evometa.problems import DigitsHyperparameters, Sinusoid
from evometa.strategies import CMAES, NEAT, SNES, GeneticAlgorithm, OpenAIES
from evometa.topology import Topology


@dataclasses.dataclass(frozen=True)
class Shifted(em.Problem):
    """The sphere or Rosenbrock's function in ten dimensions, with its optimum moved by ``shift`` of the range of 10."""

    function: str = "sphere"
    shift: float = 0.0

    @property
    def space(self) -> em.Space:
        """Ten numbers from -5 to 5."""
        return em.Dict(x=em.Box((10,), -5.0, 5.0))

    def evaluate(self, key: Any, omega: Any) -> jax.Array:
        """Return the value of the function."""
        x = omega["x"] - 1.5 - 10 * self.shift * jnp.asarray([1.0, -1.0] * 5)
        if self.function == "sphere":
            return jnp.sum(x**2)
        x = x + 1.0
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@dataclasses.dataclass(frozen=True)
class Gate(em.Problem):
    """Exclusive or, or its opposite, by a growing network; the sum of the squared errors of the four patterns."""

    opposite: bool = False

    @property
    def space(self) -> Topology:
        """Networks with two inputs and one output."""
        return Topology(2, 1, 8)

    def evaluate(self, key: Any, omega: Any) -> jax.Array:
        """Return the error."""
        inputs = jnp.asarray([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        targets = jnp.asarray([0.0, 1.0, 1.0, 0.0])
        outputs = jax.vmap(omega.run)(inputs)[:, 0]
        return jnp.sum((outputs - (1 - targets if self.opposite else targets)) ** 2)


class Case(NamedTuple):
    """One row of the table."""

    name: str
    similar: em.Problem | em.InnerTraining
    problem: em.Problem | em.InnerTraining
    strategy: Any
    target: float | None
    """None: what cold runs with other seeds have after half of the generations, their median."""
    generations: int
    column: str = "best_so_far"
    """Of the history: what is to reach the target."""


def cases(scale: float) -> list[Case]:
    """Return the rows; ``scale`` shortens the searches."""
    found = []
    for function, strategy, target, generations, shifts in (
        ("sphere", CMAES(10), 1e-3, 100, (0.0, 0.05, 0.3)),
        ("rosenbrock", CMAES(10), 1.0, 400, (0.0, 0.05)),
        ("sphere", SNES(20), 1e-3, 150, (0.05,)),
        ("sphere", GeneticAlgorithm(20), 1.0, 150, (0.05,)),
    ):
        for shift in shifts:
            problem = Shifted(function, shift)
            name = f"{function}, optimum moved by {shift:.0%}"
            found.append(Case(name, Shifted(function), problem, strategy, target, round(scale * generations)))
    similar = DigitsHyperparameters(hidden=(16,), inner_steps=50, num_tasks=2)
    problem = DigitsHyperparameters(hidden=(48,), inner_steps=100, num_tasks=2)
    found.append(Case("digits-hyperparameters, larger", similar, problem, CMAES(8), 0.2, round(scale * 20)))
    strategy, several = OpenAIES(64, shaping="pair_difference", tasks_per_pair=True), {"num_tasks": 8, "inner_steps": 2}
    similar, problem = (Sinusoid(learn_rates=learned, **several) for learned in (False, True))
    found.append(Case("sinusoid, rates too", similar, problem, strategy, None, round(scale * 300), "median"))
    generations = round(scale * 100)
    found.append(Case("exclusive or, after its opposite", Gate(opposite=True), Gate(), NEAT(150), None, generations))
    return found


def searched(
    problem: Any, strategy: Any, generations: int, seed: int, folder: Path | None = None, start: Any = None
) -> Any:
    """Return the history of a search."""
    search = em.Search(
        problem,
        strategy,
        seed=seed,
        start=start,
        run_directory=folder,
        trials=folder is not None,
        finalists=0,
        validation_share=0.0,
        progress=False,
    )
    search.run(generations=generations)
    return search.history


def with_target(case: Case, seeds: int) -> Case:
    """Return the case with its target, by as many cold runs where it has none of its own."""
    if case.target is not None:
        return case
    runs = (searched(case.problem, case.strategy, case.generations // 2, 200 + seed) for seed in range(seeds))
    return case._replace(target=float(np.median([run[case.column][-1] for run in runs])))


def reached(history: Any, case: Case) -> float:
    """Return the evaluations until a search is as good as the target; infinity where it never is."""
    good = np.flatnonzero(history[case.column] <= case.target)
    return float(history["evaluations"][good[0]]) if len(good) else float("inf")


def row(case: Case, cold: list[float], warm: list[float], best: Any) -> list[str]:
    """Return the cells of a case: medians over seeds."""
    times = [float(np.median(each)) for each in (cold, warm)]
    shown = [f"{value:.0f}" if np.isfinite(value) else "never" for value in times]
    ratio = f"{times[1] / times[0]:.2f}" if np.isfinite(times).all() else "-"
    return [
        case.name,
        type(case.strategy).__name__,
        f"{case.target:.3g}",
        *shown,
        ratio,
        *(f"{end:.2g}" for end in best),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="generations, as a multiple of the usual ones")
    parser.add_argument("--only", default="", help="rows whose name or strategy has this in it")
    options = parse_arguments(parser, "--seeds 1 --scale 0.05 --only SNES")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options.scale):
            if options.only not in f"{case.name}, {type(case.strategy).__name__}":
                continue
            case, cold, warm, best = with_target(case, options.seeds), [], [], []
            for seed in range(options.seeds):
                note(f"{case.name}, {type(case.strategy).__name__}, seed {seed}")
                similar = Path(folder) / f"{hash((case.similar, case.strategy))}-{seed}"
                if not similar.exists():
                    searched(case.similar, case.strategy, case.generations, 100 + seed, similar)
                histories = [
                    searched(case.problem, case.strategy, case.generations, seed, start=start)
                    for start in (None, similar)
                ]
                for times, history in zip((cold, warm), histories, strict=True):
                    times.append(reached(history, case))
                best.append([history[case.column][-1] for history in histories])
            rows.append(row(case, cold, warm, np.median(np.array(best), axis=0)))
    header = ["problem", "strategy", "target", "evaluations, cold", "warm", "ratio", "fitness in the end, cold", "warm"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
