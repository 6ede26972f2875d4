"""Training where ω says what is trained on: what is the same whether it weighs, orders, changes or invents examples."""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems._classification import Table
from evometa.problems._digits import digits
from evometa.problems._networks import MLP, cross_entropy
from evometa.spaces import Box
from evometa.types import Key, Omega, Scalar

MOMENTUM = 0.9


class Trial(NamedTuple):
    """A task: one training run's draws, and what it is judged on."""

    weights: Any
    """Initial weights, a pytree of float32."""
    judged_on: jax.Array
    """``[V]``, rows of the validation part, or of the test part for a held-out task."""
    drawn: Any
    """What :meth:`DataTraining.draw` drew: minibatches, wrong labels and the like."""


class Learner(NamedTuple):
    """A network in training."""

    weights: Any
    velocity: Any
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class DataTraining(InnerTraining):
    """Train an MLP by stochastic gradient descent with momentum 0.9 on what ω makes of the training data.

    ω is a dict that has a ``learning_rate`` beside the rest, so that nothing found has the advantage of a rate that
    happens to suit it. Fitness, to be minimised, is the cross-entropy on the validation part after the last step; the
    metric is the accuracy there. Held-out tasks are judged on the test part, which a search never sees. Subclasses say
    what is drawn and what a step descends; their docstrings say what the fields are.
    """

    num_tasks: int = 4
    inner_steps: int = 100
    hidden: tuple[int, ...] = (32,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.hidden, default=1) < 1:
            raise ConfigurationError(
                f"{type(self).__name__} expects widths of at least 1 in hidden, got hidden={self.hidden}; "
                "() is a network without hidden layers."
            )

    def require_at_least_1(self, **values: int) -> None:
        """Raise ConfigurationError for a count below 1."""
        wrong = [f"{name}={value}" for name, value in values.items() if value < 1]
        if wrong:
            raise ConfigurationError(
                f"{type(self).__name__} expects {' and '.join(values)} of at least 1, got {', '.join(wrong)}."
            )

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
        """Draw what a training run needs besides initial weights; it has ``inner_steps`` of what differs by step."""

    @abc.abstractmethod
    def training_loss(self, omega: Omega, drawn: Any, weights: Any, number: Scalar) -> Scalar:
        """Return what step ``number``, from 0 on, descends."""

    def judged_in_search(self, key: Key) -> jax.Array:
        """Return the rows ``[V]`` that a search judges a task on; by default the validation part."""
        return jnp.asarray(self.data.validation)

    def sample_task(self, key: Key) -> Trial:
        """Draw initial weights and the rest; judged on the validation part."""
        return self._trial(key, self.judged_in_search(jax.random.fold_in(key, 2)))

    def sample_test_task(self, key: Key) -> Trial:
        """Draw initial weights and the rest; judged on the test part."""
        return self._trial(key, jnp.asarray(self.data.test))

    def _trial(self, key: Key, judged_on: jax.Array) -> Trial:
        weights = self.network.draw(jax.random.fold_in(key, 0), self.data.features.shape[1])
        return Trial(weights, judged_on, self.draw(jax.random.fold_in(key, 1)))

    def init(self, key: Key, omega: Omega, task: Trial) -> Learner:
        """Begin at the task's weights."""
        return Learner(task.weights, jax.tree.map(jnp.zeros_like, task.weights), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Trial, learner: Learner) -> Learner:
        """Take one step of gradient descent with momentum."""

        def error(weights: Any) -> Scalar:
            return self.training_loss(omega, task.drawn, weights, learner.steps)

        gradient = jax.grad(error)(learner.weights)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, learner.velocity, gradient)
        weights = jax.tree.map(lambda w, v: w - omega["learning_rate"] * v, learner.weights, velocity)
        return Learner(weights, velocity, learner.steps + 1)

    def logits(self, weights: Any, features: jax.Array) -> jax.Array:
        """Return ``[B, C]`` for features ``[B, F]``."""
        return self.network.run(weights, features)

    def loss(self, key: Key, omega: Omega, task: Trial, learner: Learner) -> Scalar:
        """Return the cross-entropy on what the task is judged on."""
        logits = self.logits(learner.weights, jnp.asarray(self.data.features)[task.judged_on])
        return cross_entropy(logits, jnp.asarray(self.data.targets)[task.judged_on])

    def metrics(self, key: Key, omega: Omega, task: Trial, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on what the task is judged on."""
        logits = self.logits(learner.weights, jnp.asarray(self.data.features)[task.judged_on])
        right = jnp.argmax(logits, axis=-1) == jnp.asarray(self.data.labels)[task.judged_on]
        return {"accuracy": jnp.mean(right, dtype=jnp.float32)}


def number(low: float, high: float, start: float, *, log: bool = False) -> Box:
    """Return a space of one float32."""
    return Box((), low, high, log=log, start=start, dtype=jnp.float32)


LEARNING_RATE = number(1e-3, 1.0, 0.03, log=True)


def examples(key: Key, rows: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """Draw rows with replacement, int32 of the given shape."""
    rows = jnp.asarray(rows)
    return rows[jax.random.randint(key, shape, 0, len(rows), jnp.int32)]


def each_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the cross-entropy of each example ``[B]`` for logits ``[B, C]`` and labels ``[B]``."""
    target = labels[:, None] == jnp.arange(logits.shape[1], dtype=labels.dtype)
    return jax.nn.logsumexp(logits, axis=-1) - jnp.sum(jnp.where(target, logits, 0), axis=-1)
