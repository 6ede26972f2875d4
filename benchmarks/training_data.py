"""What learners are trained on: what a search finds, beside baselines that are tuned as hard.

For each problem of that kind: searches with several seeds, and baselines that are ω of the same problem, such as no
augmentation, or a subclass of it. A baseline tries 15 learning rates, and whatever else it has, all together, and takes
what has the best accuracy on 16 training tasks (validation part). Then all are evaluated on the same held-out tasks
(test part), and on the problem's shifted distributions. The gain over the first baseline has the standard error over
the seeds and over the held-out tasks, both together.

    python benchmarks/training_data.py
    python benchmarks/training_data.py --only hypercleaning --seeds 1
"""

import argparse
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from _engine import draw_trials, on_trial
from _measure import note, parse_arguments, print_table
from numpy.typing import NDArray

import evometa as em
from evometa import strategies
from evometa.problems import (
    AuxiliaryTasks,
    Curriculum,
    DataAugmentation,
    DatasetDistillation,
    Hypercleaning,
    SampleSelection,
)
from evometa.problems.shared.digits import CLASSES, digits
from evometa.problems.training_data.auxiliary_tasks import NAMES, USEFUL
from evometa.strategy import Strategy

RATES = np.geomspace(0.003, 1.0, 15).astype(np.float32)
TUNING_TASKS = 16
Omega = Any
Curve = NDArray[np.float64]


@functools.cache
def evaluator(problem: em.InnerTraining) -> Any:
    """Return the compiled metrics of one ω on tasks, which are the leading axis."""
    on_tasks = jax.vmap(on_trial(problem), in_axes=(None, 0))
    return jax.jit(lambda omega, trials: on_tasks(omega, trials).metrics)


def metrics(
    problem: em.InnerTraining, omega: Omega, tasks: int, *, seed: int = 2, test: bool = True
) -> dict[str, Curve]:
    """Return each metric of an ω on some tasks, held-out ones by default, ``[tasks]``."""
    trials = draw_trials(problem, seed, tasks, test=test)
    omega = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), omega)
    return {name: np.asarray(value, np.float64) for name, value in evaluator(problem)(omega, trials).items()}


class Tuned(Protocol):
    """Return an ω with the learning rate, and the other choices, that are best on training tasks."""

    def __call__(self, problem: em.InnerTraining, omega: Omega, **choices: Sequence[Any]) -> Omega:
        """Return the best one."""


def tuned_by(rates: int, tasks: int) -> Tuned:
    """Return what tunes a baseline over the last so many learning rates, on so many training tasks."""

    def tuned(problem: em.InnerTraining, omega: Omega, **choices: Sequence[Any]) -> Omega:
        grid = {"learning_rate": RATES[-rates:], **choices}
        found = [{**omega, **dict(zip(grid, chosen, strict=True))} for chosen in itertools.product(*grid.values())]
        scores = [metrics(problem, one, tasks, seed=1, test=False)["accuracy"].mean() for one in found]
        return found[int(np.nanargmax(scores))]

    return tuned


@dataclasses.dataclass(frozen=True)
class Work:
    """One table."""

    problem: em.InnerTraining
    baselines: Callable[[Any, Tuned], Mapping[str, Omega | list[Omega]]]
    """Tuned baselines by name, the one to beat first; several ω of one name are averaged."""
    strategies: Mapping[str, tuple[Strategy[Any], int]]
    """Who searches, and for how many generations."""
    more: Mapping[str, Callable[[em.InnerTraining, Omega], float]] = dataclasses.field(default_factory=dict)
    """More columns: numbers of the problem and what was found."""
    of_seed: Callable[[em.InnerTraining, int], em.InnerTraining] = lambda problem, seed: problem
    """The problem of each seed, where it differs."""
    validation_tasks: int = 32


