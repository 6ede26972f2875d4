"""NEAT on exclusive or and on double pole balancing: evaluations until a network is found.

A search is done with the first generation that holds a network which solves the task: all four outputs on the right
side of 1/2, or 100,000 actions balanced. Without velocities, as in Gruau et al. 1996, the network of the best fitness
must balance for 100,000 actions and, from at least 200 of 625 other starts, for 1000; the table says from how many it
does. All candidates of that generation count. ``--tasks`` names what is run, ``--first-seed`` where the seeds begin.
NEAT has the settings of the problem's recipe. Beside it stand a genetic algorithm on the same space, without species,
and NEAT with one species, both at the same population, mutation and selection pressure. Prints one markdown table.

    python benchmarks/topology.py
    python benchmarks/topology.py --tasks double-pole-no-velocities --strategies NEAT --seeds 10
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import population_evaluator, tell
from _measure import note, parse_arguments, print_table

from evometa.problem import Problem
from evometa.problems import XOR, DoublePole, DoublePoleNoVelocities
from evometa.strategies import NEAT, GeneticAlgorithm
from evometa.strategy import Strategy

PROBLEMS: dict[str, Problem] = {
    "xor": XOR(),
    "double-pole": DoublePole(),
    "double-pole-no-velocities": DoublePoleNoVelocities(),
}
GOALS = {"xor": 9_500, "double-pole": 7_200, "double-pole-no-velocities": 33_184}
PUBLISHED = {"xor": 4_755, "double-pole": 3_600, "double-pole-no-velocities": 33_184}
STRATEGIES = ("NEAT", "NEAT, one species", "GeneticAlgorithm")
LEAST_STARTS = 200
LONG = DoublePoleNoVelocities(limit=100_000)


def strategy_of(name: str, problem: Problem) -> Strategy[Any]:
    """Return a strategy with the settings of the problem's recipe."""
    recipe = problem.card.recipe if problem.card else None
    neat = NEAT(**recipe.settings) if recipe else NEAT()
    others: dict[str, Strategy[Any]] = {
        "NEAT, one species": dataclasses.replace(neat, max_species=1),
        "GeneticAlgorithm": GeneticAlgorithm(
            neat.population_size,
            elites=1,
            tournament_size=5,
            mutation_rate=0.9,
            mutation_scale=neat.mutation_scale,
        ),
    }
    return others.get(name, neat)


def held_out_starts(problem: Problem, key: jax.Array, genotype: Any, solved: jax.Array) -> jax.Array:
    """Return from how many of 625 starts a network balances; 0 for other tasks, and where it fails the tests before."""
    if not isinstance(problem, DoublePoleNoVelocities):
        return jnp.zeros(())
    omega = problem.space.decode(genotype)

    def starts() -> jax.Array:
        return 625 * jnp.asarray(problem.evaluate_test(key, omega).metrics["solved"])

    def lasts() -> jax.Array:
        long: Any = LONG.evaluate(key, omega).metrics["solved"]
        return jax.lax.cond(long > 0, starts, lambda: jnp.zeros(()))

    found: jax.Array = jax.lax.cond(solved, lasts, lambda: jnp.zeros(()))
    return found


def search(problem: Problem, strategy: Strategy[Any], most: int) -> Callable[[int], tuple[int, ...]]:
    """Return a compiled function from a seed to evaluations, whether solved, the solver's size and held-out starts."""
    space = problem.space
    evaluate = population_evaluator(problem)

    def run(seed: jax.Array) -> Any:
        key = jax.random.key(seed)

        def generation(carry: Any) -> Any:
            state, number, _, _ = carry
            key_ask, key_evaluate, key_tell = jax.random.split(jax.random.fold_in(key, number), 3)
            genotypes, state = strategy.ask(key_ask, state)
            evaluation = evaluate(key_evaluate, genotypes)
            fitness: Any = evaluation.fitness
            solved = jnp.asarray(evaluation.metrics["solved"])
            champion = isinstance(problem, DoublePoleNoVelocities)
            best = jnp.argmax(fitness if champion else solved)
            one = jax.tree.map(lambda leaf: leaf[best], genotypes)
            starts = held_out_starts(problem, key_evaluate, one, solved[best] > 0)
            done = starts >= LEAST_STARTS if champion else solved[best] > 0
            size = jnp.stack([jnp.sum(one.node > 0), jnp.sum(one.enabled), jnp.round(starts).astype(jnp.int32)])
            state = tell(strategy, key_tell, state, genotypes, -fitness.astype(jnp.result_type(float)))
            return state, number + 1, done, size

        def going(carry: Any) -> Any:
            return ~carry[2] & ((carry[1] + 1) * strategy.population_size <= most)

        start = (
            strategy.init(jax.random.fold_in(key, 2**31), space),
            jnp.int32(0),
            jnp.asarray(False),
            jnp.zeros(3, jnp.int32),
        )
        return jax.lax.while_loop(going, generation, start)[1:]

    compiled = jax.jit(run)

    def found(seed: int) -> tuple[int, ...]:
        number, solved, size = jax.device_get(compiled(jnp.int32(seed)))
        return int(number) * strategy.population_size, int(solved), *(int(part) for part in size)

    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=60_000, help="evaluations of a search at most")
    parser.add_argument("--tasks", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--strategies", nargs="*", default=STRATEGIES, choices=STRATEGIES)
    arguments = parse_arguments(parser, "--seeds 2 --most 300 --tasks xor --strategies NEAT")
    rows = []
    for task in arguments.tasks:
        for name in arguments.strategies:
            strategy = strategy_of(name, PROBLEMS[task])
            run, start, found = search(PROBLEMS[task], strategy, arguments.most), time.process_time(), []
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                found.append(run(seed))
                note(f"{name} on {task}, seed {seed}: {found[-1]}")
            n, solved, hidden, connections, starts = (np.array(column) for column in zip(*found, strict=True))
            solved = solved > 0
            row = [
                f"{task}, {name}",
                f"{n.mean():,.0f}",
                f"{n.std(ddof=1):,.0f}",
                f"{np.median(n):,.0f}",
                f"{n.max():,}",
            ]
            sizes = [f"{part[solved].mean():.2f}" if solved.any() else "" for part in (hidden, connections)]
            sizes.append(f"{starts[solved].mean():.0f}" if starts[solved].any() else "")
            seconds = f"{(time.process_time() - start) / len(n):.1f}"
            rows.append(
                [*row, f"{solved.sum()} of {len(n)}", *sizes, f"{GOALS[task]:,}", f"{PUBLISHED[task]:,}", seconds]
            )
    header = ["evaluations", "mean", "standard deviation", "median", "most", "solved", "hidden nodes", "connections"]
    print_table([*header, "held-out starts", "goal", "published", "CPU s a search"], rows)


if __name__ == "__main__":
    main()
