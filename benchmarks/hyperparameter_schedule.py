"""Schedules of the learning rate, found in three ways, against the best constant learning rate.

Two problems: an MLP on scikit-learn's digits (``HyperparameterSchedule``), and a quadratic with noisy gradients of
which the best schedule and the best constant are known (``NoisyQuadratic``). Two objectives: the loss at the end of
training, and the mean of the losses after every tenth step. CMA-ES evaluates whole trainings for either; PBT looks for
a low loss at the end, by a single training of its population; PES evaluates windows of ten steps, and so needs losses
all along. The best constant is the best of 61 between 0.001 and 1, on training tasks, with the inner steps that CMA-ES
has.

Every number is of held-out tasks, the same for all sides. A gain is the constant's loss minus the schedule's on the
same tasks, the mean over tasks and searches, ± its standard error: of the mean over tasks, whose gains are averaged
over searches first. In brackets the gains of the searches one by one.

    python benchmarks/hyperparameter_schedule.py
    python benchmarks/hyperparameter_schedule.py --problems digits --picture schedules.png
"""

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import draw_trials
from _measure import note, parse_arguments, print_table, standard_error

import evometa as em
from evometa.plots import over_steps
from evometa.problems import HyperparameterSchedule, NoisyQuadratic
from evometa.strategies import CMAES, PBT, PES

TASKS = 256
CONSTANTS = np.geomspace(1e-3, 1, 61)
EVERY = 10
PROBLEMS: dict[str, Any] = {"digits": HyperparameterSchedule(), "quadratic": NoisyQuadratic(num_tasks=16)}
GENERATIONS = 50


def search(problem: Any, strategy: Any, seed: int, **limits: Any) -> em.Result:
    """Search without validations and final selection: all inner steps are the search's own."""
    return em.Search(problem, strategy, seed=seed, validation_share=0.0, progress=False).run(**limits)


def by_cmaes(problem: Any, seed: int, budget: int) -> tuple[np.ndarray, int]:
    """Return the learning rate of each inner step ``[S]``, and the inner steps it took."""
    result = search(problem, CMAES(16), seed, inner_steps=budget)
    return np.asarray(problem.rates(result.center_omega)), result.inner_steps


