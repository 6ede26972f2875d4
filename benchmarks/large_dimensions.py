"""How many evaluations the strategies for large dimensions need, each beside its reference implementation, float64.

========  ==========================================================================
SepCMAES  ``cmaes.SepCMA`` of the package cmaes
LMMAES    ``Lmmaes`` of the package lmmaes, by one of the paper's authors
CRFMNES   ``CRFMNES`` of the package crfmnes, by the paper's authors
XNES      ``cmaes._xnes.XNES`` of the package cmaes; meant for D = 10, not for 100
========  ==========================================================================

Both sides get the same population size, first step size and starting points; a run ends at the target, at its own stop
reasons or after ``--max-evaluations`` times D. The table gives the mean number of evaluations of the runs that reached
the target, and how many did: on Rosenbrock's function some find the local minimum instead, on either side. Where none
did, it gives the median of the best fitness.

    pip install cmaes crfmnes lmmaes
    python benchmarks/large_dimensions.py --dimensions 100 --runs 5
    python benchmarks/large_dimensions.py --strategies XNES --dimensions 10 --runs 10
    python benchmarks/large_dimensions.py --dimensions 1000 --runs 3      # hours, most of them the references'
"""

import argparse
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cmaes_quality import Function, functions  # also switches JAX to float64

from evometa.spaces import Box
from evometa.strategies import CMAES
from evometa.strategies.crfmnes import CRFMNES
from evometa.strategies.lmmaes import LMMAES
from evometa.strategies.sep_cmaes import SepCMAES
from evometa.strategies.xnes import XNES
from evometa.strategy import Strategy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import cmaes
    import crfmnes.alg
    import lmmaes
    from cmaes._xnes import XNES as ReferenceXNES

SIGMA = 1.0
FUNCTIONS = ("ellipsoid", "rotated ellipsoid", "cigar", "rosenbrock")
Side = Callable[[Function, np.ndarray, int, int], Iterator[float]]
"""(function, start, population size, seed) -> the best fitness of each generation."""


def ask_and_tell(search: Any, function: Function) -> Iterator[float]:
    """Run one of the searches of the package cmaes."""
    while not search.should_stop():
        genotypes = np.asarray([search.ask() for _ in range(search.population_size)])
        fitness = function(genotypes)
        search.tell(list(zip(genotypes, fitness.tolist(), strict=True)))
        yield fitness.min()


def sep_cma(function: Function, start: np.ndarray, population_size: int, seed: int) -> Iterator[float]:
    """Run cmaes.SepCMA."""
    return ask_and_tell(cmaes.SepCMA(start, SIGMA, seed=seed, population_size=population_size), function)


def xnes(function: Function, start: np.ndarray, population_size: int, seed: int) -> Iterator[float]:
    """Run the package cmaes's XNES."""
    return ask_and_tell(ReferenceXNES(start, SIGMA, seed=seed, population_size=population_size), function)


def lm_ma_es(function: Function, start: np.ndarray, population_size: int, seed: int) -> Iterator[float]:
    """Run lmmaes.Lmmaes."""
    search = lmmaes.Lmmaes(start, SIGMA, popsize=population_size, rseed=seed, verbose=False)
    while True:
        fitness = function(search.ask())
        search.tell(fitness)
        yield fitness.min()


def cr_fm_nes(function: Function, start: np.ndarray, population_size: int, seed: int) -> Iterator[float]:
    """Run crfmnes.CRFMNES."""
    search = crfmnes.alg.CRFMNES(
        len(start),
        lambda x: float(function(x[:, 0])),
        start[:, None].copy(),
        SIGMA,
        population_size,
        seed=seed,
        use_constraint_violation=False,
    )
    while True:
        yield search.one_iteration()[1].min()


SIDES: dict[str, tuple[Callable[..., Strategy[Any]], Side]] = {
    "SepCMAES": (SepCMAES, sep_cma),
    "LMMAES": (LMMAES, lm_ma_es),
    "CRFMNES": (CRFMNES, cr_fm_nes),
    "XNES": (XNES, xnes),
}


def ours(
    strategy: Strategy[Any], function: Function, starts: np.ndarray, target: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the generations that each run took, and its best fitness."""
    space = Box((starts.shape[1],))

    def run(start: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def generation(carry: Any) -> Any:
            state, best = carry
            genotypes, state = strategy.ask(jax.random.fold_in(key, state.generation), state)
            fitness = function(genotypes)
            return strategy.tell(key, state, genotypes, fitness), jnp.minimum(best, fitness.min())

        def going(carry: Any) -> Any:
            state, best = carry
            return (best > target) & (strategy.stop(state) == 0) & (state.generation < most)

        first = strategy.init(key, space)._replace(mean=start), jnp.asarray(jnp.inf)
        state, best = jax.lax.while_loop(going, generation, first)
        return state.generation, best

    keys = jax.random.split(jax.random.key(starts.shape[1]), len(starts))
    generations, best = jax.jit(lambda: jax.lax.map(lambda pair: run(*pair), (jnp.asarray(starts), keys)))()
    return np.asarray(generations), np.asarray(best)


def theirs(
    side: Side, function: Function, starts: np.ndarray, population_size: int, target: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for a reference."""
    generations, bests = [], []
    for seed, start in enumerate(starts, start=1):
        best, number = math.inf, 0
        for fitness in side(function, start, population_size, seed):
            best, number = min(best, fitness), number + 1
            if best <= target or number >= most:
                break
        generations.append(number)
        bests.append(best)
    return np.asarray(generations), np.asarray(bests)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[100])
    parser.add_argument("--strategies", nargs="+", default=["SepCMAES", "LMMAES", "CRFMNES"], choices=SIDES)
    parser.add_argument("--functions", nargs="+", default=FUNCTIONS, choices=FUNCTIONS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--target", type=float, default=1e-8)
    parser.add_argument("--max-evaluations", type=int, default=10_000, help="of one run, times D")
    arguments = parser.parse_args()

    print("| strategy | function | D | P | evometa: evaluations (solved) | reference: evaluations (solved) | ratio |")
    print("|---|---|---|---|---|---|---|")
    ratios = []
    for dimension in arguments.dimensions:
        starts = np.random.default_rng(dimension).uniform(-2, 2, (arguments.runs, dimension))
        population_size = 2 * (CMAES.default_population_size(dimension) // 2)  # even, for mirrored pairs
        most = arguments.max_evaluations * dimension // population_size
        for name in arguments.strategies:
            strategy, side = SIDES[name]
            for function_name in arguments.functions:
                function = functions(dimension)[function_name]
                cells, times = [], []
                for generations, best in (
                    ours(strategy(population_size, sigma=SIGMA), function, starts, arguments.target, most),
                    theirs(side, function, starts, population_size, arguments.target, most),
                ):
                    solved = best <= arguments.target
                    times.append(population_size * generations[solved].mean() if solved.any() else math.nan)
                    cell = f"{times[-1]:.0f}" if solved.any() else f"best {np.median(best):.1e}"
                    cells.append(f"{cell} ({solved.sum()}/{len(starts)})")
                ratios.append(times[0] / times[1])
                shown = f"{ratios[-1]:.2f}" if math.isfinite(ratios[-1]) else "–"
                row = (name, function_name, dimension, population_size, *cells, shown)
                print(f"| {' | '.join(map(str, row))} |", flush=True)
    mean = math.exp(np.nanmean(np.log(ratios))) if np.isfinite(ratios).any() else math.nan
    print(f"| **geometric mean of {np.isfinite(ratios).sum()}** | | | | | | **{mean:.3f}** |")


if __name__ == "__main__":
    main()
