"""Training by a loss that is learned: what is the same whatever the loss is made of."""

import abc
import dataclasses
import typing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems._classification import Name, Table, require_name, table
from evometa.problems._label_noise import noisy, require_share
from evometa.problems._networks import MLP
from evometa.types import Key, Omega, Scalar

PROBABILITIES = 1 / (1 + np.exp(-np.linspace(-6, 6, 32)))
"""Where losses are compared and drawn: probabilities of evenly spread log-odds."""


class Training(NamedTuple):
    """A task: one training run's draws, and what it is judged on."""

    weights: Any
    """Initial weights, a pytree of float32."""
    batches: jax.Array
    """``[S, B]``, rows of the training part, the minibatch of each step."""
    classes: jax.Array
    """``[N]``, the label that is seen of each row, int32; some of them wrong."""
    judged_on: jax.Array
    """Rows of the validation part, or of the test part for a held-out task; their labels are all right."""


class Learner(NamedTuple):
    """A network in training."""

    weights: Any
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class LossTraining(InnerTraining):
    """Train an MLP by the gradient of a loss that ω says, by stochastic gradient descent with small batches.

    The loss is of the network's probability of each class (a softmax) and of whether that is the label; that of an
    example is the sum over classes. Tasks differ by initial weights, minibatches and the labels that are wrong.

    Fitness, to be minimised, is the error rate on the validation part after the last step, with right labels; the
    metric ``accuracy`` is 1 minus that. Held-out tasks are judged on the test part, which a search never sees; shifted
    ones have a wider network, or other data. A loss whose gradient is not finite leaves weights that are not: a failed
    candidate. Subclasses say what the loss is; their docstrings say what the fields are.
    """

    num_tasks: int = 2
    inner_steps: int = 200
    label_noise: float = 0.0
    learning_rate: float = 0.5
    batch_size: int = 64
    hidden: tuple[int, ...] = (32,)
    data_set: Name = "digits"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if min((self.batch_size, *self.hidden)) < 1 or not 0 < self.learning_rate < float("inf"):
            raise ConfigurationError(
                f"{name} expects batch_size and the widths in hidden of at least 1, and a learning_rate > 0, "
                f"got batch_size={self.batch_size}, hidden={self.hidden} and learning_rate={self.learning_rate}."
            )
        require_share(name, self.label_noise)
        require_name(name, self.data_set)

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

    def shifted(self) -> dict[str, typing.Self]:
        """Four times the hidden units; another data set."""
        other: Name = "breast_cancer" if self.data_set == "digits" else "digits"
        return {
            "wider network": dataclasses.replace(self, hidden=tuple(4 * width for width in self.hidden)),
            other: dataclasses.replace(self, data_set=other),
        }

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights, minibatches and wrong labels; judged on the validation part."""
        return self._draw(key, self._data.validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights, minibatches and wrong labels; judged on the test part."""
        return self._draw(key, self._data.test)

    def _draw(self, key: Key, judged_on: NDArray[np.int32]) -> Training:
        key_weights, key_batches, key_wrong, key_class = jax.random.split(key, 4)
        data, training = self._data, jnp.asarray(self._data.training)
        chosen = jax.random.randint(key_batches, (self.inner_steps, self.batch_size), 0, len(training), jnp.int32)
        labels = noisy(key_wrong, key_class, data.labels, data.targets.shape[1], self.label_noise)
        weights = self.network.draw(key_weights, data.features.shape[1])
        return Training(weights, training[chosen], labels, jnp.asarray(judged_on))

    def init(self, key: Key, omega: Omega, task: Training) -> Learner:
        """Begin at the task's weights."""
        return Learner(task.weights, jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Learner:
        """Take one step down the gradient of the loss on the next minibatch."""
        rows = task.batches[learner.steps]
        features = jnp.asarray(self._data.features)[rows]
        classes = jnp.arange(self._data.targets.shape[1])
        label = (task.classes[rows][:, None] == classes).astype(features.dtype)

        def error(weights: Any) -> Scalar:
            prediction = jax.nn.softmax(self.network.run(weights, features))
            return jnp.mean(jnp.sum(self.example_loss(omega, prediction, label), axis=-1))

        gradient = jax.grad(error)(learner.weights)
        weights = jax.tree.map(lambda w, g: w - self.learning_rate * g, learner.weights, gradient)
        return Learner(weights, learner.steps + 1)

    def loss(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Scalar:
        """Return the error rate on the part the task is judged on; NaN where the network has no finite output."""
        logits = self.network.run(learner.weights, jnp.asarray(self._data.features)[task.judged_on])
        wrong = jnp.argmax(logits, axis=-1) != jnp.asarray(self._data.labels)[task.judged_on]
        return jnp.where(jnp.all(jnp.isfinite(logits)), jnp.mean(wrong, dtype=jnp.float32), jnp.nan)

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the part the task is judged on."""
        return {"accuracy": 1.0 - self.loss(key, omega, task, learner)}
