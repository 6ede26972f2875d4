"""Aged evolution against random search on 15,625 trained cells: evaluations to the best 1 % of the table.

Population, tournament and mutation are chosen on a table of other data: the setting of the grid below that needs the
fewest evaluations in the mean. Only then does that one choice, and the setting of the paper beside it, meet the table
that is reported, the one of digits that comes with the package. The other is trained once, some minutes, and kept in
``--choosing``. Then the same without the table: every candidate is really trained, on tasks that are drawn anew for
each candidate or once for each search, and a search is done when it has evaluated a cell that the table, whose tasks
are others, counts among the best 1 %. Random search learns nothing from training, so its side is the same. Prints three
markdown tables; the confidence intervals are bootstraps over seeds, which are the numbers from 0. Since the
median of 50 seeds says little, the last column counts in how many blocks of 50 the ratio is at most 1/2.

    python benchmarks/aged_evolution.py
"""

import argparse
import itertools
import pathlib
import shlex
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import population_evaluator, tell
from _measure import note, parse_arguments, print_table
from architecture_tables import table as table_of

from evometa.problems import ArchitectureSearch, ArchitectureTable
from evometa.problems.architectures.architecture_table import DIGITS
from evometa.strategies import AgedEvolution, RandomSearch
from evometa.strategy import Strategy

TOP, LIMIT, BLOCK, BATCH = 0.01, 5000, 50, 100
# Every evaluation counts, so one child at a time. The top 1 % is found by 69 random draws in the median, so most
# populations have to be smaller than that; 100 and 25 are the paper's.
LIVING, CONTESTANTS, RATES = (4, 8, 12, 16, 32, 64, 100), (2, 5, 25), (0.0, 1 / 3)
PAPER = AgedEvolution(1, living=100, tournament_size=25)


Fitness = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
TRAININGS = {"2": (2, False), "8": (8, False), "4-same": (4, True)}
"""How candidates are trained without the table: on how many tasks, and whether these stay the same along a search."""


def evaluations(strategy: Strategy[Any], table: np.ndarray, seeds: int, fitness: Fitness | None = None) -> np.ndarray:
    """Return how many candidates each seed evaluated up to the first of the table's best, ``[seeds]``.

    Args:
        strategy: with one candidate a generation.
        table: the loss of each cell.
        seeds: how many searches.
        fitness: from keys of the search and of the generation and genotypes ``[P, E]`` to the fitness that the strategy
            is told; None: the table's.
    """
    space, losses = ArchitectureSearch().space, jnp.asarray(table)
    good_enough = jnp.asarray(np.quantile(table, TOP), losses.dtype)

    def run(seed: jax.Array) -> jax.Array:
        key = jax.random.key(seed)

        def generation(carry: Any) -> Any:
            state, number, _ = carry
            key_ask, key_tell, key_fitness = jax.random.split(jax.random.fold_in(key, number), 3)
            genotypes, state = strategy.ask(key_ask, state)
            true = losses[tuple(jax.vmap(space.decode)(genotypes).T)]
            told = true if fitness is None else fitness(key, key_fitness, genotypes)
            return tell(strategy, key_tell, state, genotypes, told), number + 1, jnp.min(true)

        def going(carry: Any) -> Any:
            _, number, best = carry
            return (best > good_enough) & (number < LIMIT)

        start = strategy.init(jax.random.fold_in(key, LIMIT), space), jnp.int32(0), jnp.asarray(jnp.inf, losses.dtype)
        return jax.lax.while_loop(going, generation, start)[1]

    # Where candidates are trained, searches run one after the other: together, all would wait for the slowest.
    together = BATCH if fitness is None else 1
    return np.asarray(jax.jit(lambda seeds: jax.lax.map(run, seeds, batch_size=together))(jnp.arange(seeds)))


def trained(tasks: int, steps: int, *, fixed: bool) -> Fitness:
    """Return the fitness by training each candidate: on tasks of its own, or on those of its search."""
    evaluate = population_evaluator(ArchitectureSearch(num_tasks=tasks, inner_steps=steps))

    def fitness(search: jax.Array, generation: jax.Array, genotypes: jax.Array) -> jax.Array:
        return jnp.asarray(evaluate(search if fixed else generation, genotypes).fitness)

    return fitness


def without_replacement(table: np.ndarray, seeds: int) -> np.ndarray:
    """Return the same for a random order of the whole table."""
    good = table.ravel() <= np.quantile(table, TOP)
    return np.array([np.argmax(np.random.default_rng(seed).permutation(good)) + 1 for seed in range(seeds)])


