"""Policies for control, found by evolution: returns over test episodes beside published ones.

Each seed is one search of limited time; the center of the strategy is evaluated on 100 test episodes that no search has
seen. The published returns of the swing-up are those of EvoJAX (Tang et al. 2022, its table of benchmarks).

    python benchmarks/control.py                       # everything, 3 seeds
    python benchmarks/control.py swing-up --seconds 300
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from _measure import alone, parse_arguments, print_table

import evometa as em
from evometa.problem import BaseProblem
from evometa.problems import CartPoleSwingUp, GymnasiumPolicy, GymnaxPolicy
from evometa.strategies import PGPE, OpenAIES
from evometa.strategy import Strategy

EPISODES = 100


class Task(NamedTuple):
    """What is searched, by what, and for how long."""

    problem: BaseProblem
    strategy: Strategy[Any]
    seconds: float
    goal: str


def pgpe(population: int) -> PGPE:
    """Return the strategy of the compiled environments."""
    return PGPE(population_size=population)


TASKS: dict[str, Callable[[], Task]] = {
    "swing-up": lambda: Task(CartPoleSwingUp(), pgpe(128), 240, "published: PGPE 935, OpenAI-ES 929, CMA-ES 927"),
    "CartPole-v1": lambda: Task(GymnaxPolicy("CartPole-v1"), pgpe(64), 60, "500"),
    "Acrobot-v1": lambda: Task(GymnaxPolicy("Acrobot-v1"), pgpe(64), 60, "-90"),
    "MountainCarContinuous-v0": lambda: Task(
        GymnaxPolicy("MountainCarContinuous-v0", normalize=True), pgpe(64), 40, "90"
    ),
    "Pendulum-v1": lambda: Task(GymnaxPolicy("Pendulum-v1", num_tasks=16), pgpe(64), 120, "-250"),
    "HalfCheetah-v5": lambda: Task(
        GymnasiumPolicy("HalfCheetah-v5"),
        OpenAIES(population_size=32, sigma=0.05, learning_rate=0.02, shaping="pair_difference"),
        600,
        "3000",
    ),
}
"""What is searched under each name; made when asked for, since not every package need be there."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*TASKS, []], help="some of them; all by default")
    parser.add_argument("--seconds", type=float, help="of one search; as in the table by default")
    parser.add_argument("--generations", type=int, help="of one search, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=EPISODES, help="test episodes of each seed")
    arguments = parse_arguments(parser, "CartPole-v1 --generations 2 --seeds 1 --episodes 2")
    rows = []
    for name in arguments.which or TASKS:
        task = TASKS[name]()
        seconds = arguments.seconds or task.seconds
        returns, generations, errors = [], [], []
        for seed in range(arguments.seeds):
            with alone():
                result = em.Search(task.problem, task.strategy, seed=seed).run(
                    seconds=seconds, generations=arguments.generations
                )
            omega = result.center_omega if result.center_omega is not None else result.best_omega
            (score, *_) = [
                score
                for score in em.generalization(task.problem, omega, tasks=arguments.episodes, seed=2026)
                if score.distribution == "held-out"
            ]
            returns.append(score.fitness)
            errors.append(score.standard_error)
            generations.append(result.generations)
        cells = ", ".join(f"{value:.1f} ± {error:.1f}" for value, error in zip(returns, errors, strict=True))
        rows.append(
            [name, type(task.strategy).__name__, f"{seconds:g}", f"{statistics.mean(generations):,.0f}", cells,
             f"{statistics.mean(returns):.1f}", task.goal]
        )  # fmt: skip
    print(f"\nReturn over {arguments.episodes} test episodes ± standard error over these\n")
    print_table(["environment", "strategy", "seconds", "generations", "return of each seed", "mean", "to reach"], rows)


if __name__ == "__main__":
    main()
