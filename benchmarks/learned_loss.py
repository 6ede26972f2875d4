"""Losses that were learned, as formulas, polynomials and networks, beside cross-entropy with its learning rate tuned.

For each seed a search on digits with 40 % of the training labels wrong, and one with clean labels, by the strategy that
the problem's own recipe names; the answer is what the search selects on fresh training tasks. Then the loss is
evaluated beside cross-entropy on the same held-out tasks: the test part of digits, the same with a wider network, and
two other data sets (with the same share of wrong labels). Everywhere each side has its learning rate chosen from one
grid, by training tasks of that very problem and network.

    python benchmarks/learned_loss.py                                     # formulas
    python benchmarks/learned_loss.py --kind taylor --generations 100
    python benchmarks/learned_loss.py --kind network --keep found.json    # continues where it was interrupted
    python benchmarks/learned_loss.py --seeds 1 --generations 10          # a quick look
"""

import argparse
import dataclasses
import functools
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import draw_trials, on_trial
from _measure import Kept, note, parse_arguments, print_table, standard_error
from jax.flatten_util import ravel_pytree

import evometa as em
from evometa.expressions import Program, compile_tree, parse
from evometa.problems import LearnedLoss, LearnedLossNetwork, LearnedLossTaylor
from evometa.problems.losses.learned_loss import CROSS_ENTROPY

KINDS: dict[str, Any] = {"formula": LearnedLoss, "taylor": LearnedLossTaylor, "network": LearnedLossNetwork}
# The learning rate of each problem times one of these.
RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.4, 2.0, 2.8, 4.0, 8.0)


@functools.cache
def accuracies(problem: Any) -> Any:
    """Return the compiled accuracies of (rate, ω) on tasks, NaN where training failed.

    A learning rate times as large is a loss times as large, so that one program serves all rates.
    """

    class Scaled(type(problem)):  # type: ignore[misc]
        def example_loss(self, omega: Any, prediction: jax.Array, label: jax.Array) -> jax.Array:
            rate, loss = omega
            return rate * super().example_loss(loss, prediction, label)

    fields = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
    evaluate = on_trial(Scaled(**fields))
    return jax.jit(lambda omega, trials: jax.lax.map(lambda trial: evaluate(omega, trial).metrics["accuracy"], trials))


def accuracy(problem: Any, omega: Any, rate: float, seed: int, tasks: int, *, test: bool) -> np.ndarray:
    """Return the accuracy after training with a loss, for each of some tasks ``[tasks]``; 0 where training failed."""
    trials = draw_trials(problem, seed, tasks, test=test)
    return np.nan_to_num(np.asarray(accuracies(problem)((jnp.float32(rate), omega), trials)))


def tuned(problem: Any, omega: Any, arguments: argparse.Namespace) -> tuple[float, np.ndarray]:
    """Return the learning rate that is best on some training tasks, and the accuracy on held-out tasks."""
    rate = max(
        RATES[-arguments.rates :],
        key=lambda rate: accuracy(problem, omega, rate, 1, arguments.tuning_tasks, test=False).mean(),
    )
    return rate, accuracy(problem, omega, rate, 2, arguments.tasks, test=True)


def places(problem: Any, count: int) -> dict[str, Any]:
    """Return where losses are evaluated, the first so many places: where they were found, and elsewhere."""
    every = {
        "digits": problem,
        "digits, 128 hidden": dataclasses.replace(problem, hidden=(128,)),
        "wine": dataclasses.replace(problem, data_set="wine"),
        "breast cancer": dataclasses.replace(problem, data_set="breast_cancer"),
    }
    return dict(list(every.items())[:count])


def searched(problem: Any, seed: int, generations: int, validation_tasks: int) -> tuple[Any, float]:
    """Return what a search selects, as text or as a list of numbers, and its seconds."""
    recipe = problem.card.recipe
    strategy = getattr(em.strategies, recipe.strategy)(**recipe.settings)
    validation = {"validate_every": generations, "validation_tasks": validation_tasks}
    search = em.Search(problem, strategy, seed=seed, progress=False, **validation)
    start = time.perf_counter()
    omega = search.run(generations=generations).selected_omega
    found = str(omega) if isinstance(omega, Program) else ravel_pytree(omega)[0].tolist()
    return found, time.perf_counter() - start


