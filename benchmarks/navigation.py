"""Initial weights of a policy that finds a hidden goal within one or two updates: three outer loops side by side.

MAML's point robot (Finn et al. 2017): each seed is one search of limited time; its center plays 20 episodes before and
after each of two policy-gradient updates on the same 40 held-out goals. Evolution sees returns alone; the gradient
passes through the simulator; the policy gradient is MAML's, with Adam, from a network of 16 units. Beside them the same
by evolution for the return before any update (pretraining), random weights, and a robot that knows the goal and walks
straight to it.

ES-MAML's form (Song et al. 2020): a linear policy that learns from 20 queries an update, found by OpenAI-ES.

    python benchmarks/navigation.py                      # both, 3 seeds
    python benchmarks/navigation.py gradient hill-climbing --seconds 60
"""

import argparse
import dataclasses
import functools
import statistics
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from _engine import draw_trials
from _measure import alone, note, parse_arguments, print_table, standard_error
from numpy.typing import NDArray

import evometa as em
from evometa.inner_training import learning_curve
from evometa.problems import Navigation
from evometa.strategies import CMAES, Gradient, OpenAIES
from evometa.strategy import Strategy

TASKS = 40
UPDATES = 2
SIDES = ("cma-es", "gradient", "policy-gradient", "unadapted")
RULES = ("evolution-strategy", "hill-climbing")


@functools.partial(jax.jit, static_argnums=0)
def curves(problem: Navigation, omega: Any, trials: Any) -> jax.Array:
    """Return the return of one ω on each trial before the first and after each update, ``[N, updates + 1]``."""
    after = tuple(range(problem.inner_steps + 1))
    return jax.lax.map(
        lambda one: learning_curve(problem, one[0], omega, one[1], after)[0], (trials.keys, trials.tasks), batch_size=20
    )


def returns(problem: Navigation, omega: Any, updates: int, tasks: int) -> NDArray[Any]:
    """Return the mean return over held-out tasks after 0, 1, ... updates, ``[updates + 1]``."""
    longer = dataclasses.replace(problem, inner_steps=updates, objective=em.Final(), num_tasks=1, through="simulator")
    return np.asarray(curves(longer, omega, draw_trials(longer, 2017, tasks, test=True)).mean(axis=0))


def shown(found: list[NDArray[Any]]) -> list[str]:
    """Return the mean over seeds and its standard error, for each number of updates."""
    table = np.stack(found)
    if len(found) == 1:
        return [f"{value:.1f}" for value in found[0]]
    return [f"{column.mean():.1f} ± {standard_error(column):.1f}" for column in table.T]


def oracle(problem: Navigation, tasks: int) -> float:
    """Return the mean return of a robot that walks straight to the held-out goals."""
    longer = dataclasses.replace(problem, inner_steps=UPDATES)
    goals = np.asarray(draw_trials(longer, 2017, tasks, test=True).tasks.start.goal)
    environment, left, total = problem.environment, goals.copy(), 0.0
    for _ in range(environment.max_steps):
        far = (np.abs(left) >= environment.tolerance).any(axis=1)
        left = left - np.clip(left, -environment.speed, environment.speed) * far[:, None]
        total -= np.where(far, np.linalg.norm(left, axis=1), 0.0).mean()
    return total


def measure(
    problem: Navigation, strategy: Strategy[Any], seconds: float, seeds: range, updates: int, tasks: int
) -> Any:
    """Return the returns of each seed, and the mean number of generations."""
    found, generations = [], []
    for seed in seeds:
        with alone():
            result = em.Search(problem, strategy, seed=seed).run(seconds=seconds)
        found.append(returns(problem, result.center_omega, updates, tasks))
        generations.append(result.generations)
        note(f"seed {seed}, {result.generations:,} generations: {np.round(found[-1], 2).tolist()}")
    return found, statistics.mean(generations)


def random_weights(problem: Navigation, seeds: range, updates: int, tasks: int) -> list[NDArray[Any]]:
    """Return the returns of what a search starts at, random weights, of each seed."""
    starts = [problem.space.decode(problem.space.start(jax.random.key(seed))) for seed in seeds]
    return [returns(problem, omega, updates, tasks) for omega in starts]


