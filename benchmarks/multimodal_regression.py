"""Regression of sine waves and lines: a modulated initialisation beside a single one, by evolution and by the gradient.

Each seed is one search of limited time; its center is evaluated on held-out curves of 5 support and 50 query points,
all with noise of standard deviation 0.3, which alone gives an error of 0.09. The exact posterior knows the families,
their ranges and the noise, and integrates over both on a grid.

    python benchmarks/multimodal_regression.py                    # 3 seeds
    python benchmarks/multimodal_regression.py --strategies gradient --seconds 60 --seeds 1
"""

import argparse
import dataclasses
import functools
import statistics
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import draw_trials
from _measure import Kept, alone, mean_and_error, parse_arguments, print_table
from numpy.typing import NDArray

import evometa as em
from evometa.problems import MultimodalRegression
from evometa.strategies import Gradient, OpenAIES
from evometa.strategy import Strategy

SEED = 2019


def exact(problem: MultimodalRegression, tasks: Any, grid: int) -> NDArray[Any]:
    """Return the squared error ``[T]`` of the mean of the posterior; for families of two numbers."""
    line = (np.arange(grid, dtype=np.float32) + 0.5) / grid
    numbers = np.stack(np.meshgrid(line, line, [0.5]), axis=-1).reshape(-1, 3)
    modes = np.repeat(np.arange(len(problem.modes)), len(numbers))
    numbers = np.tile(numbers, (len(problem.modes), 1))

    def one(task: Any) -> jax.Array:
        values = jax.vmap(problem.at, (0, 0, None))
        errors = jnp.sum((values(modes, numbers, task.support_x) - task.support_y) ** 2, axis=(1, 2))
        likeliest, which = jax.lax.top_k(-errors / (2 * problem.noise**2), min(4096, len(numbers)))
        weights = jax.nn.softmax(likeliest)
        outputs = values(jnp.asarray(modes)[which], jnp.asarray(numbers)[which], task.query_x)
        return jnp.mean((jnp.tensordot(weights, outputs, 1) - task.query_y) ** 2)

    return np.asarray(jax.jit(lambda tasks: jax.lax.map(one, tasks))(tasks))


@functools.partial(jax.jit, static_argnums=0)
def errors(problem: MultimodalRegression, omega: Any, trials: Any) -> jax.Array:
    """Return the mean squared error of one ω on each trial, ``[T]``."""
    return jax.lax.map(
        lambda one: problem.evaluate_task(one[0], omega, one[1]).fitness, (trials.keys, trials.tasks), batch_size=50
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="+", choices=("gradient", "evolution"), default=["gradient", "evolution"])
    parser.add_argument("--only", nargs="+", choices=("modulated", "single"), help="what is learned; both by default")
    parser.add_argument("--keep", type=Path, help="a JSON file for what was measured, to continue later")
    parser.add_argument("--seconds", type=float, default=300, help="of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=4000, help="held-out curves; the exact posterior gets a quarter")
    parser.add_argument("--grid", type=int, default=200, help="values of each number of the integral")
    parser.add_argument("--hidden", type=int, nargs="+", default=[100, 100, 100])
    parser.add_argument("--decay", type=int, default=40_000, help="updates over which the gradient's rate falls")
    smallest = "--strategies gradient --only modulated --seconds 0.1 --seeds 1 --tasks 16 --grid 8 --hidden 4"
    arguments = parse_arguments(parser, smallest)

    problem = MultimodalRegression(hidden=tuple(arguments.hidden))
    strategies: dict[str, Strategy[Any]] = {
        "gradient": Gradient(learning_rate=0.003, decay_generations=arguments.decay, learning_rate_final=0.03),
        "evolution": OpenAIES(128, sigma=0.02, learning_rate=0.01, shaping="pair_difference", tasks_per_pair=True),
    }
    problems = {
        "modulated": problem,
        "single": dataclasses.replace(problem, modulated=False, learning_rate=0.001),
    }
    trials = draw_trials(problem, SEED, arguments.tasks, test=True)
    mode = np.asarray(trials.tasks.mode)
    quarter = jax.tree.map(lambda leaf: leaf[: arguments.tasks // 4], trials.tasks)

    def cells(found: NDArray[Any]) -> list[str]:
        parts = [found, *(found[mode[: len(found)] == number] for number in range(len(problem.modes)))]
        return [mean_and_error(part) for part in parts]

    def search(kind: str, name: str, seed: int) -> dict[str, Any]:
        with alone():
            result = em.Search(problems[name], strategies[kind], seed=seed).run(seconds=arguments.seconds)
        found = np.asarray(errors(problems[name], result.center_omega, trials))
        return {"mean": float(found.mean()), "cells": [f"{result.generations:,}", *cells(found)]}

    kept = Kept(arguments.keep)
    known = kept.get_or("exact posterior", lambda: cells(exact(problem, quarter, arguments.grid)))
    rows = [["exact posterior", "", *known]]
    means: dict[str, list[float]] = {}
    for kind in arguments.strategies:
        for name in arguments.only or problems:
            for seed in range(arguments.seeds):
                label = f"{name}, {kind}, seed {seed}"
                found = kept.get_or(label, functools.partial(search, kind, name, seed))
                means.setdefault(f"{name}, {kind}", []).append(found["mean"])
                rows.append([label, *found["cells"]])
    shown = "; ".join(f"{name} {statistics.mean(each):.3f}" for name, each in means.items())
    print(
        f"\n{arguments.seconds:g} s a search; {arguments.tasks:,} held-out curves; means over seeds: {shown}. "
        "To reach: at most 0.36, and at most 0.35 of the single initialisation\n"
    )
    print_table(["initialisation", "generations", "mean squared error", *problem.modes], rows)


if __name__ == "__main__":
    main()
