"""Hyperparameters of a small network trained on handwritten digits.

Branch of meta-learning: hyperparameter optimisation, judged by asymptotic performance: what remains of the validation
loss when training ends. All candidates of a generation start from the same draws and see the same minibatches.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems._digits import CLASSES, PIXELS, digits
from evometa.problems._networks import MLP, cross_entropy
from evometa.spaces import Box, Dict
from evometa.types import Key, Omega, Scalar


class Training(NamedTuple):
    """A task: one training run's draws, and what it is judged on."""

    weights: Any
    """Initial weights of scale 1, a pytree of float32."""
    batches: jax.Array
    """``[S, B]``, rows of the training part, the minibatch of each step."""
    judged_on: jax.Array
    """``[360]``, rows of the validation part, or of the test part for a held-out task."""


class Learner(NamedTuple):
    """A network in training with momentum."""

    weights: Any
    velocity: Any
    """Like the weights: the decaying sum of gradients."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class DigitsHyperparameters(InnerTraining):
    """Tune stochastic gradient descent with momentum for an MLP on scikit-learn's digits.

    ω is a dict of ``learning_rate`` (0.001 to 10, searched as its logarithm), ``momentum`` (0 to 0.99),
    ``weight_decay`` (1e-6 to 0.1, logarithm), ``label_smoothing`` (0 to 0.5) and ``init_scale`` (0.1 to 10,
    logarithm; 1 is LeCun's initialisation); all float32. Tasks differ by the initial weights and the minibatches.

    Fitness, to be minimised, is the cross-entropy in nats on the validation part (360 images) after the last step;
    the metric ``accuracy`` is measured there too. Held-out tasks are judged on the test part (360 other images), which
    the search never sees. All training uses the remaining 1077.

    Data: the digits bundled with scikit-learn, 8 × 8 pixels, from Alpaydin and Kaynak, "Optical recognition of
    handwritten digits", UCI Machine Learning Repository, 1998.

    Args:
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="hyperparameters",
        omega="five hyperparameters of SGD",
        learner="MLP on digits",
        recipe=Recipe("CMAES", {"population_size": 16}, {"seconds": 60}),
    )

    num_tasks: int = 4
    inner_steps: int = 100
    batch_size: int = 64
    hidden: tuple[int, ...] = (32,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if min((self.batch_size, *self.hidden)) < 1:
            raise ConfigurationError(
                "DigitsHyperparameters expects batch_size and the widths in hidden of at least 1, "
                f"got batch_size={self.batch_size} and hidden={self.hidden}."
            )

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, CLASSES))

    @property
    def space(self) -> Dict:
        """Five hyperparameters; a search starts at customary values."""

        def number(low: float, high: float, start: float, *, log: bool = False) -> Box:
            return Box((), low, high, log=log, start=start, dtype=jnp.float32)

        return Dict(
            {
                "learning_rate": number(1e-3, 10.0, 0.01, log=True),
                "momentum": number(0.0, 0.99, 0.9),
                "weight_decay": number(1e-6, 0.1, 1e-4, log=True),
                "label_smoothing": number(0.0, 0.5, 0.1),
                "init_scale": number(0.1, 10.0, 1.0, log=True),
            }
        )

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; judged on the validation part."""
        return self._draw(key, digits().validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; judged on the test part."""
        return self._draw(key, digits().test)

    def _draw(self, key: Key, judged_on: NDArray[np.int32]) -> Training:
        key_weights, key_batches = jax.random.split(key)
        training = jnp.asarray(digits().training)
        chosen = jax.random.randint(key_batches, (self.inner_steps, self.batch_size), 0, len(training), jnp.int32)
        return Training(self.network.draw(key_weights, PIXELS), training[chosen], jnp.asarray(judged_on))

    def init(self, key: Key, omega: Omega, task: Training) -> Learner:
        """Scale the task's weights as ω says."""
        weights = jax.tree.map(lambda w: omega["init_scale"] * w, task.weights)
        return Learner(weights, jax.tree.map(jnp.zeros_like, weights), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Learner:
        """Take one step of gradient descent with momentum on the next minibatch."""
        rows = task.batches[learner.steps]
        images, targets = jnp.asarray(digits().features)[rows], jnp.asarray(digits().targets)[rows]
        smoothing = omega["label_smoothing"]
        targets = (1 - smoothing) * targets + smoothing / CLASSES

        def error(weights: Any) -> Scalar:
            return cross_entropy(self.predict(weights, images), targets)

        velocity = jax.tree.map(
            lambda v, g, w: omega["momentum"] * v + g + omega["weight_decay"] * w,
            learner.velocity,
            jax.grad(error)(learner.weights),
            learner.weights,
        )
        weights = jax.tree.map(lambda w, v: w - omega["learning_rate"] * v, learner.weights, velocity)
        return Learner(weights, velocity, learner.steps + 1)

    def loss(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Scalar:
        """Return the cross-entropy on the part the task is judged on."""
        targets = jnp.asarray(digits().targets)[task.judged_on]
        return cross_entropy(self._judged(task, learner), targets)

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the part the task is judged on."""
        correct = jnp.argmax(self._judged(task, learner), axis=-1) == jnp.asarray(digits().labels)[task.judged_on]
        return {"accuracy": jnp.mean(correct, dtype=jnp.float32)}

    def _judged(self, task: Training, learner: Learner) -> jax.Array:
        return self.predict(learner.weights, jnp.asarray(digits().features)[task.judged_on])

    def predict(self, weights: Any, images: jax.Array) -> jax.Array:
        """Return the network's logits ``[N, 10]`` for images ``[N, 64]``."""
        return self.network.run(weights, images)
