"""NSGA-II beside pymoo: hypervolume at equal evaluations, and generations per CPU-second on one core.

ZDT1-4 and 6 with their usual dimensions (two objectives, reference point 1.1) and DTLZ2 (three objectives, 12
coordinates, reference point 1.1), population 100, the same operators with the same settings, 250 generations.

    python benchmarks/multi_objective.py
    python benchmarks/multi_objective.py --seeds 31
"""

import _one_core  # isort: skip  # noqa: F401
import argparse
import importlib
import time
from typing import Any

import numpy as np
from _engine import hypervolume
from _measure import alone, parse_arguments, peer, print_table, standard_error

import evometa as em
from evometa.problems import DTLZ2, ZDT1, ZDT2, ZDT3, ZDT4, ZDT6
from evometa.strategies import NSGA2

PROBLEMS = (ZDT1(), ZDT2(), ZDT3(), ZDT4(dimension=10), ZDT6(dimension=10), DTLZ2())
POPULATION = 100


def ours(problem: Any, m: int, seed: int, generations: int) -> tuple[np.ndarray, float]:
    """Return the objectives of the front, and generations per CPU-second."""
    strategy = NSGA2(POPULATION, objectives=m)
    search = em.Search(problem, strategy, seed=seed, progress=False, devices=1, validation_share=0.0)
    search.run(generations=5)  # compiles
    start = time.process_time()
    result = search.run(generations=generations)
    return result.archive.objectives, (generations - 5) / (time.process_time() - start)


def module(name: str) -> Any:
    """Return a module of pymoo."""
    return importlib.import_module(f"pymoo.{name}")


def pymoo(problem: Any, m: int, seed: int, generations: int) -> tuple[np.ndarray, float]:
    """Return the same of pymoo, on its own functions, which take whole populations."""
    options = {"n_var": problem.space.size} | ({"n_obj": m} if m == 3 else {})
    same = module("problems").get_problem(type(problem).__name__.lower(), **options)
    crossover = module("operators.crossover.sbx").SBX(prob=0.9, eta=15)
    mutation = module("operators.mutation.pm").PM(eta=20)
    peer = module("algorithms.moo.nsga2").NSGA2(pop_size=POPULATION, crossover=crossover, mutation=mutation)
    start = time.process_time()
    found = module("optimize").minimize(same, peer, ("n_gen", generations), seed=1 + seed, verbose=False)
    return found.F, generations / (time.process_time() - start)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    names = [type(problem).__name__ for problem in PROBLEMS]
    parser.add_argument("--problems", nargs="+", choices=names, default=names)
    arguments = parse_arguments(parser, "--generations 10 --seeds 2 --problems ZDT1")
    sides, rows = [ours, *([pymoo] if peer("pymoo") else [])], []
    with alone():
        for problem in (one for one in PROBLEMS if type(one).__name__ in arguments.problems):
            m = 3 if isinstance(problem, DTLZ2) else 2
            volume = module("indicators.hv").HV(ref_point=np.full(m, 1.1)) if len(sides) > 1 else hypervolume(m, 1.1)
            volumes, speeds, cells = [], [], []
            for side in sides:
                runs = [side(problem, m, seed, arguments.generations) for seed in range(arguments.seeds)]
                reached = np.array([volume(front) for front, _ in runs])
                volumes.append(reached.mean())
                speeds.append(np.mean([speed for _, speed in runs]))
                cells.append(f"{reached.mean():.4f} ± {standard_error(reached):.4f}")
            if len(sides) > 1:
                cells.append(f"{volumes[0] / volumes[1]:.3f}")
                speeds.append(speeds[0] / speeds[1])
            cells += [""] * (3 - len(cells))
            shown = [f"{speed:.0f}" for speed in speeds[:2]] + [f"{ratio:.1f}" for ratio in speeds[2:]]
            rows.append([type(problem).__name__, *cells, *shown, *[""] * (3 - len(shown))])
    header = ["problem", "hypervolume", "pymoo's", "ratio", "generations / CPU-s", "pymoo's", "ratio"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
