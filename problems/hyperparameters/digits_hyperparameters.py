"""Hyperparameters of SGD for a small network trained on handwritten digits.

Branch of meta-learning: hyperparameter optimisation for asymptotic performance: the fitness is the validation loss at
the end of training. All candidates of a generation share initial weights and minibatches.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from evometa.card import ProblemCard, Recipe
from evometa.problems.shared.digits import CLASSES, digits
from evometa.problems.shared.digits_training import DigitsTraining, Training
from evometa.problems.shared.networks import Learner, accuracy, cross_entropy
from evometa.problems.shared.scalars import number
from evometa.spaces import Dict
from evometa.types import Key, Omega, Scalar


@dataclasses.dataclass(frozen=True)
class DigitsHyperparameters(DigitsTraining):
    """Tune SGD with momentum for an MLP on scikit-learn's digits.

    ω is a dict of ``learning_rate`` (0.001 to 10, searched on a logarithmic scale), ``momentum`` (0 to 0.99),
    ``weight_decay`` (1e-6 to 0.1, logarithmic), ``label_smoothing`` (0 to 0.5) and ``init_scale`` (0.1 to 10,
    logarithmic; 1 is LeCun's initialisation); all float32. The inner loop trains the MLP for ``inner_steps``
    minibatches. Tasks differ by initial weights and minibatches.

    Fitness, to be minimised, is the cross-entropy in nats on the validation part (360 images) after the last step;
    the metric ``accuracy`` is measured there too. Held-out tasks are evaluated on the test part (360 other images),
    which the search never sees. All training uses the remaining 1077 images.

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

    @property
    def space(self) -> Dict:
        """Five hyperparameters; a search starts at common default values."""
        return Dict(
            {
                "learning_rate": number(1e-3, 10.0, 0.01, log=True),
                "momentum": number(0.0, 0.99, 0.9),
                "weight_decay": number(1e-6, 0.1, 1e-4, log=True),
                "label_smoothing": number(0.0, 0.5, 0.1),
                "init_scale": number(0.1, 10.0, 1.0, log=True),
            }
        )

    def init(self, key: Key, omega: Omega, task: Training) -> Learner:
        """Scale the task's initial weights by ``init_scale``."""
        weights = jax.tree.map(lambda w: omega["init_scale"] * w, task.weights)
        return Learner(weights, jax.tree.map(jnp.zeros_like, weights), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Learner:
        """Take one step of SGD with momentum on the next minibatch."""
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
        """Return the cross-entropy on the task's evaluation examples."""
        targets = jnp.asarray(digits().targets)[task.evaluation_rows]
        return cross_entropy(self._logits(task, learner), targets)

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the task's evaluation examples."""
        labels = jnp.asarray(digits().labels)[task.evaluation_rows]
        return {"accuracy": accuracy(self._logits(task, learner), labels)}

    def _logits(self, task: Training, learner: Learner) -> jax.Array:
        return self.predict(learner.weights, jnp.asarray(digits().features)[task.evaluation_rows])

    def predict(self, weights: Any, images: jax.Array) -> jax.Array:
        """Return the network's logits ``[N, 10]`` for images ``[N, 64]``."""
        return self.network.run(weights, images)
