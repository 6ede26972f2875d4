"""Training one learner with one ω on one task: step by step, in pieces, with or without its learning curve."""

from typing import Literal, Protocol

import jax
import jax.numpy as jnp

from evometa.backend.static_leaves import pack, unpack
from evometa.types import Key, Learner, Omega, Scalar, Task

LONG = 256
"""Up to so many validation losses are kept until their mean is taken; more are added up as they come."""


class Training(Protocol):
    """What training takes of a problem with an inner loop."""

    def init(self, key: Key, omega: Omega, task: Task) -> Learner:
        """Return a learner before its first update."""

    def step(self, key: Key, omega: Omega, task: Task, learner: Learner) -> Learner:
        """Return the learner after one update."""

    def loss(self, key: Key, omega: Omega, task: Task, learner: Learner) -> Scalar:
        """Return the learner's validation loss."""


def part_key(key: Key, name: Literal["init", "step", "loss", "metrics"]) -> Key:
    """Return the key of one method of a problem, from that of a learner."""
    return jax.random.fold_in(key, ("init", "step", "loss", "metrics").index(name))


def begin(problem: Training, key: Key, omega: Omega, task: Task) -> Learner:
    """Return the learner of one ω on one task before its first update; packed, as all learners between steps are."""
    return pack(problem.init(part_key(key, "init"), omega, task))


def train(
    problem: Training, key: Key, omega: Omega, task: Task, learner: Learner, start: int | Scalar, count: int
) -> Learner:
    """Update a learner ``count`` times, from inner step ``start`` on.

    The key of a step depends on the step's number alone, so training in pieces gives what training at once gives.
    """
    keys = part_key(key, "step")

    def one(number: Scalar, learner: Learner) -> Learner:
        return pack(problem.step(jax.random.fold_in(keys, start + number), omega, task, unpack(learner)))

    return jax.lax.fori_loop(0, count, one, learner)  # no array of step numbers, which would grow with their count


def validate(problem: Training, key: Key, omega: Omega, task: Task, learner: Learner, number: int | Scalar) -> Scalar:
    """Return the validation loss of a learner after inner step ``number``."""
    return problem.loss(jax.random.fold_in(part_key(key, "loss"), number), omega, task, unpack(learner))


def learning_curve(
    problem: Training, key: Key, omega: Omega, task: Task, steps: tuple[int, ...]
) -> tuple[jax.Array, Learner]:
    """Train one learner on one task and return its validation losses after the named inner steps, and the learner.

    Args:
        problem: the problem.
        key: the task's key.
        omega: one ω.
        task: one task.
        steps: ascending step numbers, 0 for before any update; the last one ends the training, which may go beyond
            the problem's own ``inner_steps``.

    Returns:
        The losses ``[len(steps)]`` and the learner after the last step.
    """
    learner = begin(problem, key, omega, task)
    if len(steps) > 1 and steps == tuple(range(1, len(steps) + 1)):

        def one(learner: Learner, number: Scalar) -> tuple[Learner, Scalar]:
            learner = train(problem, key, omega, task, learner, number - 1, 1)
            return learner, validate(problem, key, omega, task, learner, number)

        learner, losses = jax.lax.scan(one, learner, jnp.arange(1, len(steps) + 1))
        return losses, unpack(learner)
    found: list[Scalar] = []
    done = 0
    for number in steps:
        learner = train(problem, key, omega, task, learner, done, number - done)
        found.append(validate(problem, key, omega, task, learner, number))
        done = number
    return jnp.stack(found), unpack(learner)


def mean_loss(problem: Training, key: Key, omega: Omega, task: Task, steps: tuple[int, ...]) -> tuple[Scalar, Learner]:
    """Train one learner on one task and return its mean validation loss after the named steps, and the learner.

    The memory that this takes does not grow with a training of which every step counts. The arguments are those of
    :func:`learning_curve`.
    """
    if len(steps) <= LONG or steps != tuple(range(1, len(steps) + 1)):
        losses, learner = learning_curve(problem, key, omega, task, steps)
        return jnp.mean(losses), learner

    def one(number: Scalar, carry: tuple[Learner, Scalar, Scalar]) -> tuple[Learner, Scalar, Scalar]:
        learner, total, rounded = carry
        learner = train(problem, key, omega, task, learner, number - 1, 1)
        loss = validate(problem, key, omega, task, learner, number) - rounded
        added = total + loss
        return learner, added, (added - total) - loss  # with what rounding added to the sum (Kahan 1965)

    learner = begin(problem, key, omega, task)
    zero = jnp.zeros((), jax.eval_shape(lambda: validate(problem, key, omega, task, learner, 1)).dtype)
    learner, total, _ = jax.lax.fori_loop(1, len(steps) + 1, one, (learner, zero, zero))
    return total / len(steps), unpack(learner)
