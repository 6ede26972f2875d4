"""Learners without gradients, tuned by evolution, beside the same learners with their defaults.

For each seed a search from the defaults; the answer is what the search selects on fresh training tasks. Found and
default settings are then evaluated on the same held-out tasks, and so is the best of as many random draws as the search
had evaluations, selected in the same way. Prints one markdown table: means over held-out tasks for each side, and the
mean gain over seeds with its standard error.

    python benchmarks/gradient_free_learners.py
"""

import argparse
import time
from typing import Any

import jax
import numpy as np
from _engine import draw_trials, on_trial
from _measure import note, parse_arguments, print_table, standard_error

import evometa as em
from evometa.problems import BinaryNetwork, DecisionTree
from evometa.strategies import CMAES, SNES, RandomSearch
from evometa.strategy import Strategy

PROBLEMS: dict[str, tuple[em.InnerTraining, Strategy[Any], int]] = {
    "binary network, digits": (BinaryNetwork(), CMAES(32), 40),
    "decision tree, breast_cancer": (DecisionTree(), SNES(32), 40),
}


def selected(problem: em.InnerTraining, strategy: Strategy[Any], generations: int, seed: int, tasks: int) -> Any:
    """Return the ω that a search selects."""
    search = em.Search(problem, strategy, seed=seed, validate_every=generations, validation_tasks=tasks, progress=False)
    return search.run(generations=generations).selected_omega


def spread(values: list[float]) -> str:
    """Return mean, standard error, and how many of those the mean is."""
    if len(values) == 1:
        return f"{values[0]:+.4f}"
    error = standard_error(values)
    return f"{np.mean(values):+.4f} ± {error:.4f} ({np.mean(values) / error:+.1f})"


def main() -> None:
    """Search, evaluate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=256, help="held-out tasks")
    parser.add_argument("--generations", type=int, default=0, help="0: those of each problem")
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--validation-tasks", type=int, default=256, help="that finalists are chosen by")
    small = "--problems 'decision tree, breast_cancer' --seeds 1 --tasks 2 --generations 1 --validation-tasks 32"
    arguments = parse_arguments(parser, small)
    rows = []
    for name in arguments.problems:
        problem, strategy, generations = PROBLEMS[name]
        generations, space, start = arguments.generations or generations, problem.space, time.process_time()
        evaluate = on_trial(problem)
        run: Any = jax.jit(
            lambda omega, trials, evaluate=evaluate: jax.lax.map(
                lambda trial: evaluate(omega, trial), trials, batch_size=8
            )
        )
        found: dict[str, list[Any]] = {"defaults": [], "found": [], "random search": []}
        for seed in range(arguments.seeds):
            trials = draw_trials(problem, 1000 + seed, arguments.tasks, test=True)
            answers = {
                "defaults": space.decode(space.start(jax.random.key(0))),
                "found": selected(problem, strategy, generations, seed, arguments.validation_tasks),
                "random search": selected(
                    problem, RandomSearch(strategy.population_size), generations, seed, arguments.validation_tasks
                ),
            }
            for side, omega in answers.items():
                each = jax.device_get(run(omega, trials))
                found[side].append((float(each.fitness.mean()), float(each.metrics["accuracy"].mean())))
            rounded = jax.tree.map(lambda leaf: np.round(leaf, 3).tolist(), jax.device_get(answers["found"]))
            note(f"{name}, seed {seed}: { {side: each[-1] for side, each in found.items()} }; {rounded}")
        fitness = {side: np.array(each)[:, 0] for side, each in found.items()}
        accuracy = {side: np.array(each)[:, 1] for side, each in found.items()}
        rows.append(
            [
                name,
                *(f"{fitness[side].mean():.4f} ({100 * accuracy[side].mean():.2f} %)" for side in found),
                spread((fitness["defaults"] - fitness["found"]).tolist()),
                spread((accuracy["found"] - accuracy["defaults"]).tolist()),
                spread((fitness["random search"] - fitness["found"]).tolist()),
                f"{(time.process_time() - start) / arguments.seeds:.0f}",
            ]
        )
    sides = [f"{side}: loss (accuracy)" for side in ("defaults", "found", "random search")]
    gains = ["loss, defaults − found (in standard errors)", "accuracy, found − defaults", "loss, random − found"]
    print_table([f"{arguments.seeds} seeds, {arguments.tasks} held-out tasks", *sides, *gains, "CPU s a seed"], rows)


if __name__ == "__main__":
    main()
