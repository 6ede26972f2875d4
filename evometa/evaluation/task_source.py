"""Where the tasks of an evaluation come from: inner training draws tasks, any other JAX problem draws keys.

A task source draws what the candidates of one generation share (common random numbers), evaluates one ω on it, and
draws the tasks of a validation. It is the only place that knows how the two kinds of compiled problems differ.
"""

import dataclasses
import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from evometa.problem import Evaluation, InnerTraining, Problem, as_evaluation
from evometa.types import Key, Omega, Task


class TaskSet(NamedTuple):
    """The tasks that one candidate is evaluated on, with the keys of their learners; leading axis T."""

    keys: Key
    tasks: Task


class TaskSource(Protocol):
    """Draws tasks of a compiled problem and evaluates one ω on them."""

    @property
    def tasks_per_candidate(self) -> int:
        """T, the tasks of one evaluation; 1 for problems without tasks."""

    @property
    def alike(self) -> bool:
        """Whether held-out tasks are evaluated as training tasks are; then :meth:`evaluate_on` does not ask which."""

    def draw(self, key: Key) -> Any:
        """Draw what the candidates of one generation share: T tasks or keys."""

    def evaluate(self, shared: Any, omega: Omega) -> Evaluation:
        """Evaluate one ω on what the generation shares; scalars and vectors, means over tasks."""

    def sample(self, key: Key, count: int, *, test: bool) -> Any:
        """Draw ``count`` tasks for a validation, of the training or the held-out distribution; leading axis."""

    def evaluate_on(self, omega: Omega, task: Any, *, test: bool) -> Evaluation:
        """Evaluate one ω on one task of :meth:`sample`."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingTasks:
    """The task source of inner training: the candidates of a generation share T tasks.

    Args:
        problem: the problem.
    """

    problem: InnerTraining

    @property
    def tasks_per_candidate(self) -> int:
        """T."""
        return self.problem.num_tasks

    @property
    def alike(self) -> bool:
        """They are: tasks differ in how they are drawn."""
        return True

    def draw(self, key: Key) -> TaskSet:
        """Draw T training tasks."""
        return self.sample(key, self.problem.num_tasks, test=False)

    def evaluate(self, shared: TaskSet, omega: Omega) -> Evaluation:
        """Train a learner on each task; every part of the evaluation is a mean over tasks."""
        return mean(jax.vmap(functools.partial(self.evaluate_on, omega, test=False))(shared))

    def sample(self, key: Key, count: int, *, test: bool) -> TaskSet:
        """Draw tasks, and a key for the learner of each."""
        key_tasks, key_learners = jax.random.split(key)
        draw = self.problem.sample_test_task if test else self.problem.sample_task
        return TaskSet(jax.random.split(key_learners, count), jax.vmap(draw)(jax.random.split(key_tasks, count)))

    def evaluate_on(self, omega: Omega, task: TaskSet, *, test: bool) -> Evaluation:
        """Train a learner on one task."""
        return self.problem.evaluate_task(task.keys, omega, task.tasks)


@dataclasses.dataclass(frozen=True, eq=False)
class KeyDraws:
    """The task source of a :class:`~evometa.Problem`: the candidates of a generation share its keys.

    Args:
        problem: the problem.
    """

    problem: Problem

    @property
    def tasks_per_candidate(self) -> int:
        """How many draws an evaluation averages."""
        return self.problem.num_tasks or 1

    @property
    def alike(self) -> bool:
        """They may not be: the problem evaluates what is held out by another method."""
        return False

    def draw(self, key: Key) -> Key:
        """Return as many keys as an evaluation averages draws."""
        return self.sample(key, self.tasks_per_candidate, test=False)

    def evaluate(self, shared: Key, omega: Omega) -> Evaluation:
        """Evaluate one ω with each key; every part of the evaluation is a mean."""
        if self.tasks_per_candidate == 1:
            return self.evaluate_on(omega, shared[0], test=False)
        return mean(jax.vmap(functools.partial(self.evaluate_on, omega, test=False))(shared))

    def evaluate_population(self, shared: Key, omegas: Omega) -> Evaluation:
        """Evaluate a population at once, as the problem defines it; leading axis P."""

        def once(key: Key) -> Evaluation:
            return as_evaluation(self.problem.evaluate_population(key, omegas))

        return once(shared[0]) if self.tasks_per_candidate == 1 else mean(jax.vmap(once)(shared))

    def sample(self, key: Key, count: int, *, test: bool) -> Key:
        """Return ``count`` keys; a single one is the key itself."""
        return key[None] if count == 1 else jax.random.split(key, count)

    def evaluate_on(self, omega: Omega, task: Key, *, test: bool) -> Evaluation:
        """Evaluate one ω with one key, on what is held out if asked to."""
        return as_evaluation((self.problem.evaluate_test if test else self.problem.evaluate)(task, omega))


def task_source(problem: Problem | InnerTraining) -> TrainingTasks | KeyDraws:
    """Return the task source of a compiled problem."""
    return TrainingTasks(problem) if isinstance(problem, InnerTraining) else KeyDraws(problem)


def mean(evaluations: Evaluation) -> Evaluation:
    """Return the mean over the leading axis of every part."""
    return Evaluation(*jax.tree.map(functools.partial(jnp.mean, axis=0), evaluations))
