"""Gradients through inner training and population-based training, beside evolution and random search.

Each table is one name on the command line:

``seconds``    few-shot regression of sine waves in equal time: gradient descent (MAML with its authors' settings: Adam
               at 0.001 and 25 tasks an update), OpenAI-ES (the settings of ``sinusoid.py``), separable CMA-ES (its own
               defaults), and OpenAI-ES warm-started by the gradient for half of the time. Seconds are of the process,
               compilation left out. Mean squared error on 1000 held-out tasks after 1 and after 10 inner steps;
               published for MAML: 0.670 after one (Finn et al. 2017). Memory is what the compiled program asks for.
``steps``      the same for equal inner steps.
``price``      what a gradient costs: seconds and memory of evaluating one candidate with and without.
``toy``        section 3.2 of Jaderberg et al. 2017: two parameters, each trained only as far as a hyperparameter
               allows; the best there is, is 1.2, and the two members' own hyperparameters end at 0.39.
``quadratic``  gradient descent on a quadratic with noisy gradients, of which expected losses are known in closed form
               for any schedule of the learning rate, and so are the best schedule and the best constant.
``digits``     hyperparameters of a network on digits: the schedule that population-based training finds, against the
               best of as many constant ones drawn at random, and against CMA-ES with 20 times the inner steps.

    python benchmarks/gradient_and_pbt.py                        # all tables, 3 seeds
    python benchmarks/gradient_and_pbt.py --tables toy digits --seeds 5
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _engine import draw_trials, program_bytes, with_and_without_gradient
from _measure import alone, interleaved, note, parse_arguments, print_table
from sinusoid import held_out_errors

import evometa as em
from evometa import replay
from evometa.problems import DigitsHyperparameters, NoisyQuadratic, Sinusoid
from evometa.strategies import CMAES, PBT, Gradient, OpenAIES, RandomSearch, SepCMAES

MIB = 2**20


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return the mean of some values with the smallest and the largest."""
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def search(problem: Any, strategy: Any, seed: int, **settings: Any) -> em.Search:
    """Return a search that spends its time on searching."""
    return em.Search(problem, strategy, seed=seed, **({"validation_share": 0.0, "progress": False} | settings))


# Sinusoid: gradient and evolution.

MAML = Gradient(learning_rate=0.001)
EVOLUTION = OpenAIES(population_size=512, sigma=0.03, shaping="pair_difference", tasks_per_pair=True)
FEW, MANY = Sinusoid(num_tasks=4), Sinusoid(num_tasks=25)


class Run(NamedTuple):
    """One search, or two, one after the other."""

    search: em.Search
    omega: Any
    seconds: float
    inner_steps: int


def cold(problem: Sinusoid, strategy: Any, seed: int, *, seconds: float | None = None, steps: int | None = None) -> Run:
    """Search with one strategy for some seconds of the process, or some inner steps."""
    used = 0.0

    def over(_: Any) -> bool:
        nonlocal used
        used = time.process_time() - begun
        return seconds is not None and used >= seconds

    one = search(problem, strategy, seed, callbacks=[over])
    begun = time.process_time()
    one.run(generations=1)
    begun = time.process_time()  # from here on all is compiled
    result = one.run(generations=10**9, inner_steps=steps)
    return Run(one, result.center_omega, used, result.inner_steps)


def warm_started(seed: int, *, seconds: float) -> Run:
    """Search half of the time by gradient, and continue by evolution."""
    first = cold(MANY, MAML, seed, seconds=seconds / 2)

    class Warm(Sinusoid):
        @property
        def space(self) -> em.Dict:
            return em.Dict({"weights": em.Like(first.omega["weights"])})

    second = cold(Warm(num_tasks=4), EVOLUTION, seed, seconds=seconds / 2)
    return second._replace(seconds=first.seconds + second.seconds, inner_steps=first.inner_steps + second.inner_steps)


SIDES: dict[str, Callable[..., Run]] = {
    "Gradient": functools.partial(cold, MANY, MAML),
    "OpenAIES": functools.partial(cold, FEW, EVOLUTION),
    "SepCMAES": functools.partial(cold, Sinusoid(), SepCMAES()),
}


