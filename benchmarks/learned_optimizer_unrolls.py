"""Training an optimizer by whole and by persistent unrolls: inner steps to the same loss.

A per-parameter MLP optimizer learns to train an MLP on scikit-learn's digits for 200 steps (``LearnedOptimizer``, its
fitness the mean validation loss over the 200). FullES evaluates 8 antithetic pairs by whole trainings; TruncatedES, PES
and NRES evaluate theirs by windows of 10 steps. Each has its learning rate and σ chosen from the same grid by the
held-out loss at the end of one search, with a seed that is not among those reported. Then, for each seed, how many
inner steps until the held-out loss of the search's center (8 tasks on the test part, the same all along; validations
are not counted) is what FullES ends with?

    python benchmarks/learned_optimizer_unrolls.py
    python benchmarks/learned_optimizer_unrolls.py --keep curves.json  # continues where it was interrupted
"""

import argparse
import dataclasses
import functools
import itertools
import math
import pathlib
from typing import Any

import numpy as np
from _measure import Kept, parse_arguments, print_table

import evometa as em
from evometa.problems import LearnedOptimizer
from evometa.strategies import NRES, PES, FullES, TruncatedES

STRATEGIES = (FullES, TruncatedES, PES, NRES)
LEARNING_RATES = (0.003, 0.01, 0.03)
SIGMAS = (0.01, 0.03)
POPULATION, WINDOW, VALIDATIONS, TUNING_SEED = 16, 10, 32, 1000
PROBLEM = LearnedOptimizer(inner_steps=200, batch_size=64, hidden=(16,), optimizer_hidden=(16, 16))


def curve(
    problem: LearnedOptimizer, cls: Any, learning_rate: float, sigma: float, seed: int, budget: int
) -> list[list[float]]:
    """Search, and return pairs of inner steps and held-out loss."""
    windows = {} if cls is FullES else {"unroll_length": WINDOW}
    strategy = cls(POPULATION, sigma=sigma, learning_rate=learning_rate, **windows)
    generations = budget // (POPULATION * (WINDOW if windows else problem.inner_steps))
    search = em.Search(
        problem,
        strategy,
        seed=seed,
        validate_every=max(1, generations // VALIDATIONS),
        validation_tasks=8,
        finalists=0,
        population_chunk=1,
        progress=False,
    )
    search.run(generations=generations)
    columns = search.history.columns
    known = ~np.isnan(columns["held_out"])
    return np.stack([columns["inner_steps"][known], columns["held_out"][known]], axis=1).tolist()


class Curves:
    """Curves of searches, each made once and kept in a file where there is one."""

    def __init__(self, problem: LearnedOptimizer, budget: int, path: pathlib.Path | None) -> None:
        self._problem, self._budget, self._kept = problem, budget, Kept(path)

    def __call__(self, cls: Any, learning_rate: float, sigma: float, seed: int) -> np.ndarray:
        """Return ``[V, 2]``, inner steps and held-out loss."""
        name = f"{cls.__name__} learning_rate={learning_rate} sigma={sigma} seed={seed} budget={self._budget}"
        if self._problem != PROBLEM:
            name += f" steps={self._problem.inner_steps}"
        search = functools.partial(curve, self._problem, cls, learning_rate, sigma, seed, self._budget)
        return np.array(self._kept.get_or(name, search))


def reached(curve: np.ndarray, loss: float) -> float:
    """Return the inner steps after which a curve is first at a loss or below, infinity if never."""
    there = curve[curve[:, 1] <= loss, 0]
    return float(there[0]) if len(there) else math.inf


def main() -> None:
    """Tune, measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=640_000, help="inner steps of each search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=pathlib.Path, help="a file for the curves")
    parser.add_argument("--strategies", type=int, nargs="+", default=[1, 2, 3], help="beside FullES, by number")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=LEARNING_RATES)
    parser.add_argument("--sigmas", type=float, nargs="+", default=SIGMAS)
    parser.add_argument("--tuning-seed", type=int, default=TUNING_SEED)
    parser.add_argument("--steps", type=int, default=PROBLEM.inner_steps, help="of each training")
    small = "--budget 320 --steps 20 --seeds 1 --tuning-seed 0 --strategies 2 --learning-rates 0.01 --sigmas 0.03"
    arguments = parse_arguments(parser, small)
    problem = dataclasses.replace(PROBLEM, inner_steps=arguments.steps)
    curves = Curves(problem, arguments.budget, arguments.keep)

    grid = list(itertools.product(arguments.learning_rates, arguments.sigmas))
    tuned, rows = {}, []
    strategies = [FullES, *(STRATEGIES[number] for number in arguments.strategies)]
    for cls in strategies:
        ends = [float(curves(cls, *settings, arguments.tuning_seed)[-1, 1]) for settings in grid]
        tuned[cls] = grid[int(np.nanargmin(ends))]
        rows.append([cls.__name__, *(f"{end:.3f}" for end in ends)])
    print(f"held-out loss after {arguments.budget:,} inner steps, tuning seed {arguments.tuning_seed}\n")
    print_table(["strategy", *(f"rate {rate}, σ {sigma}" for rate, sigma in grid)], rows)

    found = {cls: [curves(cls, *tuned[cls], seed) for seed in range(arguments.seeds)] for cls in strategies}
    rows = []
    for cls, each in found.items():
        steps, ratios = [], []
        for mine, full in zip(each, found[FullES], strict=True):
            target = full[-1, 1]
            steps.append(reached(mine, target))
            ratios.append(reached(full, target) / steps[-1])
        shown = (f"{n / 1000:,.0f}k" if n < math.inf else "never" for n in steps)
        gains = (f"{ratio:.1f}" if ratio else "-" for ratio in ratios)
        ends = (f"{one[-1, 1]:.3f}" for one in each)
        rate, sigma = tuned[cls]
        rows.append([cls.__name__, rate, sigma, ", ".join(ends), ", ".join(shown), ", ".join(gains)])
    print("\none number for each seed\n")
    header = ["strategy", "learning rate", "σ", "loss at the end", "inner steps to FullES's last loss", "times fewer"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
