"""An activation function as a formula, found by genetic programming.

Branch of meta-learning: architectures. ω is a formula of one number, the activation function between the layers of a
network, which is trained through its derivative.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.expressions import Expression, PrimitiveSet, Program
from evometa.problems.shared.digits_training import Training
from evometa.problems.shared.tuned_training import TunedTraining
from evometa.settings import Decay
from evometa.types import Key

RELU = "max(x, 0.0)"
SWISH = "mul(x, sigmoid(x))"
"""Ramachandran, Zoph & Le 2017, with β = 1; also known as SiLU."""


class Learning(NamedTuple):
    """R networks that are being trained, with N weights each."""

    weights: jax.Array
    """``[R, N]``"""
    velocity: jax.Array
    """``[R, N]``, the decaying sum of gradients."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class LearnedActivation(TunedTraining):
    """Find the activation function with which an MLP is trained best by SGD with momentum.

    ω is an expression of ``x``, the pre-activation of a hidden unit; its value is the activation.

    The inner loop trains networks at several learning rates, from the same weights (LeCun's initialisation) and on the
    same minibatches, and the network with the lowest cross-entropy on the validation part (360 images) is evaluated.
    Fitness, to be minimised, is its cross-entropy in nats after the last step, on the validation part too; for held-out
    tasks on the test part, which is used for nothing else. The metrics are the ``accuracy`` on the same images and the
    ``learning_rate`` that was chosen. Meta-generalisation is measured by the same problem with another ``hidden`` or
    ``inner_steps``. An activation with which training diverges at every learning rate is a failed candidate.

    Paper: Ramachandran, Zoph & Le, "Searching for activation functions", 2017, arXiv:1710.05941. Its networks and
    budget are far larger; none of its numbers is compared here.

    Args:
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers, at least one.
        learning_rates: R learning rates, each positive.
        max_size: maximum number of nodes of an expression.
        start: text of the expression a search starts from; None: all are random.
        momentum: decay of the velocity, in [0, 1).
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="architectures",
        omega="a formula of one number, the activation",
        learner="an MLP, at several learning rates",
        paper="Ramachandran, Zoph & Le 2017",
        recipe=Recipe("GeneticProgramming", {"population_size": 64}, {"seconds": 120}),
    )

    learning_rates: tuple[float, ...] = (0.03, 0.1, 0.3)
    start: str | None = RELU
    momentum: Decay = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise ConfigurationError(
                "LearnedActivation expects at least one hidden layer, whose activation is searched, got hidden=()."
            )

    @property
    def space(self) -> Expression:
        """Expressions of ``x``, compared by their derivative at points from -4 to 4."""
        primitives = PrimitiveSet(("x",)).add("sigmoid", jax.nn.sigmoid).add("sin", jnp.sin)
        points = (np.linspace(-4, 4, 64),)
        return Expression(primitives, self.max_size, start=self.start, differentiated=("x",), points=points)

    def init(self, key: Key, omega: Program, task: Training) -> Learning:
        """Start from the task's initial weights, with zero velocity."""
        weights = self.first_weights(task)
        return Learning(weights, jnp.zeros_like(weights), jnp.int32(0))

    def step(self, key: Key, omega: Program, task: Training, learner: Learning) -> Learning:
        """Take one step of SGD with momentum at each learning rate, on the next minibatch."""
        velocity = np.float32(self.momentum) * learner.velocity + self.gradient(omega, task, learner)
        return Learning(learner.weights - self.rates() * velocity, velocity, learner.steps + 1)

    def predict(self, omega: Program, weights: Any, images: jax.Array) -> jax.Array:
        """Return the logits ``[B, 10]`` of one network for images ``[B, 64]``."""
        values = images
        for number in range(len(self.hidden) + 1):
            layer = weights[f"Dense_{number}"]
            values = (omega(values) if number else values) @ layer["kernel"] + layer["bias"][None]
        return values
