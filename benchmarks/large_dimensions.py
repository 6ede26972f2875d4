"""Strategies for large dimensions: evaluations beside the references, then memory and speed up to D = 10⁶.

The first table gives the median of the evaluations to 1e-8 in float64, for functions that an algorithm is meant to
solve: a diagonal (SepCMAES) or a diagonal and one direction (CRFMNES) cannot represent a rotated ellipsoid. Both sides
get the same population size, first step size and starting points. The references are

========  =================================================================
SepCMAES  ``cmaes.SepCMA`` of the package cmaes
CRFMNES   ``CRFMNES`` of the package crfmnes, by the paper's first author
LMMAES    ``Lmmaes`` of the package lmmaes, by one of the paper's authors
CMAES     ``cma.CMAEvolutionStrategy`` of the package cma (pycma)
========  =================================================================

Their side takes hours, so its results are kept in ``data/large_dimensions_peers.json`` and only ours is run, unless
``--peers`` asks for the file to be made again (``pip install cma cmaes crfmnes lmmaes``).

The second table gives the peak of the resident memory over that of JAX alone, and generations per second of the
strategy alone (fitness a sum of squares) in float32, each in a process of its own.

    python benchmarks/large_dimensions.py
    python benchmarks/large_dimensions.py --peers --strategies CRFMNES --dimensions 100
"""

import argparse
import functools
import importlib
import importlib.metadata
import json
import math
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import tell
from _measure import alone, note, parse_arguments, print_table

from evometa.spaces import Box
from evometa.strategies import CMAES, PGPE, SNES, OpenAIES, SepCMAES
from evometa.strategies.cma.lmmaes import LMMAES
from evometa.strategies.es.crfmnes import CRFMNES
from evometa.strategy import Strategy

PEERS = Path(__file__).parent / "data" / "large_dimensions_peers.json"
TARGET, MOST = 1e-8, 20_000
"""The fitness to reach, and the evaluations after which a run is given up, times D."""
POPULATION = 64
"""Candidates in the second table."""
Function = Callable[[Any], Any]


def functions(dimension: int) -> dict[str, Function]:
    """Return the functions by name; each takes ``[P, D]`` to ``[P]``, of numpy or of JAX."""
    scales = 1e6 ** (np.arange(dimension) / (dimension - 1))

    @functools.cache
    def rotation() -> np.ndarray:
        return np.linalg.qr(np.random.default_rng(dimension).normal(size=(dimension, dimension)))[0]

    return {
        "sphere": lambda x: (x**2).sum(-1),
        "ellipsoid": lambda x: (scales * x**2).sum(-1),
        "rotated ellipsoid": lambda x: (scales * (x @ rotation()) ** 2).sum(-1),
        "cigar": lambda x: x[..., 0] ** 2 + 1e6 * (x[..., 1:] ** 2).sum(-1),
        "rosenbrock": lambda x: (100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2).sum(-1),
    }


SEPARABLE = ("sphere", "ellipsoid", "cigar", "rosenbrock")
CASES: dict[str, tuple[Callable[..., Strategy[Any]], str, tuple[str, ...]]] = {
    "SepCMAES": (SepCMAES, "cmaes", SEPARABLE),
    "CRFMNES": (CRFMNES, "crfmnes", SEPARABLE),
    "LMMAES": (LMMAES, "lmmaes", ("sphere", "ellipsoid", "rotated ellipsoid", "cigar", "rosenbrock")),
    "CMAES": (CMAES, "cma", ("rotated ellipsoid",)),
}
"""Strategy, the package of its reference, and what both are meant to solve."""


def beginnings(function_name: str, dimension: int, runs: int) -> tuple[np.ndarray, float]:
    """Return where the runs start, ``[R, D]``, and the first step size."""
    if function_name == "rosenbrock":  # begun far out, some runs of any algorithm end in its local minimum
        return np.zeros((runs, dimension)), 0.1
    return np.random.default_rng(dimension).uniform(-2, 2, (runs, dimension)), 1.0


