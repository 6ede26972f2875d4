"""The contract of every strategy at the edges of its sizes: populations of 2 to 10,000, 1 to 1000 dimensions.

Each row is a strategy, each column a size, each cell what ``evometa.testing.check_strategy`` says and its seconds. The
tests run the contract at everyday sizes.

    python benchmarks/contract_sizes.py
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from _measure import note, parse_arguments, print_table

from evometa.errors import ConfigurationError, EvometaError
from evometa.spaces import Box, Categorical
from evometa.strategies import (
    BIPOPCMAES,
    CMAES,
    CRFMNES,
    IPOPCMAES,
    LMMAES,
    NSGA2,
    PBIL,
    PGPE,
    SNES,
    XNES,
    AgedEvolution,
    CMAwM,
    GeneticAlgorithm,
    OpenAIES,
    RandomSearch,
    Reinforce,
    SepCMAES,
)
from evometa.strategy import Strategy
from evometa.testing import check_strategy

SIZES = ((2, 4), (3, 4), (4, 1), (10_000, 4), (10_001, 2), (8, 1000))
"""Candidates and dimensions."""

STRATEGIES: dict[str, Callable[[int], Strategy[Any]]] = {
    cls.__name__: cls
    for cls in (
        CMAES,
        CMAwM,
        SepCMAES,
        LMMAES,
        CRFMNES,
        XNES,
        SNES,
        PGPE,
        OpenAIES,
        NSGA2,
        RandomSearch,
    )
} | {
    "GeneticAlgorithm": lambda p: GeneticAlgorithm(p, elites=1),
    "IPOPCMAES": lambda p: IPOPCMAES(p, largest=2),
    "BIPOPCMAES": lambda p: BIPOPCMAES(p, largest=2),
    "AgedEvolution": lambda p: AgedEvolution(p, living=2 * p, tournament_size=2),
    "Reinforce": lambda p: Reinforce(p, learning_rate=0.2),
    "PBIL": lambda p: PBIL(p, learning_rate=0.3),
}
DISCRETE = ("AgedEvolution", "Reinforce", "PBIL")
SLOW = ("SNES", "XNES")
"""Their learning rates assume that eight candidates say little about a thousand coordinates."""


def verdict(name: str, population: int, dimension: int) -> str:
    """Check one strategy at one size."""
    # So many choices that no first generation holds the optimum.
    space = Categorical(10, (max(dimension, 40),)) if name in DISCRETE else Box((dimension,), start=np.zeros(dimension))
    began = time.perf_counter()
    try:
        # A thousand coordinates, each a unit away from its goal, take longer than four; many candidates get there soon.
        many = 3000 if name in SLOW else 500
        generations = many if dimension >= 100 else 60 if population < 100 else 15
        check_strategy(STRATEGIES[name](population), space, generations=generations)
    except ConfigurationError as error:
        return f"refused: {str(error).partition(',')[0][:90]}"
    except EvometaError as error:
        words = str(error).partition(";")[0]
        return f"{type(error).__name__}: {words[:90]}"
    return f"kept ({time.perf_counter() - began:.0f} s)"


def main() -> None:
    """Print one table for each precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--sizes", nargs="+", type=int, choices=range(len(SIZES)), default=list(range(len(SIZES))))
    parser.add_argument("--precisions", nargs="+", default=["float32", "float64"])
    arguments = parse_arguments(parser, "--strategies RandomSearch --sizes 0 --precisions float32")
    names, sizes = arguments.strategies, [SIZES[i] for i in arguments.sizes]
    for precision in arguments.precisions:
        jax.config.update("jax_enable_x64", precision == "float64")
        print(f"\n{precision}\n")
        rows = []
        for name in names:
            rows.append([name, *(verdict(name, *size) for size in sizes)])
            note(rows[-1])
            jax.clear_caches()
        print_table(["strategy", *(f"P = {p:,}, D = {d}" for p, d in sizes)], rows)


if __name__ == "__main__":
    main()
