"""Learned optimizers beside SGD, momentum and Adam, each tuned over 15 learning rates wherever it is evaluated.

``LearnedOptimizer`` learns to train an MLP on scikit-learn's digits, and to minimise random quadratics (Andrychowicz et
al. 2016), by whole unrolls (FullES). It is then evaluated by the last loss on held-out tasks: as trained, on a width
and on a horizon that it never trained on. The other optimizers have their learning rates chosen anew in each of these
places, by the last loss on training tasks (on digits, the same training images and the validation part).

    python benchmarks/learned_optimizer.py                  # both, 3 seeds
    python benchmarks/learned_optimizer.py --bases quadratics --seeds 1 --generations 100
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from _engine import draw_trials
from _measure import note, parse_arguments, print_table, standard_error

import evometa as em
from evometa.inner_training import begin, learning_curve
from evometa.plots import over_steps
from evometa.problems import LearnedOptimizer
from evometa.strategies import FullES


class Setting(NamedTuple):
    """A problem, how it is searched, and how it is evaluated."""

    problem: LearnedOptimizer
    strategy: FullES
    generations: int
    tuning_tasks: int
    test_tasks: int
    batch: int
    """Trainings at a time: networks are fastest alone, quadratics many at once."""


SETTINGS = {
    "digits": Setting(
        LearnedOptimizer(
            inner_steps=200,
            time_stops=200,
            objective=em.At((50, 100, 150, 200)),
            batch_size=64,
            hidden=(16,),
            optimizer_hidden=(16, 16),
        ),
        FullES(16, sigma=0.03, learning_rate=0.03, learning_rate_final=0.1),
        800,
        16,
        64,
        1,
    ),
    "quadratics": Setting(
        LearnedOptimizer(
            num_tasks=4,
            inner_steps=250,
            objective=em.At((50, 100, 150, 200, 250)),
            base="quadratics",
            optimizer_hidden=(16, 16),
            step_scale=0.1,
            time_stops=250,
        ),
        FullES(32, sigma=0.03, learning_rate=0.03, learning_rate_final=0.1),
        1200,
        256,
        512,
        64,
    ),
}
RATES = np.geomspace(1e-3, 1, 15)
OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "SGD": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, 0.9),
    "Adam": optax.adam,
}
POINTS = 10


def learn(setting: Setting, seed: int, generations: int) -> tuple[Any, float]:
    """Return ω at the center of a search, and the seconds of the process that it took."""
    strategy = dataclasses.replace(setting.strategy, decay_generations=generations)
    settings: dict[str, Any] = {"validation_share": 0.0, "progress": False}
    begun = time.process_time()
    result = em.Search(setting.problem, strategy, seed=seed, **settings).run(generations=generations)
    return result.center_omega, time.process_time() - begun


def moments(problem: LearnedOptimizer) -> tuple[int, ...]:
    """Return the inner steps after which losses are looked at."""
    return tuple(range(problem.inner_steps // POINTS, problem.inner_steps + 1, problem.inner_steps // POINTS))


def usual(problem: LearnedOptimizer, optimizer: optax.GradientTransformation, key: Any, task: Any) -> jax.Array:
    """Return the losses ``[POINTS]`` of a training by an optimizer of optax, from the same start and minibatches."""
    learner = begin(problem, key, None, task)

    def step(carry: Any, number: jax.Array) -> tuple[Any, None]:
        weights, state = carry

        def error(weights: jax.Array) -> jax.Array:
            return problem.trained.error(problem._tensors(weights), task, learner.order, number)

        updates, state = optimizer.update(jax.grad(error)(weights), state, weights)
        return (optax.apply_updates(weights, updates), state), None

    def part(carry: Any, numbers: jax.Array) -> Any:
        carry, _ = jax.lax.scan(step, carry, numbers)
        return carry, problem.loss(key, None, task, learner._replace(weights=carry[0]))

    numbers = jnp.arange(problem.inner_steps).reshape(POINTS, -1)
    _, losses = jax.lax.scan(part, (learner.weights, optimizer.init(learner.weights)), numbers)
    return losses


def evaluator(
    setting: Setting, problem: LearnedOptimizer, by: Callable[..., jax.Array], *, test: bool
) -> Callable[..., np.ndarray]:
    """Return a compiled function: from what ``by`` takes besides key and task to losses ``[tasks, POINTS]``."""
    tasks = setting.test_tasks if test else setting.tuning_tasks
    trials = draw_trials(problem, 2026, tasks, test=test)

    @jax.jit
    def run(what: Any) -> jax.Array:
        def one(trial: Any) -> jax.Array:
            return by(what, trial.keys, trial.tasks)

        return jax.lax.map(one, trials, batch_size=setting.batch if setting.batch > 1 else None)

    return lambda what: np.asarray(run(what))


def tuned(problem: LearnedOptimizer, setting: Setting, name: str, rates: int) -> tuple[float, np.ndarray]:
    """Return the best learning rate of an optimizer, and its losses on held-out tasks."""

    def by(rate: Any, key: Any, task: Any) -> jax.Array:
        return usual(problem, OPTIMIZERS[name](rate), key, task)

    training = evaluator(setting, problem, by, test=False)
    ends = [training(jnp.float32(rate))[:, -1].mean() for rate in RATES[:rates]]
    best = float(RATES[int(np.argmin(ends))])
    return best, evaluator(setting, problem, by, test=True)(jnp.float32(best))


def shown(losses: np.ndarray) -> str:
    """Return the mean of last losses with its standard error over tasks."""
    return f"{losses.mean():.4f} ± {standard_error(losses):.4f}"


def compare(name: str, arguments: argparse.Namespace) -> None:
    """Learn, evaluate, and print the table of one base task."""
    setting, picture = SETTINGS[name], arguments.picture
    if arguments.tasks:
        setting = setting._replace(tuning_tasks=arguments.tasks, test_tasks=arguments.tasks)
    if arguments.steps:
        short = dataclasses.replace(setting.problem, inner_steps=arguments.steps, objective=em.Final())
        setting = setting._replace(problem=short)
    found, spent = [], []
    for seed in range(arguments.seeds):
        omega, seconds = learn(setting, seed, arguments.generations or setting.generations)
        found.append(omega)
        spent.append(seconds)
        note(f"{name}, seed {seed} learned in {seconds:.0f} s")
    rows = []
    everywhere = {"as trained": setting.problem} | setting.problem.shifted()
    for where, problem in list(everywhere.items())[: arguments.places]:
        curves: dict[str, np.ndarray] = {}
        cells = []
        for optimizer in arguments.optimizers:
            rate, curves[optimizer] = tuned(problem, setting, optimizer, arguments.rates)
            cells.append(f"{shown(curves[optimizer][:, -1])} ({rate:.2g})")

        def by(omega: Any, key: Any, task: Any, problem: LearnedOptimizer = problem) -> jax.Array:
            return learning_curve(problem, key, omega, task, moments(problem))[0]

        one = evaluator(setting, problem, by, test=True)
        each = [one(omega) for omega in found]
        mean = np.mean(each, axis=0)
        ends = ", ".join(f"{losses[:, -1].mean():.4f}" for losses in each)
        rows.append([where, f"{shown(mean[:, -1])} ({ends})", *cells])
        note(f"{rows[-1]}")
        if picture is not None and where == "as trained":
            figures = {optimizer: losses.mean(axis=0) for optimizer, losses in curves.items()}
            figures["learned, each seed"] = np.stack([losses.mean(axis=0) for losses in each])
            drawn = over_steps(figures, steps=moments(problem), y="loss on held-out tasks")
            drawn.savefig(picture.with_stem(f"{picture.stem}-{name}"))
    print(f"\n{name}: learned in {', '.join(f'{seconds:.0f}' for seconds in spent)} seconds of one core\n")
    print_table(
        ["last loss, held-out tasks", "learned (each seed)", *(f"{o} (rate)" for o in arguments.optimizers)], rows
    )


def main() -> None:
    """Learn, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", nargs="+", choices=SETTINGS, default=[*SETTINGS], help="what is trained")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, help="of each search; by default as many as it takes")
    parser.add_argument("--picture", type=Path, help="where to draw losses over inner steps; the base's name is added")
    parser.add_argument("--tasks", type=int, help="of tuning and at the end; by default those of each base")
    parser.add_argument("--steps", type=int, help="of inner training; by default those of each base")
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=[*OPTIMIZERS])
    parser.add_argument("--rates", type=int, default=len(RATES), help="learning rates of the grid, the first so many")
    parser.add_argument("--places", type=int, default=3, help="where optimizers are compared: the first so many")
    small = "--bases quadratics --seeds 1 --generations 1 --tasks 2 --steps 10 --optimizers SGD --rates 2 --places 1"
    arguments = parse_arguments(parser, small)
    for name in arguments.bases:
        compare(name, arguments)


if __name__ == "__main__":
    main()
