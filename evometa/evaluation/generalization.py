"""How well a found ω does where it was not found: on held-out tasks, and on other distributions of tasks."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.backend.precision import entropy_of, key_of, whole_seed
from evometa.errors import ConfigurationError
from evometa.evaluation.task_source import as_evaluation
from evometa.problem import BaseProblem, HostProblem, InnerTraining, Problem
from evometa.types import Key, Omega


class DistributionScore(NamedTuple):
    """How one ω does on one distribution of tasks."""

    distribution: str
    """training, held-out, or a name that the problem's :meth:`~evometa.Problem.shifted` gives."""
    fitness: float
    """Mean over tasks, in the problem's own direction; NaN where any task gave none."""
    standard_error: float
    """Of that mean; NaN for a single task."""


def generalization(problem: BaseProblem, omega: Omega, *, tasks: int = 1000, seed: int = 0) -> list[DistributionScore]:
    """Evaluate one ω on fresh training tasks, on held-out ones, and on each shifted distribution that there is.

    Args:
        problem: the problem that ω was found for.
        omega: one ω, such as a result's ``selected_omega``.
        tasks: tasks of each distribution, at least 1; evaluations, for problems without tasks.
        seed: which tasks. A search never sees tasks of this function.

    Raises:
        ConfigurationError: fewer than one task.
    """
    if tasks < 1:
        raise ConfigurationError(f"generalization expects at least 1 task of each distribution, got tasks={tasks}.")
    places: list[tuple[str, BaseProblem, bool]] = [("training", problem, False)]
    places += [("held-out", problem, True)] if problem.has_test() else []
    places += [(name, other, other.has_test()) for name, other in problem.shifted().items()]
    seed = whole_seed("generalization", seed)
    scores = []
    for number, (name, place, test) in enumerate(places):
        fitness = _on_tasks(place, omega, tasks, (seed, number), test)
        error = float(np.std(fitness, ddof=1)) / math.sqrt(tasks) if tasks > 1 else math.nan
        scores.append(DistributionScore(name, float(np.mean(fitness)), error))
    return scores


def _on_tasks(problem: BaseProblem, omega: Omega, tasks: int, seed: tuple[int, int], test: bool) -> NDArray[np.float64]:
    """Return the fitness on each task, ``[tasks]``."""
    if isinstance(problem, HostProblem):
        return np.fromiter(_on_host(problem, omega, tasks, seed, test), np.float64)
    assert isinstance(problem, (Problem, InnerTraining))
    key = jax.random.fold_in(jax.random.fold_in(key_of(seed[0]), _APART), seed[1])

    def one(key: Key) -> Any:
        if isinstance(problem, InnerTraining):
            key_task, key_learner = jax.random.split(key)
            task = problem.sample_test_task(key_task) if test else problem.sample_task(key_task)
            return problem.evaluate_task(key_learner, omega, task).fitness
        return as_evaluation((problem.evaluate_test if test else problem.evaluate)(key, omega)).fitness

    found = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=min(tasks, _BATCH)))(jax.random.split(key, tasks))
    return np.asarray(found, np.float64)


_APART = 0x67656E
"""Sets these keys apart from those of every search."""
_BATCH = 64


def _on_host(problem: HostProblem, omega: Omega, tasks: int, seed: tuple[int, int], test: bool) -> Iterator[float]:
    evaluate = problem.evaluate_test if test else problem.evaluate
    for number in range(tasks):
        rng = np.random.default_rng((_APART, entropy_of(seed[0]), seed[1], number))
        yield float(as_evaluation(evaluate(rng, omega)).fitness)
