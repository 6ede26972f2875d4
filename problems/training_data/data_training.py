"""Training where ω determines the training data: the code shared by weighting, ordering, changing or making it."""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.problem import InnerTraining
from evometa.problems.shared.classification import Table
from evometa.problems.shared.digits import digits
from evometa.problems.shared.networks import MLP, Learner, accuracy, cross_entropy
from evometa.settings import Count
from evometa.types import Key, Omega, Scalar

MOMENTUM = 0.9


class Trial(NamedTuple):
    """A task: everything random about one training run, and the examples it is evaluated on."""

    weights: Any
    """Initial weights, a pytree of float32."""
    evaluation_rows: jax.Array
    """``[V]``, rows of the validation part, or of the test part for a held-out task."""
    drawn: Any
    """What :meth:`DataTraining.draw` returned: minibatches, noisy labels and the like."""


@dataclasses.dataclass(frozen=True)
class DataTraining(InnerTraining):
    """Train an MLP by SGD with momentum 0.9 on training data that ω determines.

    ω is a dict with a ``learning_rate`` beside the rest, so that no result depends on a fixed learning rate that
    happens to suit it. Fitness, to be minimised, is the cross-entropy on the validation part after the last step; the
    metric is the accuracy there. Held-out tasks are evaluated on the test part, which a search never sees. Subclasses
    say what is drawn for a task and which loss a step descends; their docstrings describe the fields.
    """

    num_tasks: int = 4
    inner_steps: int = 100
    hidden: tuple[Count, ...] = (32,)

    @property
    def data(self) -> Table:
        """The data set."""
        return digits()

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, self.data.targets.shape[1]))

    @abc.abstractmethod
    def draw(self, key: Key) -> Any:
        """Draw what a training run needs besides initial weights, for ``inner_steps`` steps."""

    @abc.abstractmethod
    def training_loss(self, omega: Omega, drawn: Any, weights: Any, number: Scalar) -> Scalar:
        """Return the loss that step ``number``, counted from 0, descends."""

    def search_rows(self, key: Key) -> jax.Array:
        """Return the rows ``[V]`` that a search evaluates a task on; by default the validation part."""
        return jnp.asarray(self.data.validation)

    def sample_task(self, key: Key) -> Trial:
        """Draw initial weights and the rest; evaluated on the validation part."""
        return self._trial(key, self.search_rows(jax.random.fold_in(key, 2)))

    def sample_test_task(self, key: Key) -> Trial:
        """Draw initial weights and the rest; evaluated on the test part."""
        return self._trial(key, jnp.asarray(self.data.test))

    def _trial(self, key: Key, evaluation_rows: jax.Array) -> Trial:
        weights = self.network.draw(jax.random.fold_in(key, 0), self.data.features.shape[1])
        return Trial(weights, evaluation_rows, self.draw(jax.random.fold_in(key, 1)))

    def init(self, key: Key, omega: Omega, task: Trial) -> Learner:
        """Start from the task's initial weights."""
        return Learner(task.weights, jax.tree.map(jnp.zeros_like, task.weights), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Trial, learner: Learner) -> Learner:
        """Take one step of SGD with momentum."""

        def error(weights: Any) -> Scalar:
            return self.training_loss(omega, task.drawn, weights, learner.steps)

        gradient = jax.grad(error)(learner.weights)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, learner.velocity, gradient)
        weights = jax.tree.map(lambda w, v: w - omega["learning_rate"] * v, learner.weights, velocity)
        return Learner(weights, velocity, learner.steps + 1)

    def logits(self, weights: Any, features: jax.Array) -> jax.Array:
        """Return the network's logits ``[B, C]`` for features ``[B, F]``."""
        return self.network.run(weights, features)

    def example_losses(self, weights: Any, features: jax.Array, labels: jax.Array) -> jax.Array:
        """Return the cross-entropy of each example ``[B]`` for features ``[B, F]`` and labels ``[B]``."""
        logits = self.logits(weights, features)
        target = labels[:, None] == jnp.arange(logits.shape[1], dtype=labels.dtype)[None]
        return jax.nn.logsumexp(logits, axis=-1) - jnp.sum(jnp.where(target, logits, 0), axis=-1)

    def loss(self, key: Key, omega: Omega, task: Trial, learner: Learner) -> Scalar:
        """Return the cross-entropy on the task's evaluation examples."""
        logits = self.logits(learner.weights, jnp.asarray(self.data.features)[task.evaluation_rows])
        return cross_entropy(logits, jnp.asarray(self.data.targets)[task.evaluation_rows])

    def metrics(self, key: Key, omega: Omega, task: Trial, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the task's evaluation examples."""
        logits = self.logits(learner.weights, jnp.asarray(self.data.features)[task.evaluation_rows])
        return {"accuracy": accuracy(logits, jnp.asarray(self.data.labels)[task.evaluation_rows])}