def search(
    work: Work, problem: em.InnerTraining, name: str, seed: int, given: argparse.Namespace
) -> tuple[Omega, float, int]:
    """Return the ω that a search selects, its seconds and its evaluations."""
    strategy, generations = work.strategies[name]
    generations = given.generations or generations
    start = time.perf_counter()
    result = em.Search(
        problem,
        strategy,
        seed=seed,
        validate_every=generations,
        validation_tasks=given.validation_tasks or work.validation_tasks,
        progress=False,
    ).run(generations=generations)
    return result.selected_omega, time.perf_counter() - start, result.evaluations


def rows(work: Work, given: argparse.Namespace) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table."""
    seeds, tasks, tuned = given.seeds, given.tasks, tuned_by(given.rates, given.tuning_tasks)
    sides: dict[str, list[list[Omega]]] = {}
    spent: dict[str, list[tuple[float, int]]] = {}
    problems = [work.of_seed(work.problem, seed) for seed in range(seeds)]
    for seed, problem in enumerate(problems):
        if seed == 0 or problem != problems[0]:
            for name, omega in work.baselines(problem, tuned).items():
                sides.setdefault(name, []).append(omega if isinstance(omega, list) else [omega])
        for name in work.strategies:
            omega, seconds, evaluations = search(work, problem, name, seed, given)
            sides.setdefault(name, []).append([omega])
            spent.setdefault(name, []).append((seconds, evaluations))
            note(f"{name}, seed {seed}: {seconds:.0f} s")

    def accuracies(name: str, number: int, where: str) -> Curve:
        """Return the accuracy on each task, of what one search found or one baseline is; ``[tasks]``, in per cent."""
        problem = problems[number]
        place = problem.shifted()[where] if where else problem
        return 100 * np.mean([metrics(place, omega, tasks)["accuracy"] for omega in sides[name][number]], axis=0)

    shifts = list(work.problem.shifted())[: given.shifted]
    base = next(iter(sides))
    table = []
    for name, omegas in sides.items():
        each = np.array([accuracies(name, number, "") for number in range(len(omegas))])
        against = np.array([accuracies(base, number % len(sides[base]), "") for number in range(len(omegas))])
        row = [name, f"{each.mean():.2f}", "" if name == base else spread(each - against)]
        row += [f"{np.mean([accuracies(name, n, where).mean() for n in range(len(omegas))]):.2f}" for where in shifts]
        for number in work.more.values():
            values = [number(p, o[0]) for p, o in zip(problems, omegas, strict=True)] if name in spent else []
            row.append(" ".join(f"{value:.2f}" for value in values))
        seconds, evaluations = zip(*spent.get(name, [(np.nan, 0)]), strict=True)
        row += [f"{np.mean(seconds):.0f}" if name in spent else "", f"{evaluations[0]:,}" if name in spent else ""]
        table.append(row)
    return ["", "held-out", "gain", *shifts, *work.more, "seconds", "evaluations"], table


def spread(differences: NDArray[np.float64]) -> str:
    """Return the mean of ``[seeds, tasks]`` and its standard error, that of seeds and that of tasks together."""
    variances = [
        np.var(differences.mean(axis=1 - axis), ddof=1) / n for axis, n in enumerate(differences.shape) if n > 1
    ]
    return f"{differences.mean():+.2f} ± {np.sqrt(sum(variances)):.2f}"


def hypercleaning_baselines(problem: Hypercleaning, tuned: Tuned) -> dict[str, Omega]:
    """Return training on everything, and on the clean part alone, which is unknown to the others."""
    l2 = [np.full(len(problem.hidden) + 1, value) for value in (1e-5, 1e-3, 1e-2, 3e-2, 1e-1)]
    everything = {"weight_logits": np.zeros(problem.training_examples)}
    clean = {"weight_logits": np.where(problem.wrong, -30.0, 30.0)}
    return {
        "everything": tuned(problem, everything, l2=l2),
        "the clean part, unknown to the others": tuned(problem, clean, l2=l2),
    }


@dataclasses.dataclass(frozen=True)
class CleanAlone(Hypercleaning):
    """Training on the clean examples alone, tuned on others whose labels are right."""

    @property
    def rows(self) -> NDArray[np.int32]:
        """The clean examples."""
        return digits().validation[: self.training_examples]

    def search_rows(self, key: jax.Array) -> jax.Array:
        """Return the rest of the validation part."""
        return jnp.asarray(digits().validation[self.training_examples :])


def clean_alone_baseline(problem: CleanAlone, tuned: Tuned) -> dict[str, Omega]:
    """Return training on the clean examples alone."""
    l2 = [np.full(len(problem.hidden) + 1, value) for value in (1e-5, 1e-3, 1e-2, 3e-2, 1e-1)]
    omega = {"weight_logits": np.zeros(problem.training_examples)}
    return {"the clean examples alone": tuned(problem, omega, l2=l2)}


def distillation_baselines(problem: DatasetDistillation, tuned: Tuned) -> dict[str, Omega]:
    """Return real images, the best of 64 draws of them, and the mean image of each class."""
    data = digits()
    draws = [tuned(problem, {"images": problem.real(jax.random.key(100 + n))}) for n in range(64)]
    scores = [metrics(problem, one, TUNING_TASKS, seed=3, test=False)["accuracy"].mean() for one in draws]
    images, labels = data.features[data.training], data.labels[data.training]
    means = np.stack([images[labels == c].mean(axis=0) for c in range(CLASSES)])
    return {
        "real images": draws[:16],
        "the best real images of 64 draws": draws[int(np.argmax(scores))],
        "the mean image of each class": tuned(problem, {"images": means}),
    }


def augmentation_baselines(problem: DataAugmentation, tuned: Tuned) -> dict[str, Omega | list[Omega]]:
    """Return no change, random policies, and shifts alone with their strength tuned."""
    none = {"probability": np.zeros(8), "strength": np.zeros(8)}
    space = problem.space
    random = [jax.device_get(space.decode(space.sample(jax.random.key(100 + n)))) for n in range(8)]
    shifts = [np.array([s, s, 0, 0, 0, 0, 0, 0]) for s in (0.25, 0.5, 0.75, 1.0, 1.5)]
    return {
        "no augmentation": tuned(problem, none),
        "random policies": [tuned(problem, policy) for policy in random],
        "shifts, strength tuned": tuned(problem, {"probability": np.ones(8)}, strength=shifts),
    }


def auxiliary_baselines(problem: AuxiliaryTasks, tuned: Tuned) -> dict[str, Omega]:
    """Return no auxiliary task, all alike, and the useful ones alone, which are unknown to the others."""
    plain = {"fade": 0.0, "power": 1.0}
    useful = np.array([name in USEFUL for name in NAMES], float)
    sizes = (0.03, 0.1, 0.3, 1.0, 3.0)
    return {
        "no auxiliary tasks": tuned(problem, {**plain, "weight": np.zeros(len(NAMES))}),
        "all alike, weight tuned": tuned(problem, plain, weight=[np.full(len(NAMES), s) for s in sizes]),
        "useful alone, weight tuned": tuned(problem, plain, weight=[s * useful for s in sizes]),
    }


def curriculum_baselines(problem: Curriculum, tuned: Tuned) -> dict[str, Omega]:
    """Return uniform draws, a fixed share of the easiest, and a share that grows."""
    level = {"skew": np.ones(2), "bend": 1.0}
    pools = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    return {
        "uniform": tuned(problem, {**level, "pool": np.ones(2)}),
        "the easiest, share tuned": tuned(problem, level, pool=[np.full(2, p) for p in pools]),
        "growing share, both ends tuned": tuned(
            problem, level, pool=[np.array([a, b]) for a in (0.05, 0.2, 0.4) for b in (0.6, 0.8, 1.0)]
        ),
    }


def selection_baselines(problem: SampleSelection, tuned: Tuned) -> dict[str, Omega]:
    """Return uniform weights, and the part of each minibatch with the smallest losses, its share tuned."""

    def smallest(share: float) -> Any:
        """Return the scorer whose output is 40 (share - rank)."""
        first, second = np.zeros((3, 8)), np.zeros((8, 1))
        first[1, 0], second[0, 0] = 1.0, -40.0
        dense = ({"kernel": first, "bias": np.zeros(8)}, {"kernel": second, "bias": np.full(1, 40 * share)})
        return {f"Dense_{i}": layer for i, layer in enumerate(dense)}

    return {
        "uniform": tuned(problem, {"scorer": jax.tree.map(np.zeros_like, smallest(0.5))}),
        "smallest losses, share tuned": tuned(
            problem, {}, scorer=[smallest(s) for s in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]
        ),
    }


def area(problem: AuxiliaryTasks, omega: Omega) -> float:
    """Return the area under the curve of ranking the useful auxiliary tasks over the useless ones by weight."""
    useful = np.array([name in USEFUL for name in NAMES])
    one, other = (np.asarray(omega["weight"])[which] for which in (useful, ~useful))
    return float(np.mean(one[:, None] > other))


def f1(problem: Hypercleaning, omega: Omega) -> float:
    """Return the F1 of finding the wrong labels."""
    found = np.asarray(omega["weight_logits"]) < 0
    return float(2 * np.sum(found & problem.wrong) / (np.sum(found) + np.sum(problem.wrong)))


WORKS = {
    "hypercleaning": Work(
        Hypercleaning(),
        hypercleaning_baselines,
        {
            "OpenAIES": (strategies.OpenAIES(256, sigma=0.05, learning_rate=0.02), 200),
            "Gradient": (strategies.Gradient(learning_rate=0.01), 300),
        },
        more={"F1 of each seed": f1},
        # Other ones than the corruptions that the settings were tried on.
        of_seed=lambda problem, seed: dataclasses.replace(problem, corruption=100 + seed),
    ),
    "clean-alone": Work(CleanAlone(training_examples=300, label_noise=0.0), clean_alone_baseline, {}),
    "distillation": Work(
        DatasetDistillation(),
        distillation_baselines,
        {
            "OpenAIES": (strategies.OpenAIES(256, sigma=0.03, learning_rate=0.02), 400),
            "Gradient": (strategies.Gradient(learning_rate=0.03), 300),
        },
    ),
    "augmentation": Work(DataAugmentation(), augmentation_baselines, {"CMAES": (strategies.CMAES(16, sigma=0.2), 40)}),
    "auxiliary": Work(
        AuxiliaryTasks(),
        auxiliary_baselines,
        {"CMAES": (strategies.CMAES(16, sigma=0.15), 80)},
        more={"AUC of each seed": area},
    ),
    "curriculum": Work(Curriculum(), curriculum_baselines, {"CMAES": (strategies.CMAES(16, sigma=0.2), 40)}),
    "selection": Work(
        SampleSelection(),
        selection_baselines,
        {
            "CMAES": (strategies.CMAES(24, sigma=0.3), 60),
            "Gradient": (strategies.Gradient(learning_rate=0.03), 150),
        },
    ),
}


def main() -> None:
    """Search, evaluate and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(WORKS), nargs="*", default=list(WORKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=64, help="held-out tasks")
    parser.add_argument("--rates", type=int, default=len(RATES), help="learning rates of the grid, the last so many")
    parser.add_argument("--tuning-tasks", type=int, default=TUNING_TASKS, help="training tasks of the tuning")
    parser.add_argument("--generations", type=int, help="of each search; by default those of each problem")
    parser.add_argument("--validation-tasks", type=int, help="that finalists are chosen by; by default 32")
    parser.add_argument("--shifted", type=int, help="shifted distributions, the first so many; by default all")
    parser.add_argument("--steps", type=int, help="of inner training; by default the problem's own")
    small = "--only auxiliary --seeds 1 --tasks 2 --rates 1 --tuning-tasks 2 --generations 1 --validation-tasks 4"
    arguments = parse_arguments(parser, f"{small} --shifted 1 --steps 2")
    for name in arguments.only:
        print(f"\n{name}: accuracy on {arguments.tasks} held-out tasks in %, {arguments.seeds} seeds\n")
        work = WORKS[name]
        problem = dataclasses.replace(work.problem, inner_steps=arguments.steps or work.problem.inner_steps)
        print_table(*rows(dataclasses.replace(work, problem=problem), arguments))


if __name__ == "__main__":
    main()
