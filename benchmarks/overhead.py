"""What the engine costs: generations per second of ``Search.run`` beside loops written by hand.

Two tables. The first sets ``Search.run``, with its history and checkpoints on, beside a ``lax.scan`` over the same
strategy, problem and evaluation that keeps nothing but the best fitness of each generation. The second sets it beside
the loop that evosax's users write: a Python loop over jitted ask, evaluate and tell.

    python benchmarks/overhead.py
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
from _measure import interleaved, print_table

import evometa as em
from evometa.evaluation import Evaluator
from evometa.planning import plan
from evometa.problems import Sinusoid, Sphere
from evometa.strategies import CMAES, OpenAIES
from evometa.strategy import Feedback, Strategy

BUDGET = 2**31
SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Endless(CMAES):
    """CMA-ES that goes on after it has converged: a speed is measured, not a result."""

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
    evaluator: Evaluator = plan(problem, space, strategy, memory_budget=BUDGET)

    @jax.jit
    def initial() -> Any:
        return strategy.init(jax.random.key(0), space)

    @jax.jit
    def block(state: Any, keys: jax.Array) -> Any:
        def one(state: Any, key: jax.Array) -> Any:
            key_ask, key_judge, key_tell = jax.random.split(key, 3)
            genotypes, state = strategy.ask(key_ask, state)
            fitness = evaluator.population(key_judge, genotypes).fitness
            return strategy.tell(key_tell, state, genotypes, Feedback(fitness)), jnp.min(fitness)

        return jax.lax.scan(one, state, keys)

    def run(generations: int) -> None:
        state = initial()
        for i in range(-(-generations // 500)):
            state, best = block(state, jax.random.split(jax.random.key(i), 500))
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


def compare(label: str, ours: Callable[[int], Any], peer: Callable[[int], Any], lengths: tuple[int, int]) -> list[str]:
    """Time both sides in turns; return a row of the table."""
    sides = {"ours": lambda: ours(lengths[0]), "peer": lambda: peer(lengths[1])}
    seconds = interleaved(sides, rounds=7, seconds=0.1)
    a, b = lengths[0] / seconds["ours"], lengths[1] / seconds["peer"]
    return [label, f"{a:,.0f}", f"{b:,.0f}", f"{a / b:.2f}"]


def main() -> None:
    """Measure and print both tables."""
    sphere, sinusoid = Sphere(dimension=16), Sinusoid(num_tasks=4)
    es, cma = OpenAIES(population_size=64), Endless(population_size=64)
    big = OpenAIES(population_size=512, tasks_per_pair=True)
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        header = ["work", "Search.run, generations/s", "by hand", "ratio"]
        rows = [
            compare("sphere 16-D, OpenAI-ES, P=64", search(sphere, es, root / "a"), scan(sphere, es), (40_000,) * 2),
            compare("sphere 16-D, CMA-ES, P=64", search(sphere, cma, root / "b"), scan(sphere, cma), (40_000,) * 2),
            compare("sinusoid, OpenAI-ES, P=512", search(sinusoid, big, root / "c"), scan(sinusoid, big), (500,) * 2),
        ]
        print("beside a lax.scan written by hand\n")
        print_table(header, rows)
        rows = [
            compare("OpenAI-ES", search(sphere, es, root / "d"), evosax_loop("Open_ES", 16, 64), (40_000, 1000)),
            compare("CMA-ES", search(sphere, cma, root / "e"), evosax_loop("CMA_ES", 16, 64), (40_000, 1000)),
        ]
        print("\nbeside a Python loop over evosax, sphere 16-D, P=64\n")
        print_table(header, rows)


if __name__ == "__main__":
    main()
