"""Evolution, gradients and policy gradients as meta-optimizers, side by side on problems that can be differentiated.

Three strategies in equal seconds of the process, compilation left out:

evolution        OpenAI-ES, with antithetic pairs that each have tasks of their own.
gradient         Adam on the gradient through the whole of inner training.
policy gradient  PGPE (Sehnke et al. 2010): REINFORCE where the policy is a normal distribution that draws ω once, with
                 symmetric samples and a learned standard deviation. A search for ω is a game of a single move, so a
                 policy gradient has nothing else to work with; evolution strategies differ from it by a σ that stays,
                 and here by how fitness is shaped and steps are taken.

The step size of each is the best of three, by the fitness on fresh training tasks after a search of the same length
with a seed that is not among those reported. Each side runs in a process of its own. Its memory is the most that it
ever held resident, less what it held before the search, compiling included; and what the compiled program asks for.
Quality is the mean over held-out tasks, for each seed.

To add a problem, add a line to ``PROBLEMS``.

    python benchmarks/meta_optimizers.py
    python benchmarks/meta_optimizers.py --problems sinusoid --seconds 20 --keep measured.json
"""

import argparse
import functools
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from _engine import draw_trials, on_trial, program_bytes
from _measure import Kept, parse_arguments, print_table

import evometa as em
from evometa import problems
from evometa.strategies import PGPE, Gradient, OpenAIES

SIDES = ("evolution", "gradient", "policy gradient")
FACTORS = (1 / 3, 1.0, 3.0)
TUNING_SEED = 1000
MIB = 2**20


class Entry(NamedTuple):
    """A problem, and what suits each side; rates are the middle one of three."""

    problem: Any
    population: int = 64
    sigma: float = 0.1
    rate: float = 0.01
    """Of OpenAI-ES."""
    gradient_rate: float = 0.003
    """Of Adam on the gradient."""
    tasks: int = 512
    """Held-out tasks that quality is measured on."""


PROBLEMS: dict[str, Entry] = {
    "sinusoid": Entry(problems.Sinusoid(num_tasks=4), 512, 0.03, 0.01, 0.003),
    "sinusoid-hypernetwork": Entry(problems.SinusoidHypernetwork(num_tasks=8), 512, 0.03, 0.01, 0.003),
    "digits-hyperparameters": Entry(problems.DigitsHyperparameters(), 16, 0.1, 0.03, 0.03, tasks=128),
    "hyperparameter-schedule": Entry(problems.HyperparameterSchedule(), 16, 0.1, 0.03, 0.03, tasks=128),
    "noisy-quadratic": Entry(problems.NoisyQuadratic(), 16, 0.1, 0.03, 0.03),
    "learned-optimizer": Entry(
        problems.LearnedOptimizer(
            inner_steps=50,
            objective=em.At((10, 20, 30, 40, 50)),
            batch_size=64,
            hidden=(16,),
            optimizer_hidden=(16, 16),
        ),
        32,
        0.03,
        0.03,
        0.003,
        tasks=64,
    ),
    "learned-evolution-strategy": Entry(problems.LearnedEvolutionStrategy(inner_steps=20), 64, 0.1, 0.03, 0.01),
    "omniglot-prototypes": Entry(problems.OmniglotPrototypes(characters="glyphs", num_tasks=2), 256, 0.05, 0.02, 0.005),
    "omniglot-initialisation": Entry(
        problems.OmniglotInitialisation(characters="glyphs", num_tasks=2), 256, 0.05, 0.02, 0.005
    ),
    "hypercleaning": Entry(problems.Hypercleaning(), 256, 0.05, 0.02, 0.01, tasks=32),
    "auxiliary-tasks": Entry(problems.AuxiliaryTasks(), 16, 0.15, 0.03, 0.03, tasks=32),
    "dataset-distillation": Entry(problems.DatasetDistillation(), 256, 0.03, 0.02, 0.03, tasks=32),
    "curriculum": Entry(problems.Curriculum(), 16, 0.15, 0.03, 0.03, tasks=32),
    "sample-selection": Entry(problems.SampleSelection(), 24, 0.15, 0.03, 0.03, tasks=32),
    "data-augmentation": Entry(problems.DataAugmentation(), 16, 0.15, 0.03, 0.03, tasks=32),
    "learned-loss-taylor": Entry(problems.LearnedLossTaylor(), 32, 0.3, 0.1, 0.03, tasks=32),
    "learned-loss-network": Entry(problems.LearnedLossNetwork(), 32, 0.1, 0.03, 0.01, tasks=32),
    "influence-balancing": Entry(problems.InfluenceBalancing(), 16, 0.1, 0.01, 0.01, tasks=1),
}


def strategy(entry: Entry, side: str, factor: float) -> Any:
    """Return a side's strategy, its step size times a factor."""
    if side == "gradient":
        return Gradient(learning_rate=factor * entry.gradient_rate)
    if side == "policy gradient":
        return PGPE(entry.population, sigma=entry.sigma, max_speed=factor * 0.067)
    settings: dict[str, Any] = {"shaping": "pair_difference", "tasks_per_pair": True}
    return OpenAIES(entry.population, sigma=entry.sigma, learning_rate=factor * entry.rate, **settings)


