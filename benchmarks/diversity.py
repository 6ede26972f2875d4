"""CMA-ME beside pyribs on its own benchmark: quality-diversity score and speed on the sphere with linear projections.

20 dimensions, a grid of 100 × 100, 15 improvement emitters of 36 candidates, first step size 0.5, the same evaluations
on both sides; the score is the sum over occupied cells of the fitness, 0 to 100 each. Speed in CPU seconds, compilation
left out.

    python benchmarks/diversity.py
    python benchmarks/diversity.py --generations 4500 --seeds 5  # pyribs' own number of generations
"""

import argparse
import time
from typing import Any

import jax
import numpy as np
from _measure import alone, print_table

import evometa as em
from evometa.problems import LinearProjection
from evometa.strategies import CMAME, MAPElites

try:
    from ribs.archives import GridArchive
    from ribs.emitters import EvolutionStrategyEmitter
    from ribs.schedulers import Scheduler
except ImportError as missing:
    raise SystemExit(f"{missing}; this comparison needs: pip install ribs") from missing

DIMENSION, CELLS, EMITTERS, BATCH, SIGMA = 20, (100, 100), 15, 36, 0.5


def ours(strategy: Any, seed: int, generations: int) -> tuple[float, float, float]:
    """Return score, share of cells that are occupied, and generations per CPU second."""
    search = em.Search(
        LinearProjection(DIMENSION), strategy, seed=seed, progress=False, devices=1, validate_every=10**6
    )
    search.run(generations=10)  # compiles
    start = time.process_time()
    kept = search.run(generations=generations).archive
    spent = time.process_time() - start
    return float(np.sum(kept.fitness)), len(kept.fitness) / np.prod(CELLS), (generations - 10) / spent


def pyribs(seed: int, generations: int) -> tuple[float, float, float]:
    """Return the same of pyribs."""
    archive = GridArchive(solution_dim=DIMENSION, dims=CELLS, ranges=[(0.0, 1.0), (0.0, 1.0)], seed=seed)
    emitters = [
        EvolutionStrategyEmitter(
            archive, x0=np.zeros(DIMENSION), sigma0=SIGMA, ranker="2imp", batch_size=BATCH, seed=seed * EMITTERS + i
        )
        for i in range(EMITTERS)
    ]
    scheduler, problem = Scheduler(archive, emitters), LinearProjection(DIMENSION)
    judge = jax.jit(jax.vmap(lambda omega: problem.evaluate(jax.random.key(0), omega)))
    judge(np.zeros((EMITTERS * BATCH, DIMENSION), np.float32))
    start = time.process_time()
    for _ in range(generations):
        judged = judge(scheduler.ask().astype(np.float32))
        scheduler.tell(np.asarray(judged.fitness), np.asarray(judged.measures))
    spent = time.process_time() - start
    stats = archive.stats
    return float(stats.qd_score), float(stats.coverage), generations / spent


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    size = EMITTERS * BATCH
    sides = {
        "CMAME": lambda seed: ours(CMAME(size, cells=CELLS, sigma=SIGMA), seed, arguments.generations),
        "pyribs CMA-ME": lambda seed: pyribs(seed, arguments.generations),
        "MAPElites": lambda seed: ours(MAPElites(size, cells=CELLS), seed, arguments.generations),
    }
    with alone():
        found = {name: np.array([side(seed) for seed in range(arguments.seeds)]) for name, side in sides.items()}
    peer = np.mean(found["pyribs CMA-ME"], axis=0)
    rows = []
    for name, numbers in found.items():
        score, coverage, speed = np.mean(numbers, axis=0)
        spread = f"{score:,.0f} ({numbers[:, 0].min():,.0f} to {numbers[:, 0].max():,.0f})"
        rows.append(
            [name, spread, f"{score / peer[0]:.3f}", f"{coverage:.1%}", f"{speed:.0f}", f"{speed / peer[2]:.1f}"]
        )
    print_table(["side", "QD score", "of pyribs'", "cells", "generations/s", "times pyribs'"], rows)


if __name__ == "__main__":
    main()
