"""How many tasks a generation: the same inner steps spent on more tasks, or on more generations.

OpenAI-ES on sine waves (one inner step, 64 pairs) and separable CMA-ES on the learning rates and regularisation of a
network on digits; every row has the same inner steps. Either all candidates of a generation share the tasks, or each
pair draws its own. Fitness on held-out tasks.

    python benchmarks/tasks_a_generation.py
    python benchmarks/tasks_a_generation.py --seeds 1 --inner-steps 200000  # a quick look
"""

import argparse
from typing import Any

from _engine import mean_fitness
from _measure import mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.problems import DigitsHyperparameters, Sinusoid
from evometa.strategies import CMAES, OpenAIES


def sinusoid(tasks: int, per_pair: bool) -> tuple[Any, Any]:
    """Return problem and strategy for sine waves."""
    strategy = OpenAIES(128, sigma=0.03, shaping="pair_difference", tasks_per_pair=per_pair)
    return Sinusoid(num_tasks=tasks), strategy


def digits(tasks: int, per_pair: bool) -> tuple[Any, Any] | None:
    """Return problem and strategy for hyperparameters; CMA-ES has no pairs."""
    return None if per_pair else (DigitsHyperparameters(num_tasks=tasks, inner_steps=50), CMAES(12))


MAKE = {"sinusoid": sinusoid, "digits-hyperparameters": digits}


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=MAKE, default=list(MAKE))
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--inner-steps", type=int, default=1_000_000, help="of each search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=1000, help="tasks for each score")
    arguments = parse_arguments(parser, "--problems sinusoid --tasks 1 --inner-steps 500 --seeds 1 --held-out 16")
    rows = []
    for name in arguments.problems:
        for per_pair in (False, True):
            for tasks in arguments.tasks:
                made = MAKE[name](tasks, per_pair)
                if made is None:
                    continue
                found, generations = [], 0
                for seed in range(arguments.seeds):
                    search = em.Search(*made, seed=seed, validation_share=0.0, progress=False)
                    result = search.run(inner_steps=arguments.inner_steps)
                    generations = result.generations
                    found.append(mean_fitness(made[0], result.center_omega, arguments.held_out))
                drawn = "each pair" if per_pair else "all candidates"
                rows.append([name, drawn, tasks, f"{generations:,}", mean_and_error(found, 4)])
                note(rows[-1])
    print_table(["problem", "tasks are drawn for", "tasks", "generations", "held-out"], rows)


if __name__ == "__main__":
    main()
