"""Policies that are adapted to a speed by a few rollouts of hill climbing: from learned initial weights beside others.

Each seed is one search of limited time; its center is evaluated at held-out speeds. "Random weights" begin from
scratch, "one policy for all speeds" is a search of as long without adaptation. Both are adapted by as many rollouts as
ours, with the scale of changes that is best at training speeds.

    python benchmarks/locomotion.py                    # 3 seeds
    python benchmarks/locomotion.py --seconds 300
"""

import argparse
import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _engine import mean_fitness
from _measure import Kept, alone, mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.problems import Locomotion
from evometa.strategies import OpenAIES

SCALES = np.geomspace(0.003, 1, 8)
UNADAPTED = em.At((0,))
EVOLUTION = OpenAIES(128, sigma=0.1, learning_rate=0.05, shaping="pair_difference", tasks_per_pair=True)
Scores = dict[str, float]
"""Mean return before adaptation, and after it in each distribution of speeds."""


class Contest:
    """The problem, its shifted speeds, and how ω is measured.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.problem = Locomotion(horizon=arguments.horizon)
        adapted = {"held-out": self.problem, **self.problem.shifted()}
        unadapted = dataclasses.replace(self.problem, objective=UNADAPTED)
        self.places = dict(list({"before": unadapted, **adapted}.items())[: 1 + arguments.places])

    def scores(self, omega: Any) -> Scores:
        """Return the mean returns of one ω."""
        return {name: mean_fitness(place, omega, self.arguments.tasks) for name, place in self.places.items()}

    def tuned(self, weights: Any) -> Scores:
        """Return those of initial weights with the one scale of changes that is best at training speeds."""

        def with_scale(scale: float) -> Any:
            return {"weights": weights, "log_scales": jax.tree.map(lambda leaf: 0 * leaf + math.log(scale), weights)}

        omegas = [with_scale(scale) for scale in SCALES]
        returns = [mean_fitness(self.problem, omega, self.arguments.tasks, test=False, seed=1) for omega in omegas]
        best = int(np.argmax(returns))
        note(f"scale {SCALES[best]:.3g}")
        return self.scores(omegas[best])

    def random(self, seed: int) -> Scores:
        """Return the scores of random weights."""
        return self.tuned(self.problem.space.decode(self.problem.space.sample(jax.random.key(seed)))["weights"])

    def searched(self, seed: int, *, adapted: bool) -> Scores:
        """Return the scores of what a search finds, by its return after adaptation, or by that before it."""
        problem = self.problem if adapted else dataclasses.replace(self.problem, objective=UNADAPTED)
        with alone():
            search = em.Search(problem, EVOLUTION, seed=seed, validation_share=0.0)
            result = search.run(seconds=self.arguments.seconds)
        note(f"{result.generations:,} generations")
        return self.scores(result.center_omega) if adapted else self.tuned(result.center_omega["weights"])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=200, help="held-out speeds")
    parser.add_argument("--horizon", type=int, default=200, help="steps of a rollout")
    parser.add_argument("--places", type=int, default=4, help="distributions of speeds, the held-out ones first")
    parser.add_argument("--only", nargs="+", help="rows to measure")
    parser.add_argument("--keep", type=Path, help="a file to keep figures in; what is there is not measured again")
    smallest = "--seconds 0.1 --seeds 1 --tasks 2 --horizon 3 --places 1 --only initialisation"
    arguments = parse_arguments(parser, smallest)

    contest, kept = Contest(arguments), Kept(arguments.keep)
    ways = {
        "random weights": contest.random,
        "one policy for all speeds": functools.partial(contest.searched, adapted=False),
        "initialisation": functools.partial(contest.searched, adapted=True),
    }
    rows = []
    for name, measure in ways.items():
        if arguments.only and name not in arguments.only:
            continue
        seeds = [
            kept.get_or(f"{name}, seed {seed}", functools.partial(measure, seed)) for seed in range(arguments.seeds)
        ]
        rows.append([name, *(mean_and_error([each[place] for each in seeds], 1) for place in contest.places)])
    rollouts = contest.problem.inner_steps
    print(
        f"\n{arguments.seconds:g} s a search, {arguments.seeds} seeds; mean return before adaptation and after "
        f"{rollouts} rollouts, {arguments.tasks:,} speeds. To reach: clearly above the other rows, and above before\n"
    )
    print_table(["weights", *contest.places], rows)


if __name__ == "__main__":
    main()
