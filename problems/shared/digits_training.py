"""Training an MLP on scikit-learn's digits: the tasks that several problems share."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.problem import InnerTraining
from evometa.problems.shared.classification import draw_rows
from evometa.problems.shared.digits import CLASSES, PIXELS, digits
from evometa.problems.shared.networks import MLP
from evometa.settings import Count
from evometa.types import Key


class Training(NamedTuple):
    """A task: everything random about one training run, and the examples it is evaluated on."""

    weights: Any
    """Initial weights of scale 1, a pytree of float32."""
    batches: jax.Array
    """``[S, B]``, rows of the training part: the minibatch of each inner step."""
    evaluation_rows: jax.Array
    """``[360]``, rows of the validation part, or of the test part for a held-out task."""


@dataclasses.dataclass(frozen=True)
class DigitsTraining(InnerTraining):
    """Train an MLP on digits; tasks differ by initial weights and minibatches.

    Subclasses say what ω is and how it trains the network; their docstrings describe the fields.
    """

    inner_steps: int = 100
    batch_size: Count = 64
    hidden: tuple[Count, ...] = (32,)

    @property
    def network(self) -> MLP:
        """The learner's network."""
        return MLP((*self.hidden, CLASSES))

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; evaluated on the validation part."""
        return self._draw(key, digits().validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; evaluated on the test part."""
        return self._draw(key, digits().test)

    def _draw(self, key: Key, evaluation_rows: NDArray[np.int32]) -> Training:
        key_weights, key_batches = jax.random.split(key)
        batches = draw_rows(key_batches, digits().training, (self.inner_steps, self.batch_size))
        return Training(self.network.draw(key_weights, PIXELS), batches, jnp.asarray(evaluation_rows))
