"""Few-shot sinusoid regression: how good an initialisation does evolution find, and how soon.

Each seed is one search of limited time, evaluated at the end of each budget by the strategy's centre on 1000 held-out
tasks of 10 shots and 100 query points, after 1 and after 10 inner steps. The published reference is 0.670 after one
step (Finn et al. 2017, MAML, 10-shot; figure 3 and its text give the curve, the authors' code the number).

    python benchmarks/sinusoid.py                        # both variants, 3 seeds
    python benchmarks/sinusoid.py --seconds 60 --seeds 1 # a quick look
"""

import argparse
import statistics
from typing import Any

import jax
import jax.numpy as jnp
from _engine import draw_trials
from _measure import alone, parse_arguments, print_table

import evometa as em
from evometa.problems import Sinusoid
from evometa.strategies import OpenAIES

TASKS = 1000
STEPS = (1, 10)


def held_out_errors(problem: Sinusoid, omega: Any, tasks: int = TASKS) -> tuple[float, ...]:
    """Return the mean squared error over held-out tasks after each number of ``STEPS``."""
    trials = draw_trials(problem, 2017, tasks, test=True)

    @jax.jit
    def curves(omega: Any) -> jax.Array:
        one = jax.vmap(lambda key, task: em.learning_curve(problem, key, omega, task, STEPS)[0])
        return jnp.mean(one(trials.keys, trials.tasks), axis=0)

    return tuple(float(error) for error in curves(omega))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, nargs="+", default=[120.0, 300.0], help="budgets of one search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=TASKS, help="held-out tasks")
    parser.add_argument("--population", type=int, default=512)
    parser.add_argument("--only", choices=("weights", "rates"), help="what is learned; both by default")
    arguments = parse_arguments(parser, "--seconds 0.2 --seeds 1 --tasks 16 --population 16 --only weights")
    variants = {}
    if arguments.only != "rates":
        variants["initial weights"] = Sinusoid(num_tasks=4)
    if arguments.only != "weights":
        variants["initial weights and step sizes"] = Sinusoid(num_tasks=4, learn_rates=True)
    strategy = OpenAIES(arguments.population, sigma=0.03, shaping="pair_difference", tasks_per_pair=True)
    rows = []
    with alone():
        for name, problem in variants.items():
            found: dict[float, list[tuple[float, ...]]] = {seconds: [] for seconds in arguments.seconds}
            generations: dict[float, list[int]] = {seconds: [] for seconds in arguments.seconds}
            for seed in range(arguments.seeds):
                search = em.Search(problem, strategy, seed=seed)
                for seconds in arguments.seconds:
                    result = search.run(seconds=seconds)
                    found[seconds].append(held_out_errors(problem, result.center_omega, arguments.tasks))
                    generations[seconds].append(result.generations)
            for seconds in arguments.seconds:
                columns = zip(*found[seconds], strict=True)
                cells = [f"{statistics.mean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in columns]
                rows.append([name, f"{seconds:g}", f"{statistics.mean(generations[seconds]):,.0f}", *cells])
    print_table(["what is learned", "seconds", "generations", *(f"MSE after {s}" for s in STEPS)], rows)


if __name__ == "__main__":
    main()
