"""When evolution is better than the gradient: a sweep over dimension, inner length, noise and chaos.

ω is the start of gradient descent in D dimensions. Each task has its own minimum, normal around a point that all share
(standard deviation 0.3). A learner takes S noisy steps on a quadratic, with curvatures from 0.1 to 1, to which
``ripple`` adds a cosine in each coordinate; the fitness is the mean loss per coordinate after the last step, on the
mean over 8 tasks. Where step size times greatest curvature is past 2, the edge of stability, small differences of ω
grow from step to step, and the derivative with them.

Each way has the same seconds of one core after compilation; rates and step sizes are the best of three, chosen by one
search on training tasks. Figures are of held-out tasks, over the fitness at the point that all tasks share.

    taskset -c 0 python benchmarks/evolution_or_gradient.py
    python benchmarks/evolution_or_gradient.py --sweeps chaos --seeds 1 --seconds 1  # a quick look
"""

import _one_core  # isort: skip  # noqa: F401
import argparse
import dataclasses
import math
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _engine import mean_fitness
from _measure import note, parse_arguments, print_table

import evometa as em
from evometa.problem import InnerTraining
from evometa.settings import Count, NonNegative, Positive
from evometa.spaces import Box
from evometa.strategies import Gradient, OpenAIES, SepCMAES
from evometa.types import Key, Omega, Scalar, Task

SPREAD = 0.3
WAVES = 6.0
"""Of a ripple in a unit of a coordinate, in radians."""


@dataclasses.dataclass(frozen=True)
class Start(InnerTraining):
    """The start of noisy gradient descent in a rippled bowl.

    Args:
        dimension: D.
        rate: step size of the inner descent.
        ripple: height of the cosine.
        noise: standard deviation of the noise in each coordinate of an inner gradient.
    """

    num_tasks: int = 8
    inner_steps: int = 10
    dimension: Count = 100
    rate: Positive = 0.1
    ripple: NonNegative = 0.0
    noise: NonNegative = 0.0

    @property
    def space(self) -> Box:
        """The start, away from the point that all tasks share."""
        return Box((self.dimension,), start=0.0, dtype=jnp.float32)

    @property
    def shared(self) -> Any:
        """The point around which the tasks' minima lie, ``[D]``."""
        return np.random.default_rng(0).normal(size=self.dimension).astype(np.float32)

    def sample_task(self, key: Key) -> Task:
        """Draw a minimum."""
        return self.shared + SPREAD * jax.random.normal(key, (self.dimension,), jnp.float32)

    def init(self, key: Key, omega: Omega, task: Task) -> Any:
        """Begin at ω."""
        return omega

    def step(self, key: Key, omega: Omega, task: Task, learner: Any) -> Any:
        """Take one noisy step of gradient descent."""
        away, curvature = learner - task, np.geomspace(0.1, 1.0, self.dimension, dtype=np.float32)
        gradient = curvature * away + self.ripple * WAVES * jnp.sin(WAVES * away)
        if self.noise:
            gradient += self.noise * jax.random.normal(key, (self.dimension,), jnp.float32)
        return learner - self.rate * gradient

    def loss(self, key: Key, omega: Omega, task: Task, learner: Any) -> Scalar:
        """Return the mean loss of a coordinate."""
        away, curvature = learner - task, np.geomspace(0.1, 1.0, self.dimension, dtype=np.float32)
        return jnp.mean(curvature * away**2 / 2 + self.ripple * (1 - jnp.cos(WAVES * away)))


WAYS: dict[str, list[Any]] = {
    "gradient": [Gradient(learning_rate=rate) for rate in (0.003, 0.03, 0.1)],
    "OpenAI-ES": [OpenAIES(32, sigma=0.1, learning_rate=rate, shaping="pair_difference") for rate in (0.01, 0.03, 0.1)],
    "separable CMA-ES": [SepCMAES(sigma=sigma) for sigma in (0.1, 0.3, 1.0)],
}


def searched(problem: Start, strategy: Any, seed: int, seconds: float) -> Any:
    """Return what a search of so many seconds of the processor finds, compilation left out."""
    begun = math.inf

    def over(_: Any) -> bool:
        return time.process_time() - begun >= seconds

    search = em.Search(problem, strategy, seed=seed, validation_share=0.0, progress=False, callbacks=[over])
    search.run(generations=1)
    begun = time.process_time()
    return search.run(generations=10**9).center_omega


def score(problem: Start, omega: Any, tasks: int, *, test: bool) -> float:
    """Return the mean fitness of an ω on tasks, over that of the point that the tasks share."""
    found, shared = (mean_fitness(problem, one, tasks, seed=int(test)) for one in (omega, jnp.asarray(problem.shared)))
    return found / shared


SWEEPS: dict[str, list[dict[str, Any]]] = {
    "D": [{"dimension": dimension} for dimension in (10, 100, 1000, 10_000, 100_000)],
    "S": [{"inner_steps": steps} for steps in (1, 10, 100, 1000)],
    "noise": [{"noise": noise, "inner_steps": 100} for noise in (0.0, 1.0, 10.0)],
    # 0.1 · (1 + 36 · ripple): 0.1, 0.46, 1.9 and 3.7 times step size and curvature
    "chaos": [{"ripple": ripple, "inner_steps": 100} for ripple in (0.0, 0.1, 0.5, 1.0)],
}


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=list(SWEEPS))
    parser.add_argument("--points", type=int, default=9, help="of each sweep, at most")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=200, help="for each score")
    parser.add_argument("--settings", type=int, default=3, help="tried for each way")
    arguments = parse_arguments(parser, "--sweeps D --points 1 --seconds 0 --seeds 1 --tasks 4 --settings 1")
    rows = []
    for sweep in arguments.sweeps:
        for point in SWEEPS[sweep][: arguments.points]:
            problem, cells = Start(**point), []
            for ways in WAYS.values():
                tried = [searched(problem, strategy, 0, arguments.seconds) for strategy in ways[: arguments.settings]]
                on_training = [score(problem, omega, arguments.tasks, test=False) for omega in tried]
                best = min(range(len(tried)), key=on_training.__getitem__)
                rest = range(1, arguments.seeds)
                found = [tried[best], *(searched(problem, ways[best], seed, arguments.seconds) for seed in rest)]
                held_out = [score(problem, omega, arguments.tasks, test=True) for omega in found]
                cells.append(f"{statistics.mean(held_out):.3f} ({min(held_out):.3f} to {max(held_out):.3f})")
            label = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in point.items())
            rows.append([label, *cells])
            note(rows[-1])
    print_table(["point of the sweep", *WAYS], rows)


if __name__ == "__main__":
    main()
