"""Symbolic regression of formulas with constants: tuned by an inner CMA-ES, by gradient, or by mutation alone.

Each formula has constants that no scaling of the whole gives, and 40 points without noise, from -3 to 3. All sides are
``GeneticProgramming`` with the same population and the same number of evaluations. A step down the gradient counts as
three evaluations for its gradient (a sweep forth and one back) and as many more as its line search may take, so that
the side that tunes by gradient has fewer generations. A formula is recovered when its error on 40 other points is below
1e-6 of the variance::

    python benchmarks/constants.py
    python benchmarks/constants.py --seeds 1 --evaluations 10000  # a quick look
"""

import argparse
import csv
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from _measure import note, parse_arguments, print_table

import evometa as em
from evometa.problems import SymbolicRegression
from evometa.strategies import GeneticProgramming
from evometa.strategies.structures.constant_gradient import LINE_SEARCH

FORMULAS: dict[str, Callable[[Any], Any]] = {
    "x³ - 2.42 x² + 1.37 x": lambda x: x**3 - 2.42 * x**2 + 1.37 * x,
    "exp(-0.63 x²) + 0.34 x": lambda x: np.exp(-0.63 * x**2) + 0.34 * x,
    "x sin(1.73 x + 0.41)": lambda x: x * np.sin(1.73 * x + 0.41),
    "(x + 0.56) / (x² + 1.29)": lambda x: (x + 0.56) / (x**2 + 1.29),
}
FUNCTIONS = ("add", "sub", "mul", "div", "exp", "sin", "square")
RECOVERED = 1e-6
POPULATION, TUNED, STEPS = 256, 8, 8
SIDES: dict[str, dict[str, Any]] = {
    "mutation alone": {},
    "CMA-ES": {"tuned": TUNED},
    "gradient": {"tuned": TUNED, "tuning": "gradient", "tuning_steps": STEPS},
}


def evaluations(side: dict[str, Any], population: int) -> int:
    """Return what a generation costs."""
    return population + (TUNED * STEPS * (3 + LINE_SEARCH) if side.get("tuning") == "gradient" else 0)


def written(formula: Callable[[Any], Any], folder: str, name: int) -> str:
    """Return the path of a CSV file with 80 points of a formula, of which half are held out."""
    path, x = pathlib.Path(folder) / f"{name}.csv", np.random.default_rng(name).uniform(-3, 3, 80)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("x", "y"), *zip(x.tolist(), formula(x).tolist(), strict=True)])
    return str(path)


def main() -> None:
    """Search with every side and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=60_000)
    parser.add_argument("--population", type=int, default=POPULATION)
    parser.add_argument("--formulas", type=int, nargs="+", default=list(range(len(FORMULAS))), help="by number")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    small = "--seeds 1 --evaluations 64 --population 16 --formulas 0 --sides 'mutation alone'"
    arguments = parse_arguments(parser, small)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in arguments.formulas:
            name, formula = list(FORMULAS.items())[number]
            problem = SymbolicRegression(
                csv=written(formula, folder, number), functions=FUNCTIONS, max_size=21, held_out=0.5
            )
            for side in arguments.sides:
                settings = SIDES[side]
                generations = arguments.evaluations // evaluations(settings, arguments.population)
                errors, seconds = [], []
                for seed in range(arguments.seeds):
                    strategy = GeneticProgramming(arguments.population, **settings)
                    search = em.Search(problem, strategy, seed=seed, validation_share=0.0, progress=False, devices=1)
                    search.run(generations=1)  # compiles
                    start = time.process_time()
                    found = search.run(generations=generations, target=1e-11)
                    seconds.append(time.process_time() - start)
                    errors.append(float(problem.evaluate_test(jax.random.key(0), found.best_omega).fitness))
                    note(f"{name}, {side}, seed {seed}: {errors[-1]}, {found.best_omega}")
                recovered = sum(error < RECOVERED for error in errors)
                rows.append(
                    [
                        name if side == arguments.sides[0] else "",
                        side,
                        generations,
                        f"{recovered} of {arguments.seeds}",
                        f"{np.median(errors):.2g}",
                        f"{np.mean(seconds):.1f}",
                    ]
                )
    print(f"{arguments.evaluations:,} evaluations\n")
    header = ["formula", "constants by", "generations at most", "recovered", "median error", "CPU seconds"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
