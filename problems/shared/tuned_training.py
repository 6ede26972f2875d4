"""Training at several learning rates at once, for problems that search for a component of training."""

import abc
import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray

from evometa.problems.shared.digits import digits
from evometa.problems.shared.digits_training import DigitsTraining, Training
from evometa.problems.shared.networks import accuracy, cross_entropy
from evometa.settings import Count, Items, Positive
from evometa.types import Key, Learner, Omega, Scalar


@dataclasses.dataclass(frozen=True)
class TunedTraining(DigitsTraining):
    """Train an MLP on digits at R learning rates at once, and evaluate the network with the best validation loss.

    So no ω has the advantage that one fixed learning rate happens to suit it. Subclasses say how networks compute and
    are updated; a learner has their ``weights`` ``[R, N]``, a row for each learning rate, and counts its ``steps``.
    Their docstrings describe the fields.
    """

    num_tasks: int = 2
    learning_rates: Annotated[tuple[Positive, ...], Items()] = (0.01, 0.1, 1.0)
    max_size: Count = 21
    start: str | None = None

    @abc.abstractmethod
    def predict(self, omega: Omega, weights: Any, images: jax.Array) -> jax.Array:
        """Return the logits ``[B, 10]`` of one network for images ``[B, 64]``."""

    def first_weights(self, task: Training) -> jax.Array:
        """Return the initial weights ``[R, N]``, the same at each learning rate."""
        weights = ravel_pytree(task.weights)[0]
        return jnp.broadcast_to(weights, (len(self.learning_rates), len(weights)))

    def rates(self) -> NDArray[np.float32]:
        """Return the learning rates, ``[R, 1]``."""
        return np.array(self.learning_rates, np.float32)[:, None]

    def gradient(self, omega: Omega, task: Training, learner: Learner) -> jax.Array:
        """Return the gradients ``[R, N]`` of the cross-entropy on the next minibatch."""
        rows = task.batches[learner.steps]
        images, targets = jnp.asarray(digits().features)[rows], jnp.asarray(digits().targets)[rows]
        unravel = ravel_pytree(task.weights)[1]

        def error(weights: jax.Array) -> Scalar:
            return cross_entropy(self.predict(omega, unravel(weights), images), targets)

        gradients: jax.Array = jax.vmap(jax.grad(error))(learner.weights)
        return gradients

    def loss(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Scalar:
        """Return the cross-entropy of the chosen network on the task's evaluation examples."""
        _, logits = self.choose(omega, task, learner)
        return cross_entropy(logits, jnp.asarray(digits().targets)[task.evaluation_rows])

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy of the chosen network on the task's evaluation examples, and its learning rate."""
        chosen, logits = self.choose(omega, task, learner)
        right = accuracy(logits, jnp.asarray(digits().labels)[task.evaluation_rows])
        return {"accuracy": right, "learning_rate": jnp.asarray(self.rates())[chosen, 0]}

    def choose(self, omega: Omega, task: Training, learner: Learner) -> tuple[Scalar, jax.Array]:
        """Return the index of the network with the lowest validation loss, and its logits ``[360, 10]``.

        The logits are for the task's evaluation examples.
        """
        validation, unravel = digits().validation, ravel_pytree(task.weights)[1]
        # Both parts in one forward pass, so that there is one network less to compile.
        images = jnp.asarray(digits().features)[jnp.concatenate([jnp.asarray(validation), task.evaluation_rows])]
        logits = jax.vmap(lambda weights: self.predict(omega, unravel(weights), images))(learner.weights)
        on_validation, on_evaluation = jnp.split(logits, [len(validation)], axis=1)
        targets = jnp.asarray(digits().targets)[validation]
        losses = jax.vmap(cross_entropy, in_axes=(0, None))(on_validation, targets)
        chosen = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
        return chosen, on_evaluation[chosen]
