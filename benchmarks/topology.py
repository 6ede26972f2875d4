"""NEAT on exclusive or and on double pole balancing with velocities: evaluations until a network is found.

A search is done with the first generation that holds a network which solves the task: all four outputs on the right
side of 1/2, or 100,000 actions balanced. All candidates of that generation count. ``--tasks`` names what is run,
``--first-seed`` where the seeds begin. Beside NEAT stand a genetic algorithm on the same space, without species, and
NEAT with one species, both at the same population, mutation and selection pressure. Prints one markdown table.

    python benchmarks/topology.py
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
from evometa.problems import XOR, DoublePole
from evometa.strategies import NEAT, GeneticAlgorithm
from evometa.strategy import Strategy

PROBLEMS: dict[str, Problem] = {"xor": XOR(), "double-pole": DoublePole()}
GOALS = {"xor": 9_500, "double-pole": 7_200}
PUBLISHED = {"xor": 4_755, "double-pole": 3_600}
STRATEGIES: dict[str, Strategy[Any]] = {
    "NEAT": NEAT(),
    "NEAT, one species": dataclasses.replace(NEAT(), max_species=1),
    "GeneticAlgorithm": GeneticAlgorithm(150, elites=1, tournament_size=5, mutation_rate=0.9, mutation_scale=2.0),
}


def search(problem: Problem, strategy: Strategy[Any], most: int) -> Callable[[int], tuple[int, bool, int, int]]:
    """Return a compiled function from a seed to evaluations, whether it was solved, and the solver's size."""
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
            best = jnp.argmax(solved)
            size = jnp.stack([jnp.sum(genotypes.node[best] > 0), jnp.sum(genotypes.enabled[best])])
            state = tell(strategy, key_tell, state, genotypes, -fitness.astype(jnp.result_type(float)))
            return state, number + 1, jnp.max(solved) > 0, size

        def going(carry: Any) -> Any:
            return ~carry[2] & ((carry[1] + 1) * strategy.population_size <= most)

        start = (
            strategy.init(jax.random.fold_in(key, 2**31), space),
            jnp.int32(0),
            jnp.asarray(False),
            jnp.zeros(2, jnp.int32),
        )
        return jax.lax.while_loop(going, generation, start)[1:]

    compiled = jax.jit(run)

    def found(seed: int) -> tuple[int, bool, int, int]:
        number, solved, size = jax.device_get(compiled(jnp.int32(seed)))
        return int(number) * strategy.population_size, bool(solved), int(size[0]), int(size[1])

    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=60_000, help="evaluations of a search at most")
    parser.add_argument("--tasks", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--strategies", nargs="*", default=list(STRATEGIES), choices=list(STRATEGIES))
    arguments = parse_arguments(parser, "--seeds 2 --most 300 --tasks xor --strategies NEAT")
    rows = []
    for task in arguments.tasks:
        for name in arguments.strategies:
            run, start, found = search(PROBLEMS[task], STRATEGIES[name], arguments.most), time.process_time(), []
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                found.append(run(seed))
                note(f"{name} on {task}, seed {seed}: {found[-1]}")
            n, solved, hidden, connections = (np.array(column) for column in zip(*found, strict=True))
            row = [
                f"{task}, {name}",
                f"{n.mean():,.0f}",
                f"{n.std(ddof=1):,.0f}",
                f"{np.median(n):,.0f}",
                f"{n.max():,}",
            ]
            sizes = [f"{hidden[solved].mean():.2f}", f"{connections[solved].mean():.2f}"] if solved.any() else ["", ""]
            seconds = f"{(time.process_time() - start) / len(n):.1f}"
            rows.append(
                [*row, f"{solved.sum()} of {len(n)}", *sizes, f"{GOALS[task]:,}", f"{PUBLISHED[task]:,}", seconds]
            )
    header = ["evaluations", "mean", "standard deviation", "median", "most", "solved", "hidden nodes", "connections"]
    print_table([*header, "goal", "published", "CPU s a search"], rows)


if __name__ == "__main__":
    main()
