"""Few or many shots, one task or many: what is found, and how far it carries to held-out tasks.

Two problems: an initialisation for sine waves (``Sinusoid``, one inner step, OpenAI-ES), and an embedding of made-up
glyphs (``OmniglotPrototypes``, 5 ways, a small network, OpenAI-ES). The first table of each varies the shots with as
many tasks as there are; the second how many different training tasks there are, with the problem's own shots. The gap
is the fitness on held-out tasks minus that on the training tasks. All searches have the same generations.

    python benchmarks/shots_and_tasks.py
    python benchmarks/shots_and_tasks.py sinusoid --seeds 1  # a quick look
"""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from _engine import mean_fitness
from _measure import mean_and_error, note, parse_arguments, print_table

import evometa as em
from evometa.problem import InnerTraining
from evometa.problems import OmniglotPrototypes, Sinusoid
from evometa.strategies import OpenAIES
from evometa.types import Key, Task

SHOTS = {"sinusoid": (1, 5, 10, 50), "glyphs": (1, 5, 10, 18)}  # of 20 drawings of a character, 2 are queries
TASKS = (1, 4, 64, None)


@dataclasses.dataclass(frozen=True)
class Limited(InnerTraining):
    """A problem with a limited number of training tasks; held-out ones are as before."""

    different: int | None = None
    """How many training tasks there are; None: as many as are drawn."""

    def sample_task(self, key: Key) -> Task:
        """Draw one of the training tasks."""
        if self.different is None:
            return super().sample_task(key)  # type: ignore[safe-super]  # a mixin: the problem comes after it
        number = jax.random.randint(key, (), 0, self.different)
        return super().sample_task(jax.random.fold_in(jax.random.key(2026), number))  # type: ignore[safe-super]


@dataclasses.dataclass(frozen=True)
class LimitedWaves(Limited, Sinusoid):
    """Sine waves, some of them."""


@dataclasses.dataclass(frozen=True)
class LimitedGlyphs(Limited, OmniglotPrototypes):
    """Episodes of glyphs, some of them."""


def waves(population: int, **settings: Any) -> tuple[Any, Any]:
    """Return problem and strategy for sine waves."""
    strategy = OpenAIES(population, sigma=0.03, shaping="pair_difference", tasks_per_pair=True)
    return LimitedWaves(num_tasks=4, **settings), strategy


def glyphs(population: int, **settings: Any) -> tuple[Any, Any]:
    """Return problem and strategy for glyphs."""
    problem = LimitedGlyphs(num_tasks=1, characters="glyphs", ways=5, channels=(8, 8), **settings)
    return problem, OpenAIES(population, sigma=0.03, shaping="pair_difference", tasks_per_pair=True)


MAKE: dict[str, Callable[..., tuple[Any, Any]]] = {"sinusoid": waves, "glyphs": glyphs}
GENERATIONS = {"sinusoid": 2000, "glyphs": 400}
POPULATION = {"sinusoid": 128, "glyphs": 64}


def scores(problem: Any, strategy: Any, seed: int, generations: int, tasks: int) -> tuple[float, float]:
    """Return the fitness of what a search finds on training tasks and on held-out ones."""
    search = em.Search(problem, strategy, seed=seed, validation_share=0.0, progress=False)
    omega = search.run(generations=generations).center_omega
    return mean_fitness(problem, omega, tasks, test=False), mean_fitness(problem, omega, tasks)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=[], help="sinusoid, glyphs; both by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the generations, for a quick look")
    parser.add_argument("--tasks", type=int, default=1000, help="for each score")
    parser.add_argument("--rows", type=int, default=4, help="of each table")
    parser.add_argument("--population", type=int, help="candidates; by default 128 for sine waves and 64 for glyphs")
    arguments = parse_arguments(parser, "sinusoid --seeds 1 --share 0.001 --tasks 16 --rows 1 --population 4")
    for name in arguments.problems or MAKE:
        generations = max(int(arguments.share * GENERATIONS[name]), 1)
        population = arguments.population or POPULATION[name]
        for header, settings in (
            ("shots", [{"shots": shots} for shots in SHOTS[name]]),
            ("training tasks", [{"different": count} for count in TASKS]),
        ):
            rows = []
            for setting in settings[: arguments.rows]:
                problem, strategy = MAKE[name](population, **setting)
                found = [
                    scores(problem, strategy, seed, generations, arguments.tasks) for seed in range(arguments.seeds)
                ]
                training, held_out = (list(each) for each in zip(*found, strict=True))
                gap = [after - before for before, after in found]
                value = next(iter(setting.values()))
                rows.append(
                    [value if value is not None else "unlimited", *map(mean_and_error, (training, held_out, gap))]
                )
                note(f"{name}, {setting}: {rows[-1]}")
            print(f"\n{name}, {generations:,} generations of {population}\n")
            print_table([header, "on training tasks", "held-out", "gap"], rows)


if __name__ == "__main__":
    main()
