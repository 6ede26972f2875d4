"""Generations per CPU-second of the strategies alone, on the sphere in float64, against pycma and evosax.

Every side runs in this process, pinned to one core; processor time is counted, after a warm-up, and the median of
``--repeats`` is taken. Prints one markdown table of speeds, and one of what restarts cost: a search on a flat function,
where every run stops as soon as it can, and its whole time over the number of its restarts, which is more than they
cost.

    python benchmarks/strategy_speed.py --dimensions 10 40 100 400 1000
"""

import _one_core  # isort: skip  # noqa: F401
import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import optax
from _engine import tell
from _measure import note, parse_arguments, peer, print_table

from evometa.spaces import Box
from evometa.strategies import BIPOPCMAES, CMAES, IPOPCMAES, OpenAIES, Restarts

jax.config.update("jax_enable_x64", True)

Side = Callable[[int], Callable[[], None]]  # number of generations -> what runs them


def ours(strategy: CMAES | OpenAIES, dimension: int) -> Side:
    """Return our side: one scan."""
    state = strategy.init(jax.random.key(0), Box((dimension,)))

    def generation(carry, number):
        genotypes, carry = strategy.ask(jax.random.fold_in(jax.random.key(1), number), carry)
        return tell(strategy, jax.random.key(2), carry, genotypes, jnp.sum(genotypes**2, axis=1)), None

    return _scan(generation, state)


def of_evosax(algorithm, dimension: int) -> Side:
    """Return evosax's side: one scan as well."""
    parameters = algorithm.default_params
    state = algorithm.init(jax.random.key(0), jnp.ones(dimension), parameters)
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf), state)

    def generation(carry, number):
        genotypes, carry = algorithm.ask(jax.random.fold_in(jax.random.key(1), number), carry, parameters)
        fitness = jnp.sum(genotypes**2, axis=1)
        told, _ = algorithm.tell(jax.random.key(2), genotypes, fitness, carry, parameters)
        return jax.tree.map(lambda new, old: new.astype(old.dtype), told, carry), None

    return _scan(generation, state)


def _scan(generation, state) -> Side:
    def side(generations: int) -> Callable[[], None]:
        program = jax.jit(lambda state: jax.lax.scan(generation, state, jnp.arange(generations))[0])
        return lambda: jax.block_until_ready(program(state))

    return side


def of_pycma(cma: Any, population_size: int, dimension: int) -> Side:
    """Return pycma's side: its ask and tell, the fitness of the whole population by numpy."""

    def side(generations: int) -> Callable[[], None]:
        def run() -> None:
            search = cma.CMAEvolutionStrategy(np.ones(dimension), 0.3, {"popsize": population_size, "verbose": -9})
            for _ in range(generations):
                genotypes = search.ask()
                search.tell(genotypes, (np.asarray(genotypes) ** 2).sum(1).tolist())

        return run

    return side


def restart(strategy: IPOPCMAES | BIPOPCMAES | Restarts, dimension: int, generations: int = 2000) -> tuple[int, float]:
    """Return how many restarts there were on a flat function, and the CPU milliseconds for each, at most."""
    state = strategy.init(jax.random.key(0), Box((dimension,), -5.0, 5.0))

    def generation(carry, number):
        genotypes, carry = strategy.ask(jax.random.fold_in(jax.random.key(1), number), carry)
        key = jax.random.fold_in(jax.random.key(2), number)
        return tell(strategy, key, carry, genotypes, jnp.zeros(len(genotypes))), None

    program = jax.jit(lambda state: jax.lax.scan(generation, state, jnp.arange(generations))[0])
    restarts = int(strategy.diagnostics(program(state))["restarts"])
    return restarts, 1e3 * _processor_time(lambda: jax.block_until_ready(program(state))) / restarts


def speed(side: Side, repeats: int, seconds: float) -> float:
    """Return the median generations per CPU-second."""
    generations = 20
    while True:
        run = side(generations)
        run()  # compiles
        taken = _processor_time(run)
        if taken > seconds / 4:
            break
        generations = int(generations * min(50.0, 1 + seconds / max(taken, 1e-4)))
    return statistics.median(generations / _processor_time(run) for _ in range(repeats))


def _processor_time(run: Callable[[], None]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[10, 40, 100, 400, 1000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of the processor in one repeat, about")
    parser.add_argument("--restarted", type=int, nargs="+", default=[10, 40], help="dimensions of the second table")
    restarts: dict[str, Callable[[int], Any]] = {
        "IPOPCMAES": lambda d: IPOPCMAES(),
        "BIPOPCMAES": lambda d: BIPOPCMAES(),
        "Restarts": lambda d: Restarts(CMAES(CMAES.default_population_size(d))),
    }
    parser.add_argument("--restarts", nargs="+", choices=restarts, default=list(restarts), help="of the second table")
    arguments = parse_arguments(parser, "--dimensions 2 --repeats 1 --seconds 0 --restarted 2 --restarts Restarts")
    cma, rows = peer("cma"), []

    def add(name: str, d: int, p: int, *sides: Side | None) -> None:
        speeds = [None if side is None else speed(side, arguments.repeats, arguments.seconds) for side in sides]
        rows.append([name, d, p, f"{speeds[0]:,.0f}"])
        for other in speeds[1:]:
            rows[-1] += ["", ""] if other is None else [f"{other:,.0f}", f"{speeds[0] / other:.1f}"]
        note(rows[-1])

    for d in arguments.dimensions:
        p = CMAES.default_population_size(d)
        evosax_cma = of_evosax(evosax.algorithms.CMA_ES(p, jnp.zeros(d)), d)
        add("CMA-ES", d, p, ours(CMAES(p), d), of_pycma(cma, p, d) if cma else None, evosax_cma)
    for d in arguments.dimensions:
        p = 256
        algorithm = evosax.algorithms.Open_ES(
            p, jnp.zeros(d), optimizer=optax.adam(0.01), std_schedule=optax.constant_schedule(0.03)
        )
        add("OpenAI-ES", d, p, ours(OpenAIES(p), d), None, of_evosax(algorithm, d))
    print_table(["strategy", "D", "P", "evometa", "pycma", "times", "evosax", "times"], rows)
    print()
    rows = []
    for d in arguments.restarted:
        for name in arguments.restarts:
            count, cost = restart(restarts[name](d), d)
            rows.append([name, d, count, f"{cost:.2f}"])
            note(rows[-1])
    print_table(["on a flat function", "D", "restarts", "CPU ms for each, at most"], rows)


if __name__ == "__main__":
    main()
