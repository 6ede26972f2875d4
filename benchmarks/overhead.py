"""What the engine costs: generations per second of ``Search.run`` beside loops written by hand.

Two tables. The first sets ``Search.run``, with its history and checkpoints on, beside a ``lax.scan`` over the same
strategy, problem and evaluation that keeps nothing but the best fitness of each generation. The second sets it beside
the loop that evosax's users write: a Python loop over jitted ask, evaluate and tell.

    python benchmarks/overhead.py
"""

import argparse
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
from _engine import layout, tell
from _measure import interleaved, parse_arguments, print_table

import evometa as em
from evometa.problems import Sinusoid, Sphere
from evometa.strategies import CMAES, OpenAIES
from evometa.strategy import Strategy

BLOCK = 500
"""Generations of a dispatch of the hand-written scan, at most."""


@dataclasses.dataclass(frozen=True)
class Endless(CMAES):
    """CMA-ES that continues after it has converged: a speed is measured, not a result."""

    def stop(self, state: Any) -> jax.Array:
        """Never stop."""
        return jnp.int32(0)


def search(problem: Any, strategy: Strategy[Any], folder: pathlib.Path) -> Callable[[int], Any]:
    """Return what runs so many further generations of a search in a run directory."""
    search = em.Search(problem, strategy, run_directory=folder, progress=False)
    done = 0

    def run(generations: int) -> None:
        nonlocal done
        done += generations
        search.run(generations=done)

    return run


def scan(problem: Any, strategy: Strategy[Any]) -> Callable[[int], Any]:
    """Return what runs so many generations of the hand-written scan."""
    space = problem.space
    evaluate = layout(problem, strategy).population

    @jax.jit
    def initial() -> Any:
        return strategy.init(jax.random.key(0), space)

    @jax.jit
    def block(state: Any, keys: jax.Array) -> Any:
        def one(state: Any, key: jax.Array) -> Any:
            key_ask, key_evaluate, key_tell = jax.random.split(key, 3)
            genotypes, state = strategy.ask(key_ask, state)
            fitness = evaluate(key_evaluate, genotypes).fitness
            return tell(strategy, key_tell, state, genotypes, fitness), jnp.min(fitness)

        return jax.lax.scan(one, state, keys)

    def run(generations: int) -> None:
        state = initial()
        for i in range(-(-generations // BLOCK)):
            state, best = block(state, jax.random.split(jax.random.key(i), min(BLOCK, generations)))
        jax.block_until_ready(best)

    return run


def evosax_loop(name: str, dimension: int, population: int) -> Callable[[int], Any]:
    """Return what runs so many generations of an evosax strategy on the sphere, from Python."""
    start = jnp.ones((dimension,))
    strategy = getattr(evosax.algorithms, name)(population_size=population, solution=start)
    params = strategy.default_params
    evaluate = jax.jit(lambda x: jnp.sum(x**2, axis=-1))

    def run(generations: int) -> None:
        key = jax.random.key(0)
        state = strategy.init(key, start, params)
        for _ in range(generations):
            key, key_ask, key_tell = jax.random.split(key, 3)
            candidates, state = strategy.ask(key_ask, state, params)
            fitness = evaluate(candidates)
            state, _ = strategy.tell(key_tell, candidates, fitness, state, params)
            jax.block_until_ready(state)

    return run


def compare(
    label: str, ours: Callable[[int], Any], peer: Callable[[int], Any], lengths: tuple[int, int], rounds: int
) -> list[str]:
    """Time both sides in turns; return a row of the table."""
    sides = {"ours": lambda: ours(lengths[0]), "peer": lambda: peer(lengths[1])}
    seconds = interleaved(sides, rounds=rounds, seconds=0.1 if rounds > 1 else 0.0)
    a, b = lengths[0] / seconds["ours"], lengths[1] / seconds["peer"]
    return [label, f"{a:,.0f}", f"{b:,.0f}", f"{a / b:.2f}"]


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--generations", type=int, default=40_000, help="of a turn of Search.run on the sphere")
    parser.add_argument("--rows", type=int, nargs="+", choices=range(5), default=list(range(5)), help="by number")
    arguments = parse_arguments(parser, "--rounds 1 --generations 80 --rows 0 3")
    long, short = arguments.generations, -(-arguments.generations // 80)
    sphere, sinusoid = Sphere(dimension=16), Sinusoid(num_tasks=4)
    es, cma = OpenAIES(population_size=64), Endless(population_size=64)
    big = OpenAIES(population_size=512, tasks_per_pair=True)
    by_scan = [
        ("sphere 16-D, OpenAI-ES, P=64", sphere, es, long),
        ("sphere 16-D, CMA-ES, P=64", sphere, cma, long),
        ("sinusoid, OpenAI-ES, P=512", sinusoid, big, short),
    ]
    by_evosax = [("OpenAI-ES", es, "Open_ES"), ("CMA-ES", cma, "CMA_ES")]
    with tempfile.TemporaryDirectory() as folder:
        root, rounds = pathlib.Path(folder), arguments.rounds
        header = ["work", "Search.run, generations/s", "by hand", "ratio"]
        rows = [
            compare(label, search(problem, one, root / label), scan(problem, one), (count, count), rounds)
            for number, (label, problem, one, count) in enumerate(by_scan)
            if number in arguments.rows
        ]
        print("beside a lax.scan written by hand\n")
        print_table(header, rows)
        rows = [
            compare(label, search(sphere, one, root / label), evosax_loop(name, 16, 64), (long, 2 * short), rounds)
            for number, (label, one, name) in enumerate(by_evosax, start=len(by_scan))
            if number in arguments.rows
        ]
        print("\nbeside a Python loop over evosax, sphere 16-D, P=64\n")
        print_table(header, rows)


if __name__ == "__main__":
    main()
