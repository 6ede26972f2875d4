"""Compare two strategies over several seeds: one curve each, with a confidence band.

python examples/compare_seeds.py
"""

from pathlib import Path
from typing import Any

import evometa as em


def main(generations: int = 150, seeds: int = 5, folder: str = "runs/compare") -> Path:
    """Search with every strategy and seed, and return the path of the plot."""
    problem = em.problems.Rosenbrock(dimension=4)
    strategies: dict[str, em.Strategy[Any]] = {
        "CMA-ES": em.strategies.CMAES(population_size=32),
        "random search": em.strategies.RandomSearch(population_size=32),
    }
    runs: dict[str, list[Path]] = {name: [] for name in strategies}
    for name, strategy in strategies.items():
        for seed in range(seeds):
            directory = Path(folder) / f"{name.replace(' ', '-')}-{seed}"
            search = em.Search(problem, strategy, seed=seed, run_directory=directory, overwrite=True)
            result = search.run(generations=generations)
            print(f"{name}, seed {seed}: {result.best_fitness:.3g} ({result.stop_reason})")
            runs[name].append(directory)
    picture = Path(folder) / "comparison.png"
    em.plots.compare(runs, quantity="best_so_far").savefig(picture)
    return picture


if __name__ == "__main__":
    main()
