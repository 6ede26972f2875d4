"""Fast adaptation or asymptotic performance: the same problems with ``Final``, ``Mean`` and ``At`` for an objective.

Two problems, each searched with each objective and evaluated by all of them on held-out tasks:

- an initialisation with step sizes for sine waves (``Sinusoid``, OpenAI-ES), 10 inner steps, and after 100 as well;
- five hyperparameters of a network on digits (``DigitsHyperparameters``, CMA-ES), 100 inner steps, and after 400.

    python benchmarks/when_it_counts.py
    python benchmarks/when_it_counts.py sinusoid --seeds 1 --share 0.1  # a quick look
"""

import argparse
import dataclasses
from typing import Any

from _engine import mean_fitness
from _measure import mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.objectives import At, Final, Mean, Objective
from evometa.problems import DigitsHyperparameters, Sinusoid
from evometa.strategies import CMAES, OpenAIES

WAVES = OpenAIES(64, sigma=0.03, shaping="pair_difference", tasks_per_pair=True)
PROBLEMS: dict[str, tuple[Any, Any, int, int]] = {
    # problem, strategy, generations, an early step
    "sinusoid": (Sinusoid(num_tasks=4, inner_steps=10, learn_rates=True), WAVES, 1000, 1),
    "digits-hyperparameters": (DigitsHyperparameters(), CMAES(12), 60, 10),
}


def measures(problem: Any, early: int) -> dict[str, Any]:
    """Return the problem with each objective that counts in the table, by the column's name."""
    steps = problem.inner_steps

    def measured(objective: Objective, steps: int = steps) -> Any:
        return dataclasses.replace(problem, objective=objective, inner_steps=steps)

    return {
        f"after {early}": measured(At((early,))),
        f"mean of 1 to {steps}": measured(Mean()),
        f"after {steps}": measured(Final()),
        f"after {(later := steps * (10 if steps == 10 else 4))}": measured(Final(), later),
    }


def main() -> None:
    """Measure and print a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=[], help=f"{', '.join(PROBLEMS)}; both by default")
    parser.add_argument("--share", type=float, default=1.0, help="of the generations, for a quick look")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=500, help="held-out, for each score")
    parser.add_argument("--objectives", type=int, default=3, help="how many of the objectives are searched with")
    arguments = parse_arguments(parser, "digits-hyperparameters --seeds 1 --share 0.001 --tasks 4 --objectives 1")
    for name in arguments.problems or PROBLEMS:
        problem, strategy, generations, early = PROBLEMS[name]
        columns = measures(problem, early)
        searched = dict(list(columns.items())[:3][: arguments.objectives])
        rows = []
        for label, one in searched.items():
            found: dict[str, list[float]] = {column: [] for column in columns}
            for seed in range(arguments.seeds):
                search = em.Search(one, strategy, seed=seed, validation_share=0.0, progress=False)
                omega = search.run(generations=max(int(arguments.share * generations), 1)).center_omega
                for column, other in columns.items():
                    found[column].append(mean_fitness(other, omega, arguments.tasks))
            rows.append([label, *map(mean_and_error, found.values())])
            note(f"{name}: {rows[-1]}")
        print(f"\n{name}: held-out fitness, smaller is better\n")
        print_table(["searched with the loss", *columns], rows)


if __name__ == "__main__":
    main()