def sinusoid(sides: dict[str, Callable[..., Run]], seeds: int, tasks: int, **limit: float) -> None:
    """Print a table of searches under one limit."""
    rows = []
    for name, run in sides.items():
        runs, errors = [], []
        for seed in range(seeds):
            runs.append(run(seed, **limit))
            errors.append(held_out_errors(FEW, runs[-1].omega, tasks))
            note(f"{name}, seed {seed}, {limit}: {errors[-1]}, {runs[-1].inner_steps:,} inner steps")
        used = statistics.mean(one.seconds for one in runs)
        steps = statistics.mean(one.inner_steps for one in runs) / 1e6
        memory = max(program_bytes(one.search) for one in runs) / MIB
        after = [spread(each) for each in zip(*errors, strict=True)]
        rows.append([name, f"{used:.0f}", f"{steps:.2f}", f"{memory:.1f}", *after])
    print(f"\nequal {next(iter(limit))}\n")
    print_table(["strategy", "seconds", "10⁶ inner steps", "MiB", "MSE after 1", "MSE after 10"], rows)


# The price of a gradient.


def price(problems: int, rounds: int) -> None:
    """Print seconds and memory of one candidate, evaluated alone and with its gradient in both modes."""
    rows = []
    for problem in (MANY, *(DigitsHyperparameters(inner_steps=steps) for steps in (100, 1000)))[:problems]:
        shared, functions = with_and_without_gradient(problem)
        genotype = problem.space.start(jax.random.key(0))
        compiled = {name: jax.jit(one).lower(shared, genotype).compile() for name, one in functions.items()}

        def side(program: Any, shared: Any = shared, genotype: Any = genotype) -> Callable[[], object]:
            return lambda: jax.block_until_ready(program(shared, genotype))

        seconds = interleaved({name: side(program) for name, program in compiled.items()}, rounds=rounds)
        for name, program in compiled.items():
            memory = program.memory_analysis().temp_size_in_bytes / MIB
            what = f"{type(problem).__name__}, D={problem.space.size}, T={problem.num_tasks}, S={problem.inner_steps}"
            ratio = seconds[name] / seconds["fitness alone"]
            rows.append([what, name, f"{1e3 * seconds[name]:.2f}", f"{ratio:.1f}", f"{memory:.2f}"])
    print("\n")
    print_table(["problem", "one candidate", "ms", "of fitness alone", "MiB"], rows)


# Population-based training: the toy of its paper.


class Corners(em.Box):
    """Numbers between 0 and 1; a search begins with (1, 0) and (0, 1) in turn."""

    def sample(self, key: jax.Array) -> jax.Array:
        """Draw one of the two corners."""
        return jax.random.permutation(key, jnp.array([0.0, 1.0]))


@dataclasses.dataclass(frozen=True)
class Surrogate(em.InnerTraining):
    """Climb Q = 1.2 - θ₀² - θ₁² from (0.9, 0.9) by the gradient of 1.2 - h₀ θ₀² - h₁ θ₁², with step size 0.01."""

    num_tasks: int = 1
    inner_steps: int = 200
    direction = "maximize"

    @property
    def space(self) -> em.Box:
        """Hyperparameters between 0 and 1."""
        return Corners((2,), low=0.0, high=1.0, start=(1.0, 0.0))

    def sample_task(self, key: jax.Array) -> Any:
        """There is but one task."""
        return ()

    def init(self, key: jax.Array, omega: Any, task: Any) -> jax.Array:
        """Start at (0.9, 0.9)."""
        return jnp.array([0.9, 0.9])

    def step(self, key: jax.Array, omega: Any, task: Any, learner: jax.Array) -> jax.Array:
        """Climb the surrogate."""
        return learner - 0.01 * 2 * omega * learner

    def loss(self, key: jax.Array, omega: Any, task: Any, learner: jax.Array) -> jax.Array:
        """Return Q."""
        return 1.2 - jnp.sum(learner**2)


def toy(seeds: int, sizes: Sequence[int]) -> None:
    """Print Q at the end of as many inner steps for each side."""
    rows = []
    for size in sizes:
        strategy = PBT(size, windows=50, mutation_scale=0.1, resample_probability=0.0)
        sides = {"PBT": strategy, "random search": RandomSearch(size)}
        for name, one in sides.items():
            found = []
            for seed in range(seeds):
                result = search(Surrogate(), one, seed).run(inner_steps=size * 200)
                found.append(result.archive.fitness[-1] if result.archive else result.best_fitness)
            rows.append([name, size, spread(found)])
    trained = (0.9 * 0.98**200) ** 2
    print(f"\nthe best constant, h = (1, 1), ends at {1.2 - 2 * trained:.3f}, a corner at {1.2 - 0.81 - trained:.3f}\n")
    print_table(["side", "trainings of 200 steps", "Q at the end"], rows)


# Population-based training: a quadratic with noisy gradients.


