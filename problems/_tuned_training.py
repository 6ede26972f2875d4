"""Training at several learning rates at once, for problems that search for what training is made of."""

import abc
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems._digits import CLASSES, PIXELS, digits
from evometa.problems._networks import MLP, cross_entropy
from evometa.problems.digits_hyperparameters import Training
from evometa.types import Key, Learner, Omega, Scalar


@dataclasses.dataclass(frozen=True)
class TunedTraining(InnerTraining):
    """Train an MLP on scikit-learn's digits at several learning rates at once; the one that validates best counts.

    So no ω has the advantage of a learning rate that happens to suit it. Subclasses say how networks compute and
    learn; a learner has their ``weights`` ``[R, N]``, a row for each learning rate, and counts its ``steps``. Their
    docstrings say what the fields are.
    """

    num_tasks: int = 2
    inner_steps: int = 100
    batch_size: int = 64
    hidden: tuple[int, ...] = (32,)
    learning_rates: tuple[float, ...] = (0.01, 0.1, 1.0)
    max_size: int = 21
    start: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        name, rates = type(self).__name__, self.learning_rates
        if min((self.batch_size, *self.hidden)) < 1:
            raise ConfigurationError(
                f"{name} expects batch_size and the widths in hidden of at least 1, "
                f"got batch_size={self.batch_size} and hidden={self.hidden}."
            )
        if not rates or not all(0 < rate < float("inf") for rate in rates):
            raise ConfigurationError(f"{name} expects one or more learning_rates, each finite and > 0, got {rates}.")

    @property
    def network(self) -> MLP:
        """The network that is trained."""
        return MLP((*self.hidden, CLASSES))

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

    @abc.abstractmethod
    def predict(self, omega: Omega, weights: Any, images: jax.Array) -> jax.Array:
        """Return the logits ``[B, 10]`` of one network for images ``[B, 64]``."""

    def first_weights(self, task: Training) -> jax.Array:
        """Return the weights ``[R, N]`` before training, the same at each learning rate."""
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
        """Return the cross-entropy of the network that counts, on the part the task is judged on."""
        _, logits = self.choose(omega, task, learner)
        return cross_entropy(logits, jnp.asarray(digits().targets)[task.judged_on])

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy of the network that counts, on the part the task is judged on, and its learning rate."""
        chosen, logits = self.choose(omega, task, learner)
        correct = jnp.argmax(logits, axis=-1) == jnp.asarray(digits().labels)[task.judged_on]
        return {"accuracy": jnp.mean(correct, dtype=jnp.float32), "learning_rate": jnp.asarray(self.rates())[chosen, 0]}

    def choose(self, omega: Omega, task: Training, learner: Learner) -> tuple[Scalar, jax.Array]:
        """Return which network has the lowest loss on the validation part, and its logits ``[360, 10]`` to judge."""
        validation, unravel = digits().validation, ravel_pytree(task.weights)[1]
        # Both parts in one pass: the program has one network less to compile.
        images = jnp.asarray(digits().features)[jnp.concatenate([jnp.asarray(validation), task.judged_on])]
        logits = jax.vmap(lambda weights: self.predict(omega, unravel(weights), images))(learner.weights)
        seen, judged = jnp.split(logits, [len(validation)], axis=1)
        losses = jax.vmap(cross_entropy, in_axes=(0, None))(seen, jnp.asarray(digits().targets)[validation])
        chosen = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
        return chosen, judged[chosen]
