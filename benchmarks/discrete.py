"""Strategies for discrete spaces beside DEAP's ``eaSimple``: evaluations to the optimum.

OneMax of 100 bits; LeadingOnes of 50; twelve deceptive traps of five bits side by side, and with their bits shuffled;
the best 0.1 % of 15,625 trained cells (``evometa.problems.ArchitectureTable``). Every side runs with its own defaults
and counts every evaluation; DEAP's are those of its OneMax example (300 individuals, two-point crossover of half of
them, a fifth mutated with chance 0.05 a bit, tournaments of 3), and beside it the same with this package's population
of 64 and one change a mutation in the mean. Prints one markdown table: the median number of evaluations over
``--seeds`` runs, or where fewer than half of them arrive, how far from the optimum they are in the median and how many
arrive.

    python benchmarks/discrete.py
"""

import argparse
import dataclasses
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import tell
from _measure import note, parse_arguments, print_table
from deap import algorithms, base, creator, tools

from evometa.problems import ArchitectureTable
from evometa.spaces import Categorical
from evometa.strategies import PBIL, AgedEvolution, GeneticAlgorithm, RandomSearch, Reinforce
from evometa.strategy import Strategy

BUDGET, TRAP = 20_000, 5
Run = tuple[np.ndarray, np.ndarray]  # evaluations and best fitness so far, one of each for every generation


@dataclasses.dataclass(frozen=True)
class Task:
    """Minimise ``fitness``, which takes numpy's and JAX's ``[P, D]`` of choices alike, to 0."""

    name: str
    dimension: int
    choices: int
    fitness: Callable[[Any], Any]


