"""Training with a learned loss: the code shared by losses as formulas, polynomials and networks."""

import abc
import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.expressions import Program
from evometa.problem import InnerTraining
from evometa.problems.shared.classification import Name, Table, draw_rows, other_data_set, table
from evometa.problems.shared.label_noise import noisy
from evometa.problems.shared.networks import MLP, wider
from evometa.settings import Count, Decay, Positive
from evometa.types import Key, Omega, Scalar

PROBABILITIES = 1 / (1 + np.exp(-np.linspace(-6, 6, 32)))
"""Predictions at which losses are compared and plotted: probabilities with evenly spaced log-odds."""


class Training(NamedTuple):
    """A task: everything random about one training run, and the examples it is evaluated on."""

    weights: Any
    """Initial weights, a pytree of float32."""
    batches: jax.Array
    """``[S, B]``, rows of the training part: the minibatch of each step."""
    labels: jax.Array
    """``[N]``, the noisy label of each row of the data set, int32."""
    evaluation_rows: jax.Array
    """Rows of the validation part, or of the test part for a held-out task; evaluated with correct labels."""


class Learner(NamedTuple):
    """A network that is being trained."""

    weights: Any
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class LossTraining(InnerTraining):
    """Train an MLP by minibatch SGD on a loss that ω defines.

    The loss is a function of the network's probability of each class (a softmax) and of whether that class is the
    label; the loss of an example is the sum over classes. Tasks differ by initial weights, minibatches and label noise.

    Fitness, to be minimised, is the error rate on the validation part after the last step, with correct labels; the
    metric ``accuracy`` is 1 minus that. Held-out tasks are evaluated on the test part, which a search never sees;
    shifted ones have a wider network or another data set. A loss with a non-finite gradient leaves non-finite weights:
    a failed candidate. Subclasses define the loss; their docstrings describe the fields.
    """

    num_tasks: int = 2
    inner_steps: int = 200
    label_noise: Decay = 0.0
    learning_rate: Positive = 0.5
    batch_size: Count = 64
    hidden: tuple[Count, ...] = (32,)
    data_set: Name = "digits"

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, self._data.targets.shape[1]))

    @property
    def _data(self) -> Table:
        return table(self.data_set)

    @abc.abstractmethod
    def example_loss(self, omega: Omega, prediction: jax.Array, label: jax.Array) -> jax.Array:
        """Return the loss of each entry, from probabilities and labels of 0 or 1, all ``[B, C]``."""

    def export(self, omega: Omega) -> Callable[[jax.Array, jax.Array], Scalar]:
        """Return the loss: a function of probabilities and labels of 0 or 1, both ``[B, C]``, to a scalar."""

        def loss(prediction: jax.Array, label: jax.Array) -> Scalar:
            return jnp.mean(jnp.sum(self.example_loss(omega, prediction, label), axis=-1))

        return loss

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the loss beside cross-entropy."""
        from evometa.plots import losses

        title = str(omega) if isinstance(omega, Program) else ""
        return {"loss": losses(functools.partial(self.example_loss, omega), title)}

    def shifted(self) -> dict[str, typing.Self]:
        """Four times the hidden units; another data set."""
        other = other_data_set(self.data_set)
        return {
            "wider network": dataclasses.replace(self, hidden=wider(self.hidden)),
            other: dataclasses.replace(self, data_set=other),
        }

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights, minibatches and noisy labels; evaluated on the validation part."""
        return self._draw(key, self._data.validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights, minibatches and noisy labels; evaluated on the test part."""
        return self._draw(key, self._data.test)

    def _draw(self, key: Key, evaluation_rows: NDArray[np.int32]) -> Training:
        key_weights, key_batches, key_wrong, key_class = jax.random.split(key, 4)
        data = self._data
        batches = draw_rows(key_batches, data.training, (self.inner_steps, self.batch_size))
        labels = noisy(key_wrong, key_class, data.labels, data.targets.shape[1], self.label_noise)
        weights = self.network.draw(key_weights, data.features.shape[1])
        return Training(weights, batches, labels, jnp.asarray(evaluation_rows))

    def init(self, key: Key, omega: Omega, task: Training) -> Learner:
        """Start from the task's initial weights."""
        return Learner(task.weights, jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Learner:
        """Take one step of gradient descent on the learned loss of the next minibatch."""
        rows = task.batches[learner.steps]
        features = jnp.asarray(self._data.features)[rows]
        classes = jnp.arange(self._data.targets.shape[1])
        label = (task.labels[rows][:, None] == classes[None]).astype(features.dtype)

        learned = self.export(omega)

        def error(weights: Any) -> Scalar:
            prediction = jax.nn.softmax(self.network.run(weights, features))
            return learned(prediction, label)

        gradient = jax.grad(error)(learner.weights)
        weights = jax.tree.map(lambda w, g: w - self.learning_rate * g, learner.weights, gradient)
        return Learner(weights, learner.steps + 1)

    def loss(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Scalar:
        """Return the error rate on the task's evaluation examples; NaN if an output of the network is not finite."""
        logits = self.network.run(learner.weights, jnp.asarray(self._data.features)[task.evaluation_rows])
        wrong = jnp.argmax(logits, axis=-1) != jnp.asarray(self._data.labels)[task.evaluation_rows]
        return jnp.mean(wrong, dtype=jnp.float32) / jnp.all(jnp.isfinite(logits)).astype(jnp.float32)

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the task's evaluation examples."""
        return {"accuracy": 1.0 - self.loss(key, omega, task, learner)}
