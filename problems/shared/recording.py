"""The learner after every inner step: what pictures of a learner at work are drawn from."""

from typing import Any

import jax

from evometa.backend.static_leaves import unpack
from evometa.problem import InnerTraining, begin, train
from evometa.types import Key, Learner, Omega, Scalar, Task


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
        key_task, key_learner = jax.random.split(key)
        task = problem.sample_test_task(key_task)

        def step(learner: Any, number: Scalar) -> tuple[Any, Any]:
            learner = train(problem, key_learner, omega, task, learner, number, 1)
            return learner, learner

        start = begin(problem, key_learner, omega, task)
        return task, jax.lax.scan(step, start, jax.numpy.arange(problem.inner_steps))[1]

    task, learners = jax.device_get(unroll(key, omega))
    return task, unpack(learners)