def read(problem: Any, found: Any) -> Any:
    """Return the ω that text or a list of numbers stands for."""
    if isinstance(found, str):
        return compile_tree(problem.space.primitives, parse(problem.space.primitives, found, problem.max_size))
    return problem.space.decode(jnp.asarray(found))


def shown(results: dict[str, tuple[float, np.ndarray]]) -> list[str]:
    """Return accuracies in per cent, with the learning rate of each."""
    return [f"{100 * each.mean():.2f} (rate {rate})" for rate, each in results.values()]


def spread(values: list[float]) -> str:
    """Return mean and standard error."""
    return f"{np.mean(values):+.2f} ± {standard_error(values):.2f}"


def compare(problem: Any, arguments: argparse.Namespace) -> None:
    """Search with each seed, and print how what was found does beside cross-entropy."""
    noise, tasks, count = problem.label_noise, arguments.tasks, arguments.places
    usual = LearnedLoss(label_noise=noise, inner_steps=problem.inner_steps)
    base = {name: tuned(there, read(usual, CROSS_ENTROPY), arguments) for name, there in places(usual, count).items()}
    rows = [["cross-entropy", *shown(base), ""]]
    gains: dict[str, list[float]] = {name: [] for name in base}
    texts = []
    kept = Kept(arguments.keep)
    for seed in range(arguments.seeds):
        size = f"trainings={problem.num_tasks} generations={arguments.generations}"
        size += f" validation={arguments.validation_tasks}"
        label = f"{arguments.kind} noise={noise} seed={seed} {size}"
        found, seconds = kept.get_or(
            label, functools.partial(searched, problem, seed, arguments.generations, arguments.validation_tasks)
        )
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            loss = functools.partial(problem.example_loss, read(problem, found))
            path = arguments.pictures / f"{label.replace(' ', '-')}.png"
            em.plots.losses(loss, found if isinstance(found, str) else label).savefig(path)
        mine = {name: tuned(there, read(there, found), arguments) for name, there in places(problem, count).items()}
        for name, (_, a) in mine.items():
            gains[name].append(100 * (a.mean() - base[name][1].mean()))
        rows.append([f"seed {seed}", *shown(mine), f"{seconds:.0f}"])
        texts.append(found if isinstance(found, str) else " ".join(f"{value:.3g}" for value in found))
        note(f"{label}: {texts[-1]} {gains}")
    rows.append(["mean gain ± standard error", *(spread(each) for each in gains.values()), ""])
    print(f"\n{arguments.kind}, {100 * noise:.0f} % of the labels wrong; accuracy on {tasks} held-out tasks in %\n")
    print_table(["loss", *base, "seconds of search"], rows)
    print(f"\nfound, in order of the seeds: {'; '.join(f'`{one}`' for one in texts)}", flush=True)


def main() -> None:
    """Search, evaluate and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=tuple(KINDS), default="formula")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.4, 0.0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=60)
    parser.add_argument("--trainings", type=int, default=2, help="that a candidate is evaluated by")
    parser.add_argument("--validation-tasks", type=int, default=16, help="that the last candidates are chosen by")
    parser.add_argument("--tasks", type=int, default=64, help="held-out tasks")
    parser.add_argument("--keep", type=pathlib.Path, help="where what was found is kept, and read from")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder for a picture of each loss that was found")
    parser.add_argument("--steps", type=int, help="of inner training; by default the problem's own")
    parser.add_argument("--rates", type=int, default=len(RATES), help="learning rates of the grid, the last so many")
    parser.add_argument("--tuning-tasks", type=int, default=16, help="training tasks that a rate is chosen by")
    parser.add_argument("--places", type=int, default=4, help="where losses are evaluated: the first so many")
    small = "--kind taylor --noise 0.4 --seeds 1 --generations 1 --trainings 2 --validation-tasks 2 --tasks 2"
    arguments = parse_arguments(parser, f"{small} --steps 2 --rates 2 --tuning-tasks 2 --places 1")
    for noise in arguments.noise:
        problem = KINDS[arguments.kind](label_noise=noise, num_tasks=arguments.trainings)
        steps = arguments.steps or problem.inner_steps
        compare(dataclasses.replace(problem, inner_steps=steps), arguments)


if __name__ == "__main__":
    main()