def traps(bits: Any) -> Any:
    """Return what is missing to the optimum, all ones; but the fewer ones, the better, unless all are."""
    ones = bits.reshape(-1, bits.shape[1] // TRAP, TRAP).sum(2)
    return ((ones < TRAP) * (ones + 1)).sum(1)


def all_tasks(losses: np.ndarray) -> list[Task]:
    """Return the problems; ``losses`` is the table of cells."""
    order = np.random.default_rng(0).permutation(12 * TRAP)
    missing = np.maximum(losses.ravel() - np.quantile(losses, 0.001), 0.0)
    choices, edges = losses.shape[0], losses.ndim
    powers = choices ** np.arange(edges)[::-1]

    def cells(x: Any) -> Any:
        return (missing if isinstance(x, np.ndarray) else jnp.asarray(missing))[x @ powers]

    return [
        Task("OneMax 100", 100, 2, lambda x: x.shape[1] - x.sum(1)),
        Task("LeadingOnes 50", 50, 2, lambda x: x.shape[1] - x.cumprod(1).sum(1)),
        Task("traps 12 × 5", 12 * TRAP, 2, traps),
        Task("shuffled traps", 12 * TRAP, 2, lambda x: traps(x[:, order])),
        Task("cells, 0.1 %", edges, choices, cells),
    ]


def ours(strategy: Strategy[Any], task: Task, seeds: int, budget: int) -> list[Run]:
    """Return the runs of a strategy."""
    space, generations = Categorical(task.choices, (task.dimension,)), budget // strategy.population_size

    def run(key: Any) -> Any:
        def generation(state: Any, key: Any) -> Any:
            key_ask, key_tell = jax.random.split(key)
            genotypes, state = strategy.ask(key_ask, state)
            fitness = task.fitness(jax.vmap(space.decode)(genotypes)).astype(jnp.result_type(float))
            return tell(strategy, key_tell, state, genotypes, fitness), jnp.min(fitness)

        key, key_init = jax.random.split(key)
        return jax.lax.scan(generation, strategy.init(key_init, space), jax.random.split(key, generations))[1]

    compiled = jax.jit(run)
    best = [np.minimum.accumulate(compiled(jax.random.key(seed))) for seed in range(seeds)]
    return [(strategy.population_size * np.arange(1, generations + 1), each) for each in best]


def of_deap(population: int, rate: float | None, task: Task, seeds: int, budget: int) -> list[Run]:
    """Return the runs of ``eaSimple``; ``rate`` is the chance of a part of a mutant to change, None for 1/D."""
    toolbox = base.Toolbox()
    toolbox.register("part", random.randrange, task.choices)
    toolbox.register("individual", tools.initRepeat, creator.Individual, toolbox.part, task.dimension)
    toolbox.register("evaluate", task.fitness)
    toolbox.register("map", lambda evaluate, crowd: [(value,) for value in evaluate(np.array(list(crowd)))])
    toolbox.register("mate", tools.cxTwoPoint)
    chance = rate or 1 / task.dimension
    if task.choices == 2:
        toolbox.register("mutate", tools.mutFlipBit, indpb=chance)
    else:
        toolbox.register("mutate", tools.mutUniformInt, low=0, up=task.choices - 1, indpb=chance)
    toolbox.register("select", tools.selTournament, tournsize=3)
    statistics = tools.Statistics(lambda individual: individual.fitness.values[0])
    statistics.register("best", min)
    runs = []
    for seed in range(seeds):
        random.seed(seed)
        crowd = tools.initRepeat(list, toolbox.individual, population)
        # About 0.6 of a generation is new and evaluated.
        generations = int(2 * budget / population)
        _, log = algorithms.eaSimple(crowd, toolbox, 0.5, 0.2, generations, stats=statistics, verbose=False)
        evaluated = np.cumsum(log.select("nevals"))
        best = np.minimum.accumulate(log.select("best"))
        runs.append((evaluated[evaluated <= budget], best[evaluated <= budget]))
    return runs


def cell(runs: list[Run]) -> str:
    """Return what the table says of some runs."""
    solved = [evaluated[np.argmax(best <= 0)] for evaluated, best in runs if best[-1] <= 0]
    if len(solved) > len(runs) / 2:
        missing = [np.inf] * (len(runs) - len(solved))
        return f"{np.median([*solved, *missing]):,.0f}"
    return f"{np.median([best[-1] for _, best in runs]):.3g} away, {len(solved)} of {len(runs)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=21)
    parser.add_argument("--budget", type=int, default=BUDGET, help="evaluations of a run at most")
    parser.add_argument("--sides", type=int, nargs="+", help="by number; all by default")
    parser.add_argument("--tasks", type=int, nargs="+", help="by number; all by default")
    arguments = parse_arguments(parser, "--seeds 1 --budget 1000 --sides 2 7 --tasks 0")
    creator.create("Fitness", base.Fitness, weights=(-1.0,))
    creator.create("Individual", list, fitness=creator.Fitness)
    compact = PBIL(2, 1, 0.01, away_from="losers", negative_learning_rate=0.0, mutation_rate=0.0)
    strategies = {
        "GeneticAlgorithm": GeneticAlgorithm(),
        "AgedEvolution": AgedEvolution(),
        "PBIL": PBIL(),
        "PBIL, compact, of 100": compact,
        "Reinforce": Reinforce(),
        "RandomSearch": RandomSearch(64),
    }
    sides: dict[str, Callable[[Task, int, int], list[Run]]] = {
        name: lambda *given, strategy=strategy: ours(strategy, *given) for name, strategy in strategies.items()
    }
    sides["DEAP eaSimple, its example's"] = lambda *given: of_deap(300, 0.05, *given)
    sides["DEAP eaSimple, 64, 1/D"] = lambda *given: of_deap(64, None, *given)
    problems = all_tasks(ArchitectureTable().trained.validation)
    problems = [problems[number] for number in arguments.tasks or range(len(problems))]
    rows = []
    for name, side in [list(sides.items())[number] for number in arguments.sides or range(len(sides))]:
        rows.append([name])
        for task in problems:
            rows[-1].append(cell(side(task, arguments.seeds, arguments.budget)))
            note(f"{name} on {task.name}: {rows[-1][-1]}")
    print_table([f"{arguments.budget:,} evaluations at most", *(task.name for task in problems)], rows)


if __name__ == "__main__":
    main()
