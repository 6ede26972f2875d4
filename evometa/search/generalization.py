"""How well a found ω does where it was not found: on held-out tasks, and on other distributions of tasks."""

import collections
import functools
import math
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.backend.precision import entropy_of, key_of, whole_seed
from evometa.backend.static_leaves import pack, unpack
from evometa.executors.calls import omega_structure
from evometa.executors.choice import Workers, executor_for
from evometa.executors.executor import Trial, run_in_order
from evometa.problem import BaseProblem, HostProblem, InnerTraining, Problem, as_evaluation
from evometa.settings import Count, checked
from evometa.types import Key, Omega


class DistributionScore(NamedTuple):
    """How one ω does on one distribution of tasks."""

    distribution: str
    """training, held-out, or a name that the problem's :meth:`~evometa.Problem.shifted` gives."""
    fitness: float
    """Mean over tasks, in the problem's own direction; NaN where any task gave none."""
    standard_error: float
    """Of that mean; NaN for a single task."""
    failed: int = 0
    """Tasks that gave no finite fitness."""
    failure: str = ""
    """What most of those failed of, in words, where the problem is one in plain Python."""


@checked
def generalization(
    problem: BaseProblem, omega: Omega, *, tasks: Count = 1000, seed: int = 0, workers: Workers = None
) -> list[DistributionScore]:
    """Evaluate one ω on fresh training tasks, on held-out ones, and on each shifted distribution that there is.

    A plain-Python problem is evaluated by worker processes with its time limit, as in a search.

    Args:
        problem: the problem that ω was found for.
        omega: one ω, such as a result's ``selected_omega``.
        tasks: tasks of each distribution, at least 1; evaluations, for problems without tasks.
        seed: which tasks. A search never sees tasks of this function.
        workers: where a :class:`~evometa.HostProblem` is evaluated, as for :class:`~evometa.Search`.

    Raises:
        ConfigurationError: fewer than one task.
    """
    places: list[tuple[str, BaseProblem, bool]] = [("training", problem, False)]
    places += [("held-out", problem, True)] if problem.has_test() else []
    places += [(name, other, other.has_test()) for name, other in problem.shifted().items()]
    seed = whole_seed("generalization", seed)
    scores = []
    for number, (name, place, test) in enumerate(places):
        fitness, failure = _on_tasks(place, omega, tasks, (seed, number), test, workers)
        error = float(np.std(fitness, ddof=1)) / math.sqrt(tasks) if tasks > 1 else math.nan
        failed = int(np.sum(~np.isfinite(fitness)))
        scores.append(DistributionScore(name, float(np.mean(fitness)), error, failed, failure))
    return scores


def _on_tasks(
    problem: BaseProblem, omega: Omega, tasks: int, seed: tuple[int, int], test: bool, workers: Workers
) -> tuple[NDArray[np.float64], str]:
    """Return the fitness on each task, ``[tasks]``, and what most of those without one failed of."""
    if isinstance(problem, HostProblem):
        return _on_host(problem, omega, tasks, seed, test, workers)
    assert isinstance(problem, (Problem, InnerTraining))
    key = jax.random.fold_in(jax.random.fold_in(key_of(seed[0]), _APART), seed[1])

    def draw(key: Key) -> Any:
        assert isinstance(problem, InnerTraining)
        return problem.sample_test_task(key) if test else problem.sample_task(key)

    # Tasks of a batch are drawn one after the other, which compiles in a third of the time.
    drawing = jax.custom_batching.sequential_vmap(draw)

    def one(omega: Omega, key: Key) -> Any:
        if isinstance(problem, InnerTraining):
            key_task, key_learner = jax.random.split(key)
            return problem.evaluate_task(key_learner, omega, drawing(key_task)).fitness
        return as_evaluation((problem.evaluate_test if test else problem.evaluate)(key, omega)).fitness

    @jax.jit
    def on_all(omega: Any, keys: Key) -> Any:
        return jax.lax.map(functools.partial(one, unpack(omega)), keys, batch_size=min(tasks, _BATCH))

    found = on_all(pack(omega), jax.random.split(key, tasks))
    return np.asarray(found, np.float64), ""


_APART = 0x67656E
"""Sets these keys apart from those of every search."""
_BATCH = 64


def _on_host(
    problem: HostProblem, omega: Omega, tasks: int, seed: tuple[int, int], test: bool, workers: Workers
) -> tuple[NDArray[np.float64], str]:
    whole = _whole(omega_structure(problem), omega)
    trials = [
        Trial(whole, (_APART, entropy_of(seed[0]), seed[1], number), "evaluate_test" if test else "evaluate")
        for number in range(tasks)
    ]
    with executor_for(problem, workers, most=tasks) as executor:
        outcomes = run_in_order(executor, trials)
    failures = collections.Counter(outcome.failure for outcome in outcomes if outcome.failure)
    failure = failures.most_common(1)[0][0] if failures else ""
    return np.array([outcome.fitness for outcome in outcomes], np.float64), failure


def _whole(structure: Any, omega: Omega) -> Omega:
    """Return ω with zeros for the inactive parts that it lacks, which workers leave out again."""
    if not isinstance(structure, dict):
        return omega
    return {
        name: _whole(part, omega[name])
        if name in omega
        else jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), part)
        for name, part in structure.items()
    }
