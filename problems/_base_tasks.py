"""What a learned optimizer learns to train: networks on digits, and random quadratics."""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from evometa.problems._digits import CLASSES, PIXELS, digits
from evometa.problems._networks import MLP, cross_entropy
from evometa.types import Key, Scalar

WORST_LOSS = 1.5 * math.log(CLASSES)
"""Losses on digits above this, half as much again as guessing gives, count as this."""


class Base(Protocol):
    """A distribution of optimization problems over tensors of weights."""

    @property
    def worst(self) -> float:
        """Losses above this count as this."""

    def sample(self, key: Key, *, test: bool) -> Any:
        """Draw a task, of the held-out ones if asked to."""

    def draw(self, key: Key, task: Any) -> Any:
        """Draw the weights that training begins with, a pytree of float32."""

    def order(self, key: Key) -> jax.Array:
        """Draw the order of examples, int32, empty where there are none."""

    def error(self, weights: Any, task: Any, order: jax.Array, steps: Scalar) -> Scalar:
        """Return what the inner step after ``steps`` others follows the gradient of."""

    def loss(self, weights: Any, task: Any) -> Scalar:
        """Return what weights are judged by, not limited."""

    def metrics(self, weights: Any, task: Any) -> dict[str, Scalar]:
        """Return named scalars of trained weights."""


class Examples(NamedTuple):
    """Images and what they show; as a task, what a learner is judged on."""

    images: jax.Array
    """``[V, 64]``"""
    targets: jax.Array
    """``[V, 10]``, the labels as one-hot rows."""


@dataclasses.dataclass(frozen=True)
class DigitsNetwork:
    """An MLP with ReLU on scikit-learn's digits, trained on minibatches and judged on other images.

    Args:
        batch_size: examples in an inner step, and in the judgement of a task that is not held out.
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
        """Return the cross-entropy on the next minibatch; they go through the order over and over."""
        places = steps * self.batch_size + np.arange(self.batch_size, dtype=np.int32)
        return self.loss(weights, _examples(order[places % len(order)]))

    def loss(self, weights: Any, task: Examples) -> Scalar:
        """Return the cross-entropy on the task's images."""
        return cross_entropy(self.network.run(weights, task.images), task.targets)

    def metrics(self, weights: Any, task: Examples) -> dict[str, Scalar]:
        """Return accuracy and loss on the task's images."""
        logits = self.network.run(weights, task.images)
        correct = jnp.argmax(logits, axis=-1) == jnp.argmax(task.targets, axis=-1)
        return {
            "accuracy": jnp.mean(correct, dtype=jnp.float32),
            "final_loss": cross_entropy(logits, task.targets),
        }


def _examples(rows: jax.Array) -> Examples:
    return Examples(jnp.asarray(digits().features)[rows], jnp.asarray(digits().targets)[rows])


class Quadratic(NamedTuple):
    """A function of D weights: the mean square of matrix · weights - target; as a task."""

    matrix: jax.Array
    """``[D, D]``"""
    target: jax.Array
    """``[D]``"""


@dataclasses.dataclass(frozen=True)
class Quadratics:
    """Random quadratics (Andrychowicz et al. 2016): matrix, target and first weights are standard normal.

    Args:
        dimension: D, weights.
    """

    dimension: int

    @property
    def worst(self) -> float:
        """Half as much again as the first weights cost on average."""
        return 1.5 * (self.dimension + 1)

    def sample(self, key: Key, *, test: bool) -> Quadratic:
        """Draw a quadratic; no two are alike, so held-out ones are of the same distribution."""
        key_matrix, key_target = jax.random.split(key)
        matrix = jax.random.normal(key_matrix, (self.dimension, self.dimension), jnp.float32)
        return Quadratic(matrix, jax.random.normal(key_target, (self.dimension,), jnp.float32))

    def draw(self, key: Key, task: Quadratic) -> jax.Array:
        """Draw the first weights."""
        return jax.random.normal(key, (self.dimension,), jnp.float32)

    def order(self, key: Key) -> jax.Array:
        """Return nothing: there are no examples."""
        return jnp.zeros((0,), jnp.int32)

    def error(self, weights: jax.Array, task: Quadratic, order: jax.Array, steps: Scalar) -> Scalar:
        """Return the function itself."""
        return self.loss(weights, task)

    def loss(self, weights: jax.Array, task: Quadratic) -> Scalar:
        """Return the mean square."""
        return jnp.mean((task.matrix @ weights - task.target) ** 2)

    def metrics(self, weights: jax.Array, task: Quadratic) -> dict[str, Scalar]:
        """Return the loss."""
        return {"final_loss": self.loss(weights, task)}
