"""Losses found by genetic programming, beside cross-entropy with its learning rate tuned.

For each seed a search of ``LearnedLoss`` on digits with 40 % of the training labels wrong, and one with clean labels;
the answer is what the search selects on fresh training tasks. Then both losses are judged on the same held-out tasks:
the test part of digits, the same with a wider network, and two other data sets (with the same share of wrong labels).
Everywhere each side has its learning rate chosen from one grid, by training tasks of that very problem and network.

    python benchmarks/learned_loss.py
    python benchmarks/learned_loss.py --seeds 1 --generations 10  # a quick look
"""

import argparse
import dataclasses
import functools
import sys
import time
from typing import Any

import jax
import numpy as np
from _measure import print_table

import evometa as em
from evometa.evaluation import TaskJudge
from evometa.expressions import parse, text
from evometa.problems import LearnedLoss
from evometa.problems.learned_loss import CROSS_ENTROPY
from evometa.strategies import GeneticProgramming

# The learning rate of each problem times one of these.
RATES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0, 10.0, 20.0)
STRATEGY = GeneticProgramming(128)


@functools.cache
def judged(problem: LearnedLoss, test: bool) -> Any:
    """Return the compiled accuracy of a tree on a task, which is NaN where training failed."""
    judge = TaskJudge(problem)
    return jax.jit(lambda tree, task: judge.on_trial(problem.space.decode(tree), task, test=test).metrics["accuracy"])


def accuracy(problem: LearnedLoss, tree: Any, rate: float, seed: int, tasks: int, *, test: bool) -> np.ndarray:
    """Return the accuracy after training with a loss, for each of some tasks ``[tasks]``; 0 where training failed.

    A learning rate times as large is a loss times as large, so that one program serves all rates.
    """
    trials = TaskJudge(problem).trials(jax.random.key(seed), tasks, test=test)
    found = [
        judged(problem, test)(scaled(problem, tree, rate), jax.tree.map(lambda leaf, i=i: leaf[i], trials))
        for i in range(tasks)
    ]
    return np.nan_to_num(np.array(found))


def scaled(problem: LearnedLoss, tree: Any, factor: float) -> Any:
    """Return ``mul(factor, tree)``, as a tree with two more nodes."""
    primitives = problem.space.primitives
    return parse(primitives, f"mul({factor}, {text(primitives, tree)})", problem.max_size + 2)


def tuned(problem: LearnedLoss, tree: Any, tasks: int) -> tuple[float, np.ndarray]:
    """Return the learning rate that is best on 8 training tasks, and the accuracy on held-out tasks."""
    rate = max(RATES, key=lambda rate: accuracy(problem, tree, rate, 1, 8, test=False).mean())
    return rate, accuracy(problem, tree, rate, 2, tasks, test=True)


def found(problem: LearnedLoss, seed: int, generations: int) -> tuple[Any, float]:
    """Return the tree that a search selects, and its seconds."""
    search = em.Search(problem, STRATEGY, seed=seed, validate_every=generations, validation_tasks=8, progress=False)
    start = time.perf_counter()
    result = search.run(generations=generations)
    return result.selected_omega.tree, time.perf_counter() - start


def shown(results: dict[str, tuple[float, np.ndarray]]) -> list[str]:
    """Return accuracies in per cent, with the learning rate of each."""
    return [f"{100 * each.mean():.2f} (rate {rate})" for rate, each in results.values()]


def spread(values: list[float]) -> str:
    """Return mean and standard error."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return f"{np.mean(values):+.2f} ± {error:.2f}"


def main() -> None:
    """Search, judge and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=60)
    parser.add_argument("--tasks", type=int, default=32, help="held-out tasks")
    parser.add_argument("--steps", type=int, default=LearnedLoss.inner_steps)
    arguments = parser.parse_args()
    for noise in (0.4, 0.0):
        problem = LearnedLoss(label_noise=noise, inner_steps=arguments.steps)
        places = {
            "digits": problem,
            "digits, 128 hidden": dataclasses.replace(problem, hidden=(128,)),
            "wine": dataclasses.replace(problem, data_set="wine"),
            "breast cancer": dataclasses.replace(problem, data_set="breast_cancer"),
        }
        usual = parse(problem.space.primitives, CROSS_ENTROPY, problem.max_size)
        base = {name: tuned(there, usual, arguments.tasks) for name, there in places.items()}
        rows = [["cross-entropy", *shown(base), ""]]
        gains: dict[str, list[float]] = {name: [] for name in places}
        for seed in range(arguments.seeds):
            tree, seconds = found(problem, seed, arguments.generations)
            written = text(problem.space.primitives, tree)
            mine = {name: tuned(there, tree, arguments.tasks) for name, there in places.items()}
            for name, (_, a) in mine.items():
                gains[name].append(100 * (a.mean() - base[name][1].mean()))
            rows.append(
                [f"`{written}`", *(f"{100 * a.mean():.2f} (rate {r})" for r, a in mine.values()), f"{seconds:.0f}"]
            )
            print(f"noise {noise}, seed {seed}: {written} {gains}", file=sys.stderr, flush=True)
        rows.append(["mean gain ± standard error", *(spread(each) for each in gains.values()), ""])
        print(f"\n{100 * noise:.0f} % of the labels wrong; accuracy on {arguments.tasks} held-out tasks in %\n")
        print_table(["loss", *places, "seconds of search"], rows)


if __name__ == "__main__":
    main()