class Run(NamedTuple):
    """A search that is over."""

    omega: Any
    generations: int
    inner_steps: int
    seconds: float
    program: int
    """Bytes that its compiled program asks for."""


def search(problem: Any, chosen: Any, seed: int, seconds: float) -> Run:
    """Search for some seconds of the process, not counting the first generation, which compiles."""
    used = 0.0

    def over(_: Any) -> bool:
        nonlocal used
        used = time.process_time() - begun
        return used >= seconds

    settings: dict[str, Any] = {"validation_share": 0.0, "progress": False}
    one = em.Search(problem, chosen, seed=seed, devices=1, callbacks=[over], **settings)
    begun = time.process_time() + seconds
    one.run(generations=1)
    begun = time.process_time()
    result = one.run(generations=10**9)
    return Run(result.center_omega, result.generations, result.inner_steps, used, program_bytes(one))


def quality(entry: Entry, *, test: bool) -> Callable[[Any], float]:
    """Return a compiled function: from ω to its mean fitness on fresh tasks."""
    evaluate, trials = on_trial(entry.problem), draw_trials(entry.problem, 2020, entry.tasks, test=test)

    @jax.jit
    def mean(omega: Any) -> jax.Array:
        return jnp.mean(jax.lax.map(lambda trial: evaluate(omega, trial).fitness, trials, batch_size=4))

    return lambda omega: float(mean(omega))


def resident() -> int:
    """Return the most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def one_side(name: str, side: str, seeds: int, seconds: float, factors: list[float]) -> dict[str, Any]:
    """Tune one side of one problem and search with each seed."""
    entry = PROBLEMS[name]
    before = resident()
    ends, on_training = {}, quality(entry, test=False)
    for factor in factors:
        tried = search(entry.problem, strategy(entry, side, factor), TUNING_SEED, seconds)
        end = on_training(tried.omega) * (1 if entry.problem.direction == "minimize" else -1)
        ends[factor] = math.inf if math.isnan(end) else end
    best = min(ends, key=lambda factor: ends[factor])
    runs = [search(entry.problem, strategy(entry, side, best), seed, seconds) for seed in range(seeds)]
    memory, on_held_out = resident() - before, quality(entry, test=True)
    return {
        "factor": best,
        "held_out": [on_held_out(run.omega) for run in runs],
        "seconds": statistics.mean(run.seconds for run in runs),
        "generations": round(statistics.mean(run.generations for run in runs)),
        "inner_steps": statistics.mean(run.inner_steps for run in runs),
        "memory": memory,
        "program": max(run.program for run in runs),
    }


def printed(command: list[str]) -> dict[str, Any]:
    """Return what a process prints last, as JSON."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def untrained(entry: Entry) -> float:
    """Return the quality of where a search begins."""
    space = entry.problem.space
    return quality(entry, test=True)(space.decode(space.start(jax.random.key(0))))


def main() -> None:
    """Run each side of each problem in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=[*PROBLEMS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each search")
    parser.add_argument("--keep", type=Path, help="a file for what was measured; continues where it was interrupted")
    parser.add_argument("--side", choices=SIDES, help="run this side of one problem here, and print what came of it")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument(
        "--factors", type=float, nargs="+", default=list(FACTORS), help="that step sizes are tried with"
    )
    arguments = parse_arguments(
        parser, "--problems influence-balancing --seeds 1 --seconds 0.1 --sides gradient --factors 1"
    )
    if arguments.side:
        (name,) = arguments.problems
        print(json.dumps(one_side(name, arguments.side, arguments.seeds, arguments.seconds, arguments.factors)))
        return
    rows = []
    kept = Kept(arguments.keep)
    for name in arguments.problems:
        entry = PROBLEMS[name]
        size = f"{name}, D={entry.problem.space.size}, S={entry.problem.inner_steps}"
        rows.append([size, "none", f"{untrained(entry):.3f}", "", "", "", "", ""])
        for side in arguments.sides:
            limits = ["--seeds", str(arguments.seeds), "--seconds", str(arguments.seconds)]
            command = [sys.executable, __file__, "--problems", name, "--side", side, *limits]
            if tuple(arguments.factors) != FACTORS:
                command += ["--factors", *map(str, arguments.factors)]
            found = kept.get_or(" ".join(command[2:]), functools.partial(printed, command))
            held_out = found["held_out"]
            rows.append(
                [
                    "",
                    side,
                    f"{statistics.mean(held_out):.3f} ({', '.join(f'{one:.3f}' for one in held_out)})",
                    f"{found['factor']:.2g}",
                    f"{found['seconds']:.0f}",
                    f"{found['generations']:,}",
                    f"{found['inner_steps'] / 1e6:.2f}",
                    f"{found['memory'] / MIB:.0f}, {found['program'] / MIB:.1f}",
                ]
            )
    header = ["problem", "meta-optimizer", "held-out (each seed)", "step size times", "s", "updates"]
    print_table([*header, "10⁶ inner steps", "MiB of the process, of the program"], rows)


if __name__ == "__main__":
    main()
