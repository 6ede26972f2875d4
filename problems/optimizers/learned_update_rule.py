"""An update rule as a formula from gradients to steps, found by genetic programming.

Branch of meta-learning: learned optimizers, as formulas. The rule is applied to each weight; it is interpretable, has
no state beyond the moving averages of Adam, and trains networks of any size for any number of steps.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evometa.card import ProblemCard, Recipe
from evometa.expressions import LOSS_PRIMITIVES, Expression, PrimitiveSet, Program
from evometa.problems.optimizers.exported import transformation
from evometa.problems.optimizers.torch_rule import torch_source
from evometa.problems.shared.digits_training import Training
from evometa.problems.shared.tuned_training import TunedTraining
from evometa.settings import Decay
from evometa.types import Key, Scalar

GRADIENT_DESCENT = "gradient"
MOMENTUM = "momentum"
ADAM = "div(momentum, add(sqrt(second_moment), 1e-8))"
"""Kingma & Ba 2015, algorithm 1."""


def divide(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return a / b wherever |b| is well above 1e-8, falling to 0 at b = 0."""
    return a * b / (b * b + 1e-16)


def sqrt(a: jax.Array) -> jax.Array:
    """Return √|a|."""
    return jnp.sqrt(jnp.abs(a))


def log(a: jax.Array) -> jax.Array:
    """Return the logarithm of the larger of abs(a) and 1e-16."""
    return jnp.log(jnp.maximum(jnp.abs(a), 1e-16))


FINE: dict[str, Callable[..., jax.Array]] = {"div": divide, "sqrt": sqrt, "log": log}
"""Protected functions for small arguments, such as gradients and their squares, on which the usual ones are off."""


class Learning(NamedTuple):
    """R networks that are being trained, with N weights each."""

    weights: jax.Array
    """``[R, N]``"""
    momentum: jax.Array
    """``[R, N]``, the moving average of gradients, before bias correction."""
    second_moment: jax.Array
    """``[R, N]``, the same for squared gradients."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class LearnedUpdateRule(TunedTraining):
    """Find the update rule with which an MLP is trained best.

    ω is an expression of four values of one weight, whose update is minus the learning rate times the expression:

    - ``gradient``, of the cross-entropy on the minibatch;
    - ``momentum``, the exponential moving average of gradients, and ``second_moment``, that of their squares, both
      divided by 1 - decay^t, as in Adam;
    - ``weight``, its value before the update.

    The inner loop trains networks at several learning rates, from the same weights and on the same minibatches, and the
    network with the lowest cross-entropy on the validation part (360 images) is evaluated. Fitness, to be minimised, is
    its cross-entropy in nats after the last step, on the validation part too; for held-out tasks on the test part,
    which is used for nothing else. The metrics are the ``accuracy`` on the same images and the ``learning_rate`` that
    was chosen. Meta-generalisation is measured by the same problem with another ``hidden`` or ``inner_steps``. A rule
    with which training diverges at every learning rate is a failed candidate.

    Papers: Bello et al., "Neural optimizer search with reinforcement learning", ICML 2017, arXiv:1709.07417; Chen et
    al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, arXiv:2302.06675. Their networks and budgets
    are far larger; none of their numbers is compared here.

    Args:
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers.
        learning_rates: R learning rates, each positive.
        max_size: maximum number of nodes of an expression.
        start: text of the expression a search starts from; None: all are random.
        momentum_decay: decay of the moving average of gradients, in [0, 1).
        second_moment_decay: decay of the moving average of squared gradients, in [0, 1).
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned optimizers",
        omega="a formula from gradient and moments to a step",
        learner="an MLP, at several learning rates",
        paper="Bello et al. 2017; Chen et al. 2023",
        recipe=Recipe("GeneticProgramming", {"population_size": 64}, {"seconds": 120}),
    )

    start: str | None = MOMENTUM
    momentum_decay: Decay = 0.9
    second_moment_decay: Decay = 0.999

    @property
    def space(self) -> Expression:
        """Expressions that are compared by their value at gradients of the size that training has."""
        primitives = [dataclasses.replace(p, function=FINE.get(p.name, p.function)) for p in LOSS_PRIMITIVES]
        arguments = PrimitiveSet(("gradient", "momentum", "second_moment", "weight"), tuple(primitives))
        gradient, momentum, root, weight = np.random.default_rng(0).standard_normal((4, 64))
        points = 0.01 * gradient, 0.005 * momentum, (0.01 * root) ** 2, 0.2 * weight
        return Expression(arguments, self.max_size, start=self.start, points=points)

    def init(self, key: Key, omega: Program, task: Training) -> Learning:
        """Start from the task's initial weights, with moving averages of 0."""
        weights = self.first_weights(task)
        return Learning(weights, jnp.zeros_like(weights), jnp.zeros_like(weights), jnp.int32(0))

    def step(self, key: Key, omega: Program, task: Training, learner: Learning) -> Learning:
        """Apply the rule once at each learning rate, on the next minibatch."""
        return self.update(omega, learner, self.gradient(omega, task, learner))

    def update(self, omega: Program, learner: Learning, gradient: jax.Array) -> Learning:
        """Return the learner after one update with gradients ``[R, N]``."""
        found, after = self.proposed(omega, learner, gradient)
        return after._replace(weights=learner.weights - self.rates() * found)

    def proposed(self, omega: Program, learner: Learning, gradient: jax.Array) -> tuple[jax.Array, Learning]:
        """Return the values ``[R, N]`` of the rule, and the learner with moving averages that know the gradients."""
        fast, slow = np.float32(self.momentum_decay), np.float32(self.second_moment_decay)
        steps = learner.steps + 1
        momentum = fast * learner.momentum + (1 - fast) * gradient
        second_moment = slow * learner.second_moment + (1 - slow) * gradient**2
        # Bias correction: the averages start at 0 (Kingma & Ba 2015, section 3).
        time = steps.astype(jnp.float32)
        corrected = momentum / (1 - fast**time), second_moment / (1 - slow**time)
        return omega(gradient, *corrected, learner.weights), Learning(learner.weights, momentum, second_moment, steps)

    def predict(self, omega: Program, weights: Any, images: jax.Array) -> jax.Array:
        """Return the logits ``[B, 10]`` of one network, with ReLU, for images ``[B, 64]``."""
        return self.network.run(weights, images)

    def export(self, omega: Program) -> optax.GradientTransformation:
        """Return the rule as a transformation of optax without a learning rate, like ``optax.scale_by_adam``.

        ``optax.chain(rule, optax.scale_by_learning_rate(0.1))`` is an optimizer.
        """

        def begin(count: int) -> Learning:
            zeros = jnp.zeros((1, count), jnp.float32)
            return Learning(zeros, zeros, zeros, jnp.int32(0))

        def change(
            memory: Learning, gradient: jax.Array, weights: jax.Array, ends: list[int], steps: Scalar
        ) -> tuple[jax.Array, Learning]:
            found, after = self.proposed(omega, memory._replace(weights=weights[None]), gradient[None])
            return found[0], after

        return transformation(begin, change)

    def sources(self, omega: Program) -> dict[str, str]:
        """Return a module with a ``torch.optim.Optimizer``."""
        return {"torch": torch_source(omega, self.momentum_decay, self.second_moment_decay)}
