"""Three kinds of inner training whose arithmetic is known, for measuring how fast populations are evaluated.

FLOPs count the products and sums of matrix multiplications and convolutions, nothing else: the forward pass, twice
that for the backward pass less the gradient of the first layer's input, which is not needed, and the forward pass of
the final validation.
"""

import abc
import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from evometa import InnerTraining, Like, conv2d
from evometa.problems import Sinusoid
from evometa.problems.shared.digits import CLASSES, PIXELS, digits
from evometa.problems.shared.networks import MLP, cross_entropy
from evometa.types import Key, Omega, Scalar

LEARNING_RATE = np.float32(0.1)


def _training(first: float, rest: float) -> float:
    """Return the FLOPs of a forward and a backward pass, from those of the forward pass of its layers."""
    return 2 * first + 3 * rest


def _inner(problem: InnerTraining, training: float, validation: float) -> float:
    return problem.num_tasks * (problem.inner_steps * training + validation)


def _dense(batch: int, widths: Sequence[int]) -> list[float]:
    return [2.0 * batch * a * b for a, b in itertools.pairwise(widths)]


def sinusoid() -> Sinusoid:
    """Return few-shot regression with an MLP 1-40-40-1: tiny matrices, T=16, S=5, K=10."""
    return Sinusoid(num_tasks=16, inner_steps=5, shots=10, queries=10)


def sinusoid_flops(problem: Sinusoid) -> float:
    """Return the FLOPs of evaluating one candidate."""
    widths = (1, *problem.hidden, 1)
    support, query = _dense(problem.shots, widths), _dense(problem.queries, widths)
    return _inner(problem, _training(support[0], sum(support[1:])), sum(query))


class Batches(NamedTuple):
    """A task: the minibatch of each step, and one more for validation."""

    images: jax.Array
    """``[S + 1, B, ...]``"""
    targets: jax.Array
    """``[S + 1, B, classes]``, one-hot"""


class Learner(NamedTuple):
    """Weights and how many updates they have had."""

    weights: Any
    steps: jax.Array


@dataclasses.dataclass(frozen=True)
class _Classifier(InnerTraining):
    """Classification by gradient descent from initial weights ω.

    Args:
        batch_size: B.
    """

    batch_size: int = 64

    @abc.abstractmethod
    def predict(self, weights: Any, images: jax.Array) -> jax.Array:
        """Return logits ``[B, classes]``."""

    def init(self, key: Key, omega: Omega, task: Batches) -> Learner:
        return Learner(omega, jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Batches, learner: Learner) -> Learner:
        gradient = jax.grad(self._error)(learner.weights, task.images[learner.steps], task.targets[learner.steps])
        weights = jax.tree.map(lambda w, g: w - LEARNING_RATE * g, learner.weights, gradient)
        return Learner(weights, learner.steps + 1)

    def loss(self, key: Key, omega: Omega, task: Batches, learner: Learner) -> Scalar:
        return self._error(learner.weights, task.images[-1], task.targets[-1])

    def _error(self, weights: Any, images: jax.Array, targets: jax.Array) -> Scalar:
        return cross_entropy(self.predict(weights, images), targets)


@dataclasses.dataclass(frozen=True)
class DigitsMLP(_Classifier):
    """An MLP 64-32-10 on minibatches of scikit-learn's digits: middling matrices."""

    num_tasks: int = 4
    inner_steps: int = 20

    @property
    def space(self) -> Like:
        """Initial weights."""
        return Like(lambda key: MLP((32, CLASSES)).draw(key, PIXELS))

    def sample_task(self, key: Key) -> Batches:
        """Draw the minibatches."""
        shape = (self.inner_steps + 1, self.batch_size)
        rows = jnp.asarray(digits().training)[jax.random.randint(key, shape, 0, len(digits().training), jnp.int32)]
        return Batches(jnp.asarray(digits().features)[rows], jnp.asarray(digits().targets)[rows])

    def predict(self, weights: Any, images: jax.Array) -> jax.Array:
        """Return logits ``[B, 10]`` for images ``[B, 64]``."""
        return MLP((32, CLASSES)).run(weights, images)

    def flops(self) -> float:
        """Return the FLOPs of evaluating one candidate."""
        first, last = _dense(self.batch_size, (PIXELS, 32, CLASSES))
        return _inner(self, _training(first, last), first + last)


@dataclasses.dataclass(frozen=True)
class ConvNet(_Classifier):
    """A net of four convolutions (3 × 3, stride 2, channels 1-8-8-16-16) on 28 × 28 images, five classes.

    The images are noise: only the time is of interest.

    Args:
        convolution: "conv2d", the package's, or "lax", XLA's own.
    """

    num_tasks: int = 4
    inner_steps: int = 5
    batch_size: int = 5
    convolution: Literal["conv2d", "lax"] = "conv2d"

    size = 28
    channels = (1, 8, 8, 16, 16)
    classes = 5

    @property
    def space(self) -> Like:
        """Initial weights."""
        return Like(self._draw)

    def _draw(self, key: Key) -> list[dict[str, jax.Array]]:
        shapes: list[tuple[int, ...]] = [(3, 3, a, b) for a, b in itertools.pairwise(self.channels)]
        shapes += [(4 * self.channels[-1], self.classes)]
        draw = nn.initializers.he_normal()
        keys = jax.random.split(key, len(shapes))
        return [
            {"kernel": draw(k, shape, jnp.float32), "bias": jnp.zeros(shape[-1], jnp.float32)}
            for k, shape in zip(keys, shapes, strict=True)
        ]

    def sample_task(self, key: Key) -> Batches:
        """Draw the minibatches."""
        shape = (self.inner_steps + 1, self.batch_size)
        labels = jnp.broadcast_to(jnp.arange(self.batch_size) % self.classes, shape)
        images = jax.random.normal(key, (*shape, self.size, self.size, 1), jnp.float32)
        return Batches(images, jax.nn.one_hot(labels, self.classes, dtype=jnp.float32))

    def predict(self, weights: Any, images: jax.Array) -> jax.Array:
        """Return logits ``[B, 5]`` for images ``[B, 28, 28, 1]``."""
        *convolutions, last = weights
        for layer in convolutions:
            images = nn.relu(self._convolve(images, layer["kernel"]) + layer["bias"])
        logits: jax.Array = images.reshape(len(images), -1) @ last["kernel"] + last["bias"]
        return logits

    def _convolve(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        if self.convolution == "conv2d":
            return conv2d(images, kernel, stride=2)
        return jax.lax.conv_general_dilated(images, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def flops(self) -> float:
        """Return the FLOPs of evaluating one candidate."""
        layers, size = [], self.size
        for a, b in itertools.pairwise(self.channels):
            size = -(-size // 2)
            layers.append(2.0 * self.batch_size * size**2 * 9 * a * b)
        layers += _dense(self.batch_size, (size**2 * self.channels[-1], self.classes))
        return _inner(self, _training(layers[0], sum(layers[1:])), sum(layers))
