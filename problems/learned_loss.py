"""A loss function found by genetic programming.

Branch of meta-learning: losses. ω is a formula over a prediction and a label; a learner descends its gradient, and is
judged by the accuracy that comes of it, which has no gradient. Under label noise the best loss to train by is not the
one that is best to judge by.
"""

import dataclasses
import typing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.expressions import Expression, PrimitiveSet, Program
from evometa.problem import InnerTraining
from evometa.problems._classification import Name, Table, table
from evometa.problems._networks import MLP
from evometa.types import Key, Scalar

CROSS_ENTROPY = "mul(-1.0, mul(label, log(prediction)))"
"""The loss that is usual, as an expression of the space."""


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
class LearnedLoss(InnerTraining):
    """Find the loss by whose gradient an MLP is best trained, by stochastic gradient descent with small batches.

    ω is an expression over ``prediction``, the probability that the network gives a class (a softmax), and ``label``,
    1 for the class an example is labelled with and 0 for others; the loss of an example is its sum over classes. Tasks
    differ by initial weights, minibatches and the labels that are wrong.

    Fitness, to be minimised, is the error rate on the validation part after the last step, with right labels; the
    metric ``accuracy`` is 1 minus that. Held-out tasks are judged on the test part, which a search never sees.
    Meta-generalisation is measured by the same problem with another ``hidden`` or ``data_set``, to which a found
    expression is handed as it is. A loss whose gradient is not finite leaves weights that are not: a failed candidate.

    Papers: Gonzalez & Miikkulainen, "Improved training speed, accuracy, and data utilization through loss function
    optimization", CEC 2020 (evolved loss functions); Raymond et al., "Learning symbolic model-agnostic loss functions
    via meta-learning", TPAMI 2023 (by genetic programming). Their data sets and networks are larger; none of their
    numbers is compared here.

    Args:
        label_noise: share of the training labels that are replaced by one of the other classes, in [0, 1).
        learning_rate: of the learner, positive.
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers.
        data_set: which of the data sets that come with scikit-learn: digits (1797 examples, 10 classes), wine (178, 3)
            or breast_cancer (569, 2).
        max_size: nodes of an expression at most.
        start: text of the expression a search begins with, such as ``CROSS_ENTROPY``; None draws all.
    """

    num_tasks: int = 2
    inner_steps: int = 200
    label_noise: float = 0.0
    learning_rate: float = 0.5
    batch_size: int = 64
    hidden: tuple[int, ...] = (32,)
    data_set: Name = "digits"
    max_size: int = 31
    start: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if min((self.batch_size, *self.hidden)) < 1 or not 0 < self.learning_rate < float("inf"):
            raise ConfigurationError(
                "LearnedLoss expects batch_size and the widths in hidden of at least 1, and a learning_rate > 0, "
                f"got batch_size={self.batch_size}, hidden={self.hidden} and learning_rate={self.learning_rate}."
            )
        if not 0 <= self.label_noise < 1:
            raise ConfigurationError(
                f"LearnedLoss expects 0 <= label_noise < 1, a share of the labels, got {self.label_noise}."
            )
        if self.data_set not in typing.get_args(Name):
            raise ConfigurationError(
                f"LearnedLoss expects data_set to be one of {', '.join(typing.get_args(Name))}, got {self.data_set!r}."
            )

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, self._data.targets.shape[1]))

    @property
    def _data(self) -> Table:
        return table(self.data_set)

    @property
    def space(self) -> Expression:
        """Expressions that are compared by their derivative where a search will need it: for probabilities."""
        primitives = PrimitiveSet(("prediction", "label"))
        probability = 1 / (1 + np.exp(-np.linspace(-6, 6, 32)))
        points = np.tile(probability, 2), np.repeat([0.0, 1.0], 32)
        return Expression(primitives, self.max_size, start=self.start, differentiated=("prediction",), points=points)

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights, minibatches and wrong labels; judged on the validation part."""
        return self._draw(key, self._data.validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights, minibatches and wrong labels; judged on the test part."""
        return self._draw(key, self._data.test)

    def _draw(self, key: Key, judged_on: NDArray[np.int32]) -> Training:
        key_weights, key_batches, key_wrong, key_class = jax.random.split(key, 4)
        data, training = self._data, jnp.asarray(self._data.training)
        count, classes = len(data.labels), data.targets.shape[1]
        chosen = jax.random.randint(key_batches, (self.inner_steps, self.batch_size), 0, len(training), jnp.int32)
        wrong = jax.random.bernoulli(key_wrong, self.label_noise, (count,))
        other = jax.random.randint(key_class, (count,), 1, classes, jnp.int32)
        labels = jnp.where(wrong, (data.labels + other) % classes, data.labels)
        weights = self.network.draw(key_weights, data.features.shape[1])
        return Training(weights, training[chosen], labels, jnp.asarray(judged_on))

    def init(self, key: Key, omega: Program, task: Training) -> Learner:
        """Begin at the task's weights."""
        return Learner(task.weights, jnp.int32(0))

    def step(self, key: Key, omega: Program, task: Training, learner: Learner) -> Learner:
        """Take one step down the gradient of the loss on the next minibatch."""
        rows = task.batches[learner.steps]
        features = jnp.asarray(self._data.features)[rows]
        classes = jnp.arange(self._data.targets.shape[1])
        label = (task.classes[rows][:, None] == classes).astype(features.dtype)

        def error(weights: Any) -> Scalar:
            prediction = jax.nn.softmax(self.network.run(weights, features))
            return jnp.mean(jnp.sum(omega(prediction, label), axis=-1))

        gradient = jax.grad(error)(learner.weights)
        weights = jax.tree.map(lambda w, g: w - self.learning_rate * g, learner.weights, gradient)
        return Learner(weights, learner.steps + 1)

    def loss(self, key: Key, omega: Program, task: Training, learner: Learner) -> Scalar:
        """Return the error rate on the part the task is judged on; NaN where the network has no finite output."""
        logits = self.network.run(learner.weights, jnp.asarray(self._data.features)[task.judged_on])
        wrong = jnp.argmax(logits, axis=-1) != jnp.asarray(self._data.labels)[task.judged_on]
        return jnp.where(jnp.all(jnp.isfinite(logits)), jnp.mean(wrong, dtype=jnp.float32), jnp.nan)

    def metrics(self, key: Key, omega: Program, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the part the task is judged on."""
        return {"accuracy": 1.0 - self.loss(key, omega, task, learner)}