def by_pbt(problem: Any, seed: int, budget: int) -> tuple[np.ndarray, int]:
    """Likewise; a single training of 64 members on 16 tasks, which is less than the budget."""
    constant = dataclasses.replace(problem, knots=1, num_tasks=16)
    result = search(constant, PBT(64, windows=problem.inner_steps // EVERY), seed, inner_steps=budget)
    assert result.archive is not None
    rates = np.ravel(result.archive.omegas)
    return np.repeat(rates, problem.inner_steps // len(rates)), result.inner_steps


def by_pes(problem: Any, seed: int, budget: int) -> tuple[np.ndarray, int]:
    """Likewise; its learning rate falls to a tenth."""
    one = dataclasses.replace(problem, num_tasks=1)
    generations = budget // (64 * EVERY)
    strategy = PES(64, 0.03, 0.01, unroll_length=EVERY, decay_generations=generations, learning_rate_final=0.1)
    result = search(one, strategy, seed, generations=generations)
    return np.asarray(problem.rates(result.center_omega)), result.inner_steps


def evaluate(problem: Any, rates: Any, tasks: int, *, test: bool) -> np.ndarray:
    """Return the fitness of schedules ``[N, S]`` on tasks that no search sees, ``[N, tasks]``."""
    # Stretched where the problem trains longer.
    run = evaluator(dataclasses.replace(problem, knots=rates.shape[1]), tasks, test=test)
    return np.asarray(run(jnp.asarray(rates, jnp.float32)))


@functools.cache
def evaluator(exact: Any, tasks: int, *, test: bool) -> Any:
    """Return the compiled function from schedules ``[N, S]`` to their fitness ``[N, tasks]``."""
    trials = draw_trials(exact, 20_26, tasks, test=test)

    @jax.jit
    def run(rates: jax.Array) -> jax.Array:
        def on_trial(rates: jax.Array, trial: Any) -> jax.Array:
            return exact.evaluate_task(trial.keys, rates, trial.tasks).fitness

        return jax.lax.map(
            lambda one: jax.lax.map(lambda trial: on_trial(one, trial), trials, batch_size=min(8, tasks)), rates
        )

    return run


def best_constant(problem: Any, budget: int) -> float:
    """Return the constant learning rate that trains best on training tasks; inf and nan are the worst."""
    tasks = budget // (problem.inner_steps * len(CONSTANTS))
    found = evaluate(problem, np.repeat(CONSTANTS[:, None], problem.inner_steps, axis=1), tasks, test=False)
    return float(CONSTANTS[np.argmin(np.where(np.isfinite(found), found, np.inf).mean(axis=1))])


def gain(constant: np.ndarray, found: np.ndarray) -> str:
    """Return the mean gain of searches ``[N, tasks]`` over a constant ``[tasks]``, its error, and each search's."""
    gains = constant - found
    each = ", ".join(f"{one:.3f}" for one in gains.mean(axis=1))
    return f"{gains.mean():.4f} ± {standard_error(gains.mean(axis=0)):.4f} ({each})"


def compare(name: str, arguments: argparse.Namespace) -> None:
    """Print the table of one problem."""
    problem, rows, shown = PROBLEMS[name], [], {}
    seeds, tasks, picture = arguments.seeds, arguments.tasks, arguments.picture
    every = em.At(tuple(range(EVERY, problem.inner_steps + 1, EVERY)))
    budget = arguments.generations * 16 * problem.inner_steps_per_evaluation
    for objective, sides in (
        (em.Final(), {"CMA-ES": by_cmaes, "PBT": by_pbt}),
        (every, {"CMA-ES": by_cmaes, "PES": by_pes}),
    ):
        what = "last" if objective == em.Final() else "mean"
        if what not in arguments.objectives:
            continue
        counted = dataclasses.replace(problem, objective=objective)
        rate = best_constant(counted, budget)
        constant = np.full((1, problem.inner_steps), rate)
        found: dict[str, np.ndarray] = {}
        spent: dict[str, int] = {}
        for side, by in sides.items():
            each = []
            for seed in range(seeds):
                rates, spent[side] = by(counted, seed, budget)
                each.append(rates)
                note(f"{name}, {what}, {side}, seed {seed}: {np.round(rates[::20], 4)}")
            found[side] = np.stack(each)
            shown[f"{side}, {what} loss"] = found[side]
        shown[f"best constant, {what} loss"] = constant
        # The objective counts inner steps by number; with twice the steps it has twice as many.
        longer = em.Final() if what == "last" else em.At(tuple(range(EVERY, 2 * problem.inner_steps + 1, EVERY)))
        places = {"held-out": counted}
        for where, shifted in problem.shifted().items():
            same = shifted.inner_steps == problem.inner_steps
            places[where] = dataclasses.replace(shifted, objective=objective if same else longer)
        losses = {
            where: {side: evaluate(place, rates, tasks, test=True) for side, rates in (found | {"": constant}).items()}
            for where, place in places.items()
        }
        means = [f"{losses[where][''].mean():.4f}" for where in places]
        rows.append([f"best constant, {rate:.3g}", what, f"{budget / 1e6:.2f}", means[0], *("" for _ in places)])
        for side, steps in spent.items():
            loss = losses["held-out"][side].mean()
            gains = [gain(each[""][0], each[side]) for each in losses.values()]
            rows.append([side, what, f"{steps / 1e6:.2f}", f"{loss:.4f}", *gains])
        if isinstance(counted, NoisyQuadratic):
            expected = [np.mean([counted.expected(one) for one in rates]) for rates in found.values()]
            print(
                f"\n{what} loss in expectation: the best constant there is {counted.best_constant():.4f}, the best "
                f"schedule there is {counted.best_schedule():.4f}, "
                + ", ".join(f"{side} {value:.4f}" for side, value in zip(found, expected, strict=True))
            )
    print(f"\n{name}\n")
    print_table(["learning rate", "loss", "10⁶ inner steps", "held-out loss", *(f"gain, {w}" for w in places)], rows)
    if picture is not None:
        over_steps(shown, y="learning rate").savefig(picture.with_stem(f"{picture.stem}-{name}"))


def main() -> None:
    """Search, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=[*PROBLEMS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--picture", type=Path, help="where to draw the schedules; the problem's name is added")
    parser.add_argument(
        "--generations", type=int, default=GENERATIONS, help="of CMA-ES; the others have its inner steps"
    )
    parser.add_argument("--tasks", type=int, default=TASKS, help="held-out tasks")
    parser.add_argument("--objectives", nargs="+", choices=("last", "mean"), default=["last", "mean"])
    arguments = parse_arguments(parser, "--problems quadratic --seeds 1 --generations 4 --tasks 4 --objectives last")
    for name in arguments.problems:
        compare(name, arguments)


if __name__ == "__main__":
    main()
