"""Training tasks for learned optimizers: networks on digits, and random quadratics."""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from evometa.problems.shared.digits import CLASSES, PIXELS, digits
from evometa.problems.shared.networks import MLP, accuracy, cross_entropy
from evometa.types import Key, Scalar

WORST_LOSS = 1.5 * math.log(CLASSES)
"""Losses on digits are clipped at this, 1.5 times the loss of a uniform prediction."""


class Base(Protocol):
    """A distribution of optimization problems over tensors of weights."""

    @property
    def worst(self) -> float:
        """The value at which losses are clipped."""

    def sample(self, key: Key, *, test: bool) -> Any:
        """Draw a task, a held-out one with ``test``."""

    def draw(self, key: Key, task: Any) -> Any:
        """Draw initial weights, a pytree of float32."""

    def order(self, key: Key) -> jax.Array:
        """Draw the order of examples, int32; empty if there are none."""

    def error(self, weights: Any, task: Any, order: jax.Array, steps: Scalar) -> Scalar:
        """Return the training loss of the inner step after ``steps`` others."""

    def loss(self, weights: Any, task: Any) -> Scalar:
        """Return the evaluation loss of weights, not clipped."""

    def metrics(self, weights: Any, task: Any) -> dict[str, Scalar]:
        """Return the metrics of trained weights."""


class Examples(NamedTuple):
    """Images and their labels; as a task, those that a learner is evaluated on."""

    images: jax.Array
    """``[V, 64]``"""
    targets: jax.Array
    """``[V, 10]``, the labels as one-hot rows."""


@dataclasses.dataclass(frozen=True)
class DigitsNetwork:
    """An MLP with ReLU on scikit-learn's digits, trained on minibatches and evaluated on other images.

    Args:
        batch_size: examples in an inner step, and in the evaluation of a task that is not held out.
        hidden: widths of the hidden layers.
    """

    batch_size: int
    hidden: tuple[int, ...]
    worst = WORST_LOSS

    @property
    def network(self) -> MLP:
        """The network."""
        return MLP((*self.hidden, CLASSES))

    def sample(self, key: Key, *, test: bool) -> Examples:
        """Draw images of the validation part, or return the whole test part."""
        if test:
            return _examples(jnp.asarray(digits().test))
        return _examples(jax.random.choice(key, jnp.asarray(digits().validation), (self.batch_size,)))

    def draw(self, key: Key, task: Any) -> Any:
        """Draw the network's weights."""
        return self.network.draw(key, PIXELS)

    def order(self, key: Key) -> jax.Array:
        """Draw an order of the training part, ``[1077]``."""
        return jax.random.permutation(key, digits().training)

    def error(self, weights: Any, task: Any, order: jax.Array, steps: Scalar) -> Scalar:
        """Return the cross-entropy on the next minibatch; minibatches cycle through the order."""
        places = steps * self.batch_size + np.arange(self.batch_size, dtype=np.int32)
        return self.loss(weights, _examples(order[places % len(order)]))

    def loss(self, weights: Any, task: Examples) -> Scalar:
        """Return the cross-entropy on the task's images."""
        return cross_entropy(self.network.run(weights, task.images), task.targets)

    def metrics(self, weights: Any, task: Examples) -> dict[str, Scalar]:
        """Return accuracy and loss on the task's images."""
        logits = self.network.run(weights, task.images)
        return {
            "accuracy": accuracy(logits, jnp.argmax(task.targets, axis=-1)),
            "final_loss": cross_entropy(logits, task.targets),
        }


def _examples(rows: jax.Array) -> Examples:
    return Examples(jnp.asarray(digits().features)[rows], jnp.asarray(digits().targets)[rows])


class Quadratic(NamedTuple):
    """A task: the function of D weights that is the mean square of matrix · weights - target."""

    matrix: jax.Array
    """``[D, D]``"""
    target: jax.Array
    """``[D]``"""


@dataclasses.dataclass(frozen=True)
class Quadratics:
    """Random quadratics (Andrychowicz et al. 2016): matrix, target and initial weights are standard normal.

    Args:
        dimension: D, number of weights.
    """

    dimension: int

    @property
    def worst(self) -> float:
        """1.5 times the mean loss of the initial weights."""
        return 1.5 * (self.dimension + 1)

    def sample(self, key: Key, *, test: bool) -> Quadratic:
        """Draw a quadratic; each is new, so held-out ones come from the same distribution."""
        key_matrix, key_target = jax.random.split(key)
        matrix = jax.random.normal(key_matrix, (self.dimension, self.dimension), jnp.float32)
        return Quadratic(matrix, jax.random.normal(key_target, (self.dimension,), jnp.float32))

    def draw(self, key: Key, task: Quadratic) -> jax.Array:
        """Draw initial weights."""
        return jax.random.normal(key, (self.dimension,), jnp.float32)

    def order(self, key: Key) -> jax.Array:
        """Return an empty array: there are no examples."""
        return jnp.zeros((0,), jnp.int32)

    def error(self, weights: jax.Array, task: Quadratic, order: jax.Array, steps: Scalar) -> Scalar:
        """Return the function's value."""
        return self.loss(weights, task)

    def loss(self, weights: jax.Array, task: Quadratic) -> Scalar:
        """Return the mean square."""
        return jnp.mean((task.matrix @ weights - task.target) ** 2)

    def metrics(self, weights: jax.Array, task: Quadratic) -> dict[str, Scalar]:
        """Return the loss."""
        return {"final_loss": self.loss(weights, task)}