def generations_of(
    name: str, function: Function, start: np.ndarray, sigma: float, size: int, seed: int
) -> Iterator[float]:
    """Run a reference and yield the best fitness of each generation, until it stops by itself if it does."""
    package = CASES[name][1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pycma warns of optional parts
            module = importlib.import_module("crfmnes.alg" if package == "crfmnes" else package)
    except ImportError:
        sys.exit(f"The reference of {name} is the package {package}, which is not installed: pip install {package}")
    if name == "CRFMNES":
        # Without bounds its check of them costs more than all the rest.
        search = module.CRFMNES(
            len(start),
            lambda x: float(function(x[:, 0])),
            start[:, None].copy(),
            sigma,
            size,
            seed=seed,
            use_constraint_violation=False,
        )
        while True:
            yield search.one_iteration()[1].min()
    elif name == "LMMAES":
        search = module.Lmmaes(start, sigma, popsize=size, rseed=seed, verbose=False)
        while True:
            fitness = function(search.ask())
            search.tell(fitness)
            yield fitness.min()
    elif name == "SepCMAES":
        search = module.SepCMA(start.copy(), sigma, seed=seed, population_size=size)
        while not search.should_stop():
            genotypes = np.asarray([search.ask() for _ in range(size)])
            fitness = function(genotypes)
            search.tell(list(zip(genotypes, fitness.tolist(), strict=True)))
            yield fitness.min()
    else:
        search = module.CMAEvolutionStrategy(start, sigma, {"popsize": size, "verbose": -9, "seed": seed})
        while not search.stop():
            genotypes = search.ask()
            fitness = function(np.asarray(genotypes))
            search.tell(genotypes, fitness.tolist())
            yield fitness.min()


def theirs(name: str, function: Function, starts: np.ndarray, sigma: float, size: int) -> dict[str, Any]:
    """Return what the file keeps of a reference's runs: evaluations, best fitness and CPU seconds of each."""
    kept: dict[str, Any] = {"evaluations": [], "best": [], "seconds": []}
    for seed, start in enumerate(starts, start=1):
        best, number, begun = math.inf, 0, time.process_time()
        for fitness in generations_of(name, function, start, sigma, size, seed):
            best, number = min(best, float(fitness)), number + 1
            if best <= TARGET or number * size >= MOST * len(start):
                break
        kept["evaluations"].append(number * size)
        kept["best"].append(float(f"{best:.3g}"))
        kept["seconds"].append(round(time.process_time() - begun))
        note(f"{name} seed {seed}: {number * size} evaluations, best {best:.3g}")
    package = CASES[name][1]
    return {"reference": f"{package} {importlib.metadata.version(package)}", "population_size": size} | kept


def ours(strategy: Strategy[Any], function: Function, starts: np.ndarray) -> dict[str, Any]:
    """Return the evaluations and the best fitness of each run of ours."""
    space, size = Box((starts.shape[1],)), strategy.population_size
    most = MOST * starts.shape[1] // size

    def run(start: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def generation(carry: Any) -> Any:
            state, best = carry
            genotypes, state = strategy.ask(jax.random.fold_in(key, state.generation), state)
            fitness = function(genotypes)
            return tell(strategy, key, state, genotypes, fitness), jnp.minimum(best, fitness.min())

        def going(carry: Any) -> Any:
            state, best = carry
            return (best > TARGET) & (strategy.stop(state) == 0) & (state.generation < most)

        first = strategy.init(key, space)._replace(mean=start), jnp.asarray(jnp.inf)
        state, best = jax.lax.while_loop(going, generation, first)
        return state.generation * size, best

    compiled = jax.jit(run)
    found = [compiled(start, jax.random.key(seed)) for seed, start in enumerate(starts, start=1)]
    return {"evaluations": [int(run[0]) for run in found], "best": [float(run[1]) for run in found]}


def cell(runs: dict[str, Any]) -> tuple[float, str]:
    """Return the median of the evaluations of the runs that reached the target, and words with how many did."""
    solved = np.asarray(runs["best"]) <= TARGET
    if not solved.any():
        return math.nan, f"best {np.median(runs['best']):.1e} (0/{len(solved)})"
    median = float(np.median(np.asarray(runs["evaluations"])[solved]))
    return median, f"{median:,.0f} ({solved.sum()}/{len(solved)})"


def compare(arguments: argparse.Namespace) -> None:
    """Print the first table, or make the file of the references' side."""
    jax.config.update("jax_enable_x64", True)
    kept = json.loads(PEERS.read_text()) if PEERS.exists() else {}
    rows: list[list[object]] = []
    for dimension in arguments.dimensions:
        size = 2 * (CMAES.default_population_size(dimension) // 2)  # even, for mirrored pairs
        runs = arguments.runs or (5 if dimension < 500 else 3)
        for name in arguments.strategies:
            for function_name in (one for one in CASES[name][2] if one in arguments.functions):
                starts, sigma = beginnings(function_name, dimension, runs)
                function, case = functions(dimension)[function_name], f"{name}, {function_name}, D={dimension}"
                if arguments.peers:
                    note(case)
                    kept[case] = theirs(name, function, starts, sigma, size)
                    kept["command"] = "python benchmarks/large_dimensions.py --peers"
                    PEERS.parent.mkdir(exist_ok=True)
                    PEERS.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
                elif case in kept:
                    note(case)
                    own = ours(CASES[name][0](size, sigma=sigma), function, starts)
                    (median, words), (their_median, their_words) = cell(own), cell(kept[case])
                    rows.append(
                        [name, function_name, dimension, size, words, their_words, f"{median / their_median:.2f}"]
                    )
    if rows:
        print_table(["strategy", "function", "D", "P", "evaluations (solved)", "the reference's", "ratio"], rows)


LARGE: dict[str, Strategy[Any]] = {
    "SepCMAES": SepCMAES(POPULATION),
    "LMMAES": LMMAES(POPULATION),
    "CRFMNES": CRFMNES(POPULATION),
    "SNES": SNES(POPULATION),
    "PGPE": PGPE(POPULATION),
    "OpenAIES": OpenAIES(POPULATION),
    "OpenAIES, noise regenerated": OpenAIES(POPULATION, regenerate_noise=True),
    "… and members one at a time": OpenAIES(POPULATION, regenerate_noise=True),
}


def resident() -> float:
    """Return the peak of this process's resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measure(name: str, dimension: int, seconds: float) -> dict[str, float]:
    """Return memory and speed of one strategy; runs in a process of its own."""
    strategy: Any = LARGE[name]

    @functools.partial(jax.jit, donate_argnums=0)
    def generation(state: Any, number: jax.Array) -> Any:
        key = jax.random.fold_in(jax.random.key(0), number)
        genotypes, state = strategy.ask(key, state)
        if name.startswith("…"):  # what ask returns is not read, and so never computed
            fitness = jax.lax.map(lambda index: jnp.sum(strategy.member(state, index) ** 2), jnp.arange(POPULATION))
        else:
            fitness = jnp.sum(genotypes**2, axis=1)
        return tell(strategy, key, state, genotypes, fitness)

    jax.block_until_ready(jax.jit(jax.random.normal, static_argnums=1)(jax.random.key(0), (8, 8)) @ jnp.ones((8, 8)))
    before = resident()
    state = jax.jit(lambda: strategy.init(jax.random.key(0), Box((dimension,), start=np.ones(dimension))))()
    state = jax.block_until_ready(generation(state, 0))
    begun, number = time.perf_counter(), 0
    while number < 3 or time.perf_counter() - begun < seconds:
        number += 1
        state = jax.block_until_ready(generation(state, number))
    return {"speed": number / (time.perf_counter() - begun), "memory": resident() - before}


def enlarge(arguments: argparse.Namespace) -> None:
    """Print the second table."""
    rows: list[list[object]] = []
    for name in arguments.large_strategies:
        row: list[object] = [name]
        for dimension in arguments.large:
            command = [sys.executable, __file__, "--measure", name, str(dimension), str(arguments.seconds)]
            with alone():
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(output.splitlines()[-1])
            of_population = found["memory"] * 2**20 / (4 * POPULATION * dimension)
            row += [f"{found['speed']:,.1f}", f"{found['memory']:,.0f} ({of_population:.1f})"]
            note(f"{name}, D = {dimension}: {found}")
        rows.append(row)
    header = [f"P = {POPULATION}"]
    for dimension in arguments.large:
        header += [f"D = {dimension:,}: generations/s", "peak MiB (of P·D)"]
    print_table(header, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", default=["evaluations", "memory"], choices=["evaluations", "memory"])
    parser.add_argument("--peers", action="store_true", help="run the references and keep their results")
    parser.add_argument("--strategies", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--functions", nargs="+", default=list(functions(2)), choices=functions(2))
    parser.add_argument("--dimensions", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--runs", type=int, help="of each case; 5, or 3 from D = 500 on, unless given")
    parser.add_argument("--large", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="D")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--large-strategies", nargs="+", default=list(LARGE), choices=LARGE, help="of the second table")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each strategy in the second table")
    small = "--strategies SepCMAES --functions sphere --dimensions 100 --runs 1"
    arguments = parse_arguments(parser, f"{small} --large 1000 --large-strategies OpenAIES --seconds 0.1")
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], int(arguments.measure[1]), float(arguments.measure[2]))))
        return
    if "evaluations" in arguments.tables:
        compare(arguments)
    if "memory" in arguments.tables and not arguments.peers:
        enlarge(arguments)


if __name__ == "__main__":
    main()
