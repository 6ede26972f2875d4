"""An activation function found by genetic programming.

Branch of meta-learning: architectures. ω is a formula of one number that stands between the layers of a network, which
is trained through its derivative.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.expressions import Expression, PrimitiveSet, Program
from evometa.problems._tuned_training import TunedTraining
from evometa.problems.digits_hyperparameters import Training
from evometa.types import Key

RELU = "max(x, 0.0)"
SWISH = "mul(x, sigmoid(x))"
"""Ramachandran, Zoph & Le 2017, with β = 1; also known as SiLU."""


class Learning(NamedTuple):
    """Networks in training, R of them with N weights each."""

    weights: jax.Array
    """``[R, N]``"""
    velocity: jax.Array
    """``[R, N]``, the decaying sum of gradients."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class LearnedActivation(TunedTraining):
    """Find the activation function with which an MLP learns best, by stochastic gradient descent with momentum.

    ω is an expression over ``x``, what a hidden unit sums up from its inputs; its value is what the unit gives on.

    Each learner trains at several learning rates from the same weights (LeCun's initialisation) on the same
    minibatches, and of its networks the one with the lowest cross-entropy on the validation part (360 images) counts.
    Fitness, to be minimised, is the cross-entropy in nats of that network after the last step, there too; for held-out
    tasks on the test part, which has no say in anything. The metrics are the ``accuracy`` on the same images and the
    ``learning_rate`` that was chosen. Meta-generalisation is measured by the same problem with another ``hidden`` or
    ``inner_steps``. An activation that leaves finite weights at none of the learning rates is a failed candidate.

    Paper: Ramachandran, Zoph & Le, "Searching for activation functions", 2017, arXiv:1710.05941. Its networks and
    budget are far larger; none of its numbers is compared here.

    Args:
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers, at least one.
        learning_rates: R of them, each positive.
        max_size: nodes of an expression at most.
        start: text of the expression a search begins with; None draws all.
        momentum: in [0, 1).
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
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise ConfigurationError("LearnedActivation expects a hidden layer, to be activated, got hidden=().")
        if not 0 <= self.momentum < 1:
            raise ConfigurationError(f"LearnedActivation expects 0 <= momentum < 1, got {self.momentum}.")

    @property
    def space(self) -> Expression:
        """Expressions that are compared by their derivative from -4 to 4."""
        primitives = PrimitiveSet(("x",)).add("sigmoid", jax.nn.sigmoid).add("sin", jnp.sin)
        points = (np.linspace(-4, 4, 64),)
        return Expression(primitives, self.max_size, start=self.start, differentiated=("x",), points=points)

    def init(self, key: Key, omega: Program, task: Training) -> Learning:
        """Begin at the task's weights, at rest."""
        weights = self.first_weights(task)
        return Learning(weights, jnp.zeros_like(weights), jnp.int32(0))

    def step(self, key: Key, omega: Program, task: Training, learner: Learning) -> Learning:
        """Take one step of gradient descent with momentum at each learning rate, on the next minibatch."""
        velocity = np.float32(self.momentum) * learner.velocity + self.gradient(omega, task, learner)
        return Learning(learner.weights - self.rates() * velocity, velocity, learner.steps + 1)

    def predict(self, omega: Program, weights: Any, images: jax.Array) -> jax.Array:
        """Return the logits ``[B, 10]`` of one network for images ``[B, 64]``."""
        values = images
        for number in range(len(self.hidden) + 1):
            layer = weights[f"Dense_{number}"]
            values = (omega(values) if number else values) @ layer["kernel"] + layer["bias"]
        return values
