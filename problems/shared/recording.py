"""Learners on held-out tasks, before any inner step and after each: what pictures are drawn from."""

from typing import Any

import jax

from evometa.backend.static_leaves import unpack
from evometa.inner_training import begin, train
from evometa.problem import InnerTraining
from evometa.types import Key, Learner, Omega, Scalar, Task


def _begun(problem: InnerTraining, key: Key, omega: Omega) -> tuple[Task, Key, Learner]:
    """Return a held-out task, the key of its learner, and the learner before any step."""
    key_task, key_learner = jax.random.split(key)
    task = problem.sample_test_task(key_task)
    return task, key_learner, begin(problem, key_learner, omega, task)


def held_out(problem: InnerTraining, key: Key, omega: Omega, count: int) -> tuple[Task, Learner]:
    """Return ``count`` held-out tasks and the learner of each, before any step; leading axis, arrays of numpy."""

    def one(key: Key) -> Any:
        task, _, learner = _begun(problem, key, omega)
        return task, learner

    tasks, learners = jax.device_get(jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(key, count)))
    return tasks, unpack(learners)


def record_learner(problem: InnerTraining, key: Key, omega: Omega) -> tuple[Task, Learner]:
    """Train one learner on one held-out task, and keep it after each step.

    Args:
        problem: the problem.
        key: the key of the task and of the learner.
        omega: one ω.

    Returns:
        The task, and the learners with leading axis S; arrays of numpy.
    """

    @jax.jit
    def unroll(key: Key, omega: Omega) -> Any:
        task, key_learner, start = _begun(problem, key, omega)

        def step(learner: Any, number: Scalar) -> tuple[Any, Any]:
            learner = train(problem, key_learner, omega, task, learner, number, 1)
            return learner, learner

        return task, jax.lax.scan(step, start, jax.numpy.arange(problem.inner_steps))[1]

    task, learners = jax.device_get(unroll(key, omega))
    return task, unpack(learners)