def quadratic(seeds: int) -> None:
    """Print expected losses."""
    problem, size = NoisyQuadratic(knots=1), 32
    schedules, constants = [], []
    for seed in range(seeds):
        kept = search(problem, PBT(size), seed).run(generations=20).archive
        assert kept is not None
        schedules.append(problem.expected(kept.omegas))
        drawn = search(problem, RandomSearch(size), seed).run(generations=1)
        constants.append(problem.expected(drawn.best_omega))
        note(f"quadratic, seed {seed}: {schedules[-1]:.4f} {constants[-1]:.4f}; {np.round(kept.omegas[:, 0], 4)}")
    print("\n")
    print_table(
        ["learning rate", "expected loss"],
        [
            ["PBT's schedule", spread(schedules, 4)],
            ["the best of as many constant ones drawn at random", spread(constants, 4)],
            ["the best constant there is", f"{problem.best_constant():.4f}"],
            ["the best schedule there is", f"{problem.best_schedule():.4f}"],
        ],
    )


# Population-based training: digits.


def held_out(problem: em.InnerTraining, schedule: Any, tasks: int = 256) -> float:
    """Return the loss at the end of training by a schedule, on held-out tasks."""
    trials = draw_trials(problem, 2017, tasks, test=True)

    @jax.jit
    def mean(schedule: Any) -> jax.Array:
        one = jax.vmap(lambda key, task: replay(problem, key, schedule, task)[0][-1])
        return jnp.mean(one(trials.keys, trials.tasks))

    return float(mean(schedule))


def constant(omega: Any) -> Any:
    """Return a schedule of one window."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], omega)


def digits(seeds: int) -> None:
    """Print losses on the search's own tasks and on held-out ones."""
    rows = []
    for inner_steps in (100, 400):
        problem, size = DigitsHyperparameters(inner_steps=inner_steps), 32
        budget = size * problem.inner_steps_per_evaluation
        found: dict[str, list[tuple[float, float]]] = {
            "PBT's schedule": [],
            "random search": [],
            "CMA-ES, 20 times": [],
        }
        for seed in range(seeds):
            kept = search(problem, PBT(size), seed).run(inner_steps=budget).archive
            assert kept is not None
            found["PBT's schedule"].append((float(kept.fitness[-1]), held_out(problem, kept.omegas)))
            drawn = search(problem, RandomSearch(size), seed).run(inner_steps=budget)
            found["random search"].append((drawn.best_fitness, held_out(problem, constant(drawn.best_omega))))
            last = {"validate_every": 10**9, "finalists": 0, "validation_tasks": 64, "validation_share": None}
            long = search(problem, CMAES(size), seed, **last).run(inner_steps=20 * budget)
            found["CMA-ES, 20 times"].append((long.center_fitness, held_out(problem, constant(long.center_omega))))
            note(f"digits, {inner_steps} steps, seed {seed}: { {name: each[-1] for name, each in found.items()} }")
            note(f"{jax.tree.map(lambda leaf: np.round(leaf, 4), kept.omegas)}")
        rows += [
            [f"{inner_steps} steps", name, *(spread(each) for each in zip(*pairs, strict=True))]
            for name, pairs in found.items()
        ]
    print("\n")
    print_table(["training", "hyperparameters of", "loss where it was searched", "held-out loss"], rows)


def main() -> None:
    """Measure and print the tables asked for."""
    tables = ("seconds", "steps", "price", "toy", "quadratic", "digits")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each search of the table 'seconds'")
    parser.add_argument("--steps", type=int, default=1_000_000, help="inner steps of each search of the table 'steps'")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=[*SIDES], help="of the tables of sinusoids")
    parser.add_argument("--tasks", type=int, default=1000, help="held-out tasks of the tables of sinusoids")
    parser.add_argument("--priced", type=int, default=3, help="problems in the table 'price'")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side in the table 'price'")
    parser.add_argument("--members", type=int, nargs="+", default=[2, 10], help="trainings of the table 'toy'")
    small = "--tables steps price toy --seeds 1 --steps 1 --sides Gradient --tasks 16 --priced 1 --rounds 1 --members 2"
    arguments = parse_arguments(parser, small)
    chosen, sides = arguments.tables, {name: SIDES[name] for name in arguments.sides}
    if "seconds" in chosen:
        with alone():
            every = sides | {"Gradient, then OpenAIES": warm_started}
            sinusoid(every, arguments.seeds, arguments.tasks, seconds=arguments.seconds)
    if "steps" in chosen:
        sinusoid(sides, arguments.seeds, arguments.tasks, steps=arguments.steps)
    if "price" in chosen:
        price(arguments.priced, arguments.rounds)
    if "toy" in chosen:
        toy(arguments.seeds, arguments.members)
    for name, table in (("quadratic", quadratic), ("digits", digits)):
        if name in chosen:
            table(arguments.seeds)


if __name__ == "__main__":
    main()
