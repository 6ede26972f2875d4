"""How many evaluations CMA-ES needs, against pycma: expected running time to 1e-8 on classical functions, float64.

Both sides get the same population size, first step size and starting points. The expected running time is the number of
evaluations of all runs over the number of runs that succeeded; a run ends at the target, at its own stop reasons or
after ``--max-evaluations`` times D. Prints one markdown table.

    python benchmarks/cmaes_quality.py --dimensions 5 10 20 40 --runs 15
"""

import argparse
import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import tell
from _measure import note, parse_arguments, peer, print_table

from evometa.spaces import Box
from evometa.strategies import CMAES

jax.config.update("jax_enable_x64", True)

TARGET, SIGMA = 1e-8, 2.0
Function = Callable[[jax.Array], jax.Array]


def functions(dimension: int) -> dict[str, Function]:
    """Return the functions by name; each takes ``[P, D]`` to ``[P]``, of numpy or of JAX."""
    slope = np.arange(dimension) / (dimension - 1)
    rotation = np.linalg.qr(np.random.default_rng(dimension).normal(size=(dimension, dimension)))[0]
    scales = 1e6**slope

    def rosenbrock(x: jax.Array) -> jax.Array:
        return (100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2).sum(-1)

    def rastrigin(x: jax.Array) -> jax.Array:
        cosine = jnp.cos if isinstance(x, jax.Array) else np.cos
        return 10 * dimension + (x**2 - 10 * cosine(2 * math.pi * x)).sum(-1)

    return {
        "sphere": lambda x: (x**2).sum(-1),
        "ellipsoid": lambda x: (scales * x**2).sum(-1),
        "rotated ellipsoid": lambda x: (scales * (x @ rotation) ** 2).sum(-1),
        "rosenbrock": rosenbrock,
        "cigar": lambda x: x[..., 0] ** 2 + 1e6 * (x[..., 1:] ** 2).sum(-1),
        "discus": lambda x: 1e6 * x[..., 0] ** 2 + (x[..., 1:] ** 2).sum(-1),
        "different powers": lambda x: (abs(x) ** (2 + 4 * slope)).sum(-1),
        "rastrigin": rastrigin,
    }


def ours(function: Function, starts: np.ndarray, population_size: int, max_evaluations: int) -> tuple[np.ndarray, ...]:
    """Return the evaluations that each run took, and whether it reached the target."""
    strategy = CMAES(population_size, sigma=SIGMA)
    space = Box((starts.shape[1],))

    def run(start: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def generation(carry):
            state, _ = carry
            genotypes, state = strategy.ask(jax.random.fold_in(key, state.generation), state)
            fitness = function(genotypes)
            return tell(strategy, key, state, genotypes, fitness), fitness.min()

        def going(carry):
            state, best = carry
            unspent = state.generation * population_size < max_evaluations
            return (best > TARGET) & (strategy.stop(state) == 0) & unspent

        first = strategy.init(key, space)._replace(mean=start), jnp.asarray(jnp.inf)
        state, best = jax.lax.while_loop(going, generation, first)
        return state.generation * population_size, best <= TARGET

    keys = jax.random.split(jax.random.key(starts.shape[1]), len(starts))
    evaluations, success = jax.jit(lambda: jax.lax.map(lambda pair: run(*pair), (jnp.asarray(starts), keys)))()
    return np.asarray(evaluations), np.asarray(success)


def theirs(
    cma: Any, function: Function, starts: np.ndarray, population_size: int, max_evaluations: int
) -> tuple[np.ndarray, ...]:
    """Return the same for pycma."""
    evaluations, success = [], []
    for seed, start in enumerate(starts, start=1):
        options = {"popsize": population_size, "verbose": -9, "seed": seed, "ftarget": TARGET}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a run that does not end well
            search = cma.CMAEvolutionStrategy(start, SIGMA, options | {"maxfevals": max_evaluations})
            while not search.stop():
                genotypes = search.ask()
                search.tell(genotypes, function(np.asarray(genotypes)).tolist())
        evaluations.append(search.countevals)
        success.append(search.best.f <= TARGET)
    return np.asarray(evaluations), np.asarray(success)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--max-evaluations", type=int, default=10_000, help="of one run, times D")
    parser.add_argument("--functions", nargs="+", choices=list(functions(2)), default=list(functions(2)))
    arguments = parse_arguments(parser, "--dimensions 2 --runs 2 --functions sphere")

    pycma, rows, ratios = peer("cma"), [], []
    sides = [ours, *([functools.partial(theirs, pycma)] if pycma else [])]
    for dimension in arguments.dimensions:
        starts = np.random.default_rng(dimension).uniform(-4, 4, (arguments.runs, dimension))
        for name in arguments.functions:
            function = functions(dimension)[name]
            population_size = 20 * dimension if name == "rastrigin" else CMAES.default_population_size(dimension)
            cells, times = [], []
            for side in sides:
                evaluations, success = side(function, starts, population_size, arguments.max_evaluations * dimension)
                times.append(evaluations.sum() / max(success.sum(), 1) if success.any() else math.inf)
                cells.append(f"{times[-1]:.0f} ({success.sum()}/{len(success)})")
            solved = len(times) == 2 and all(map(math.isfinite, times))
            ratios += [times[0] / times[1]] if solved else []
            rows.append([name, dimension, population_size, *cells, *[""] * (2 - len(cells))])
            rows[-1].append(f"{ratios[-1]:.2f}" if solved else "")
            note(rows[-1])
    if ratios:
        mean = math.exp(np.mean(np.log(ratios)))
        rows.append([f"**geometric mean of {len(ratios)}**", *[""] * 4, f"**{mean:.3f}**"])
    header = ["evometa: evaluations (solved)", "pycma: evaluations (solved)", "ratio"]
    print_table(["function", "D", "P", *header], rows)


if __name__ == "__main__":
    main()