def maml(sides: Sequence[str], problem: Navigation, seconds: float | None, seeds: range, tasks: int, size: int) -> None:
    """Print the returns of MAML's robot."""
    by_policy = dataclasses.replace(problem, through="policy", hidden=(16,), learning_rate=0.3)
    unadapted = dataclasses.replace(problem, objective=em.At((0,)))
    evolution = CMAES(population_size=size)
    gradient = Gradient(learning_rate=0.03, decay_generations=600, learning_rate_final=0.1)
    slower = dataclasses.replace(gradient, learning_rate=0.01)
    many = {"num_tasks": 20}
    settings: dict[str, tuple[str, Navigation, Strategy[Any], float]] = {
        "cma-es": ("CMA-ES", problem, evolution, 200),
        "gradient": ("gradient through the simulator", dataclasses.replace(problem, **many), gradient, 60),
        "policy-gradient": ("policy gradient (MAML with Adam)", dataclasses.replace(by_policy, **many), slower, 60),
        "unadapted": ("CMA-ES, return before updates", unadapted, evolution, 60),
    }
    rows = []
    for side in sides:
        name, one, strategy, its_seconds = settings[side]
        limit = seconds or its_seconds
        found, generations = measure(one, strategy, limit, seeds, UPDATES, tasks)
        rows.append([name, f"{limit:g}", f"{generations:,.0f}", *shown(found)])
    rows.append(["random weights", "", "", *shown(random_weights(problem, seeds, UPDATES, tasks))])
    rows.append(["knows the goal", "", "", f"{oracle(problem, tasks):.1f}", *[""] * UPDATES])
    print(
        f"\nMAML's point robot, {tasks} held-out goals; mean return of {problem.episodes} episodes ± standard error "
        f"over {len(seeds)} seeds. To reach: after 1 update > -11.7, after 2 >= -3.3\n"
    )
    print_table(["outer loop", "seconds", "generations", *(f"after {n}" for n in range(UPDATES + 1))], rows)


def es_maml(rules: Sequence[str], problem: Navigation, seconds: float, seeds: range, tasks: int, size: int) -> None:
    """Print the returns of ES-MAML's robot."""
    rows = []
    for rule in rules:
        one = dataclasses.replace(problem, adaptation=rule, inner_steps=1)
        found, generations = measure(one, OpenAIES(size, sigma=0.1, learning_rate=0.05), seconds, seeds, 2, tasks)
        rows.append([f"{rule}, found", f"{generations:,.0f}", *shown(found)])
        rows.append([f"{rule}, random weights", "", *shown(random_weights(one, seeds, 2, tasks))])
    print(f"\nES-MAML's form, {seconds:g} s a search, {tasks} held-out goals; return (minus squared distances)\n")
    print_table(["adaptation", "generations", "after 0", "after 1", "after 2"], rows)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", choices=[*SIDES, *RULES, []], help="some of them; all by default")
    parser.add_argument("--seconds", type=float, help="of one search; by default as in the tables")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--tasks", type=int, default=TASKS, help="held-out goals")
    parser.add_argument("--population", type=int, help="of evolution; 32, and 64 in ES-MAML's form")
    parser.add_argument("--hidden", type=int, nargs="*", default=[], help="units of each layer of the policy")
    parser.add_argument("--horizon", type=int, default=100)
    arguments = parse_arguments(parser, "hill-climbing --seconds 0.1 --seeds 1 --tasks 20 --population 4 --horizon 5")
    problem = Navigation(horizon=arguments.horizon, hidden=tuple(arguments.hidden))
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    which = arguments.which or [*SIDES, *RULES]
    if sides := [side for side in SIDES if side in which]:
        maml(sides, problem, arguments.seconds, seeds, arguments.tasks, arguments.population or 32)
    if rules := [rule for rule in RULES if rule in which]:
        es_maml(rules, problem, arguments.seconds or 30, seeds, arguments.tasks, arguments.population or 64)


if __name__ == "__main__":
    main()
