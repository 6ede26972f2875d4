"""CMA-ME beside pyribs on its own benchmark: quality-diversity score and speed on the sphere with linear projections.

20 dimensions, a grid of 100 × 100, 15 improvement emitters of 36 candidates, first step size 0.5, the same evaluations
on both sides; the score is the sum over occupied cells of the fitness, 0 to 100 each. Speed in CPU seconds, compilation
left out.

    python benchmarks/diversity.py
    python benchmarks/diversity.py --generations 4500 --seeds 5  # pyribs' own number of generations
"""

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from _measure import alone, parse_arguments, peer, print_table

import evometa as em
from evometa.problems import LinearProjection
from evometa.strategies import CMAME, MAPElites

PEER = "pyribs CMA-ME"
DIMENSION, CELLS, EMITTERS, BATCH, SIGMA = 20, (100, 100), 15, 36, 0.5


def ours(strategy: Any, seed: int, generations: int) -> tuple[float, float, float]:
    """Return score, share of cells that are occupied, and generations per CPU second."""
    search = em.Search(
        LinearProjection(DIMENSION), strategy, seed=seed, progress=False, devices=1, validation_share=0.0
    )
    search.run(generations=10)  # compiles
    start = time.process_time()
    kept = search.run(generations=generations).archive
    spent = time.process_time() - start
    return float(np.sum(kept.fitness)), len(kept.fitness) / np.prod(CELLS), (generations - 10) / spent


def pyribs(ribs: Any, seed: int, generations: int) -> tuple[float, float, float]:
    """Return the same of pyribs."""
    archive = ribs.archives.GridArchive(solution_dim=DIMENSION, dims=CELLS, ranges=[(0.0, 1.0), (0.0, 1.0)], seed=seed)
    emitters = [
        ribs.emitters.EvolutionStrategyEmitter(
            archive, x0=np.zeros(DIMENSION), sigma0=SIGMA, ranker="2imp", batch_size=BATCH, seed=seed * EMITTERS + i
        )
        for i in range(EMITTERS)
    ]
    scheduler, problem = ribs.schedulers.Scheduler(archive, emitters), LinearProjection(DIMENSION)
    evaluate = jax.jit(jax.vmap(lambda omega: problem.evaluate(jax.random.key(0), omega)))
    evaluate(np.zeros((EMITTERS * BATCH, DIMENSION), np.float32))
    start = time.process_time()
    for _ in range(generations):
        found = evaluate(scheduler.ask().astype(np.float32))
        scheduler.tell(np.asarray(found.fitness), np.asarray(found.measures))
    spent = time.process_time() - start
    stats = archive.stats
    return float(stats.qd_score), float(stats.coverage), generations / spent


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parse_arguments(parser, "--generations 12 --seeds 1")
    ribs = peer("ribs.schedulers", "ribs") and importlib.import_module("ribs")
    size = EMITTERS * BATCH
    sides: dict[str, Callable[[int], tuple[float, float, float]]] = {
        "CMAME": lambda seed: ours(CMAME(size, cells=CELLS, sigma=SIGMA), seed, arguments.generations),
        PEER: lambda seed: pyribs(ribs, seed, arguments.generations),
        "MAPElites": lambda seed: ours(MAPElites(size, cells=CELLS), seed, arguments.generations),
    }
    if ribs is None:
        del sides[PEER]
    with alone():
        found = {name: np.array([side(seed) for seed in range(arguments.seeds)]) for name, side in sides.items()}
    theirs = np.mean(found[PEER], axis=0) if PEER in found else None
    rows = []
    for name, numbers in found.items():
        score, coverage, speed = np.mean(numbers, axis=0)
        spread = f"{score:,.0f} ({numbers[:, 0].min():,.0f} to {numbers[:, 0].max():,.0f})"
        of_theirs = ("", "") if theirs is None else (f"{score / theirs[0]:.3f}", f"{speed / theirs[2]:.1f}")
        rows.append([name, spread, of_theirs[0], f"{coverage:.1%}", f"{speed:.0f}", of_theirs[1]])
    print_table(["side", "QD score", "of pyribs'", "cells", "generations/s", "times pyribs'"], rows)


if __name__ == "__main__":
    main()
