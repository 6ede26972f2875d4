"""NSGA-II beside pymoo: hypervolume at equal evaluations, and generations per CPU-second on one core.

ZDT1-4 and 6 with their usual dimensions (two objectives, reference point 1.1) and DTLZ2 (three objectives, 12
coordinates, reference point 1.1), population 100, the same operators with the same settings, 250 generations.

    python benchmarks/multi_objective.py
    python benchmarks/multi_objective.py --seeds 31
"""

import argparse
import os
import time
from typing import Any

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX counts the cores

import numpy as np
from _measure import alone, print_table, standard_error

import evometa as em
from evometa.problems import DTLZ2, ZDT1, ZDT2, ZDT3, ZDT4, ZDT6
from evometa.strategies import NSGA2

try:
    from pymoo.algorithms.moo.nsga2 import NSGA2 as Peer
    from pymoo.indicators.hv import HV
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.optimize import minimize
    from pymoo.problems import get_problem
except ImportError as missing:
    raise SystemExit(f"{missing}; this comparison needs: pip install pymoo") from missing

PROBLEMS = (ZDT1(), ZDT2(), ZDT3(), ZDT4(dimension=10), ZDT6(dimension=10), DTLZ2())
POPULATION = 100


def ours(problem: Any, m: int, seed: int, generations: int) -> tuple[np.ndarray, float]:
    """Return the objectives of the front, and generations per CPU-second."""
    strategy = NSGA2(POPULATION, objectives=m)
    search = em.Search(problem, strategy, seed=seed, progress=False, devices=1, validate_every=10**6)
    search.run(generations=5)  # compiles
    start = time.process_time()
    result = search.run(generations=generations)
    return result.archive.objectives, (generations - 5) / (time.process_time() - start)


def pymoo(problem: Any, m: int, seed: int, generations: int) -> tuple[np.ndarray, float]:
    """Return the same of pymoo, on its own functions, which take whole populations."""
    options = {"n_var": problem.space.size} | ({"n_obj": m} if m == 3 else {})
    same = get_problem(type(problem).__name__.lower(), **options)
    algorithm = Peer(pop_size=POPULATION, crossover=SBX(prob=0.9, eta=15), mutation=PM(eta=20))
    start = time.process_time()
    found = minimize(same, algorithm, ("n_gen", generations), seed=1 + seed, verbose=False)
    return found.F, generations / (time.process_time() - start)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    names = [type(problem).__name__ for problem in PROBLEMS]
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    rows = []
    with alone():
        for problem in (one for one in PROBLEMS if type(one).__name__ in arguments.problems):
            m = 3 if isinstance(problem, DTLZ2) else 2
            volume = HV(ref_point=np.full(m, 1.1))
            volumes, speeds, cells = [], [], []
            for side in (ours, pymoo):
                runs = [side(problem, m, seed, arguments.generations) for seed in range(arguments.seeds)]
                reached = np.array([volume(front) for front, _ in runs])
                volumes.append(reached.mean())
                speeds.append(np.mean([speed for _, speed in runs]))
                cells.append(f"{reached.mean():.4f} ± {standard_error(reached):.4f}")
            rows.append([type(problem).__name__, *cells, f"{volumes[0] / volumes[1]:.3f}"])
            rows[-1] += [*(f"{speed:.0f}" for speed in speeds), f"{speeds[0] / speeds[1]:.1f}"]
    header = ["problem", "hypervolume", "pymoo's", "ratio", "generations / CPU-s", "pymoo's", "ratio"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