def choose(table: np.ndarray, seeds: int, settings: int | None) -> AgedEvolution:
    """Return the setting of the grid that needs the fewest evaluations of a table in the mean, and print the best."""
    found = []
    for living, contestants, rate in list(itertools.product(LIVING, CONTESTANTS, RATES))[:settings]:
        strategy = AgedEvolution(1, living=living, tournament_size=contestants, mutation_rate=rate)
        found.append((evaluations(strategy, table, seeds), strategy))
        note(f"choosing: {strategy} needs {np.mean(found[-1][0]):.1f}")
    found.sort(key=lambda each: float(np.mean(each[0])))
    print(f"choosing: the best 5 and the last of {len(found)} settings, {seeds} seeds\n")
    rows = [[name(strategy), f"{np.mean(n):.1f}", f"{np.median(n):.0f}"] for n, strategy in [*found[:5], found[-1]]]
    print_table(["strategy", "evaluations, mean", "median"], rows)
    return found[0][1]


def interval(ours: np.ndarray, random: np.ndarray) -> str:
    """Return the ratio of two medians, and its 95 % confidence interval."""
    rng = np.random.default_rng(0)
    drawn = [np.median(side[rng.integers(0, len(side), (4000, len(side)))], axis=1) for side in (ours, random)]
    ratios = drawn[0] / drawn[1]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return f"{np.median(ours) / np.median(random):.2f} ({low:.2f} to {high:.2f})"


def blocks(ours: np.ndarray, random: np.ndarray) -> str:
    """Return in how many blocks of 50 seeds the ratio of the medians is at most 1/2."""
    whole = len(ours) // BLOCK * BLOCK
    medians = [np.median(side[:whole].reshape(-1, BLOCK), axis=1) for side in (ours, random)]
    return f"{np.sum(medians[0] <= medians[1] / 2)} of {whole // BLOCK}"


def name(strategy: AgedEvolution) -> str:
    """Return what the tables call a setting."""
    changes = f"each part with {strategy.mutation_rate:.2g}" if strategy.mutation_rate else "one part"
    return f"aged evolution, {strategy.living} alive, {strategy.tournament_size} contestants, changes {changes}"


def rows_of(sides: dict[str, np.ndarray]) -> list[list[str]]:
    """Return the rows of a table; the first side is random search, the second what else ratios are to."""
    random, once = list(sides.values())[:2]
    rows = []
    for side, n in sides.items():
        quartiles = "{:.0f} ({:.0f} to {:.0f})".format(*np.quantile(n, [0.5, 0.25, 0.75]))
        ratios = [interval(n, random), interval(n, once), interval(n[:BLOCK], random[:BLOCK]), blocks(n, random)]
        rows.append([side, quartiles, f"{np.mean(n):.0f}", *ratios])
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--choosing-seeds", type=int, default=300)
    parser.add_argument("--trained-seeds", type=int, default=50)
    default = pathlib.Path(tempfile.gettempdir()) / "evometa_cells_synthetic.npz"
    parser.add_argument("--choosing", type=pathlib.Path, default=default)
    parser.add_argument("--settings", type=int, help="of the grid, the first so many; by default all")
    parser.add_argument("--trained", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--steps", type=int, default=ArchitectureSearch.inner_steps, help="of training a candidate")
    small = "--seeds 50 --choosing-seeds 50 --settings 1 --trained 2 --trained-seeds 1 --steps 2"
    arguments = parse_arguments(parser, f"{small} --choosing {shlex.quote(str(DIGITS))}")
    chosen = choose(table_of("synthetic", arguments.choosing).validation, arguments.choosing_seeds, arguments.settings)
    table = ArchitectureTable().trained.validation
    header = ["strategy", "evaluations, median (quartiles)", "mean", "ratio of medians", "to nothing twice"]
    header += ["ratio, first 50 seeds", "blocks of 50 with ≤ 1/2"]
    spread = np.quantile(table, [0, TOP, 0.5])
    best = f"loss {spread[0]:.3f} at best, {spread[1]:.3f} for the top {TOP:.0%}, {spread[2]:.3f} in the median"
    sides = {
        "random search": evaluations(RandomSearch(1), table, arguments.seeds),
        "random search, nothing twice": without_replacement(table, arguments.seeds),
        name(chosen): evaluations(chosen, table, arguments.seeds),
        f"{name(PAPER)} (the paper's)": evaluations(PAPER, table, arguments.seeds),
    }
    print(f"\nreported: {table.size} cells, {best}; {arguments.seeds} seeds\n")
    print_table(header, rows_of(sides))
    seeds, kept = arguments.trained_seeds, list(sides)[:2]
    sides = {side: sides[side] for side in kept}
    for tasks, fixed in (TRAININGS[one] for one in arguments.trained):
        which = f"{tasks} tasks, {'the same all along' if fixed else 'new ones for each'}"
        fitness = trained(tasks, arguments.steps, fixed=fixed)
        sides[f"aged evolution, trained on {which}"] = evaluations(chosen, table, seeds, fitness)
        note(f"trained on {which}")
    print(f"\nwithout the table, every candidate of {name(chosen)} trained; {seeds} seeds\n")
    print_table(header, rows_of(sides))


if __name__ == "__main__":
    main()
