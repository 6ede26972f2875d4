"""A binary network trained by a local learning rule, without gradients.

Branch of meta-learning: hyperparameters of learners without gradients. ω holds the settings of the rule by which
weights of -1 and 1 are learned.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems.shared.classification import draw_rows
from evometa.problems.shared.digits import CLASSES, PIXELS, digits
from evometa.problems.shared.scalars import number
from evometa.problems.shared.shortening import shortened
from evometa.settings import Count
from evometa.spaces import Dict
from evometa.types import Key, Omega, Scalar


class Training(NamedTuple):
    """A task: everything random about one training run, and the examples it is evaluated on."""

    states: jax.Array
    """``[PIXELS + 1, CLASSES · units]`` float32, the initial states behind the weights, of scale 1."""
    batches: jax.Array
    """``[S, B]``, rows of the training part: the minibatch of each step."""
    evaluation_rows: jax.Array
    """Rows of the validation part, or of the test part for a held-out task."""


class Learner(NamedTuple):
    """A network that is being trained."""

    states: jax.Array
    """``[PIXELS + 1, CLASSES · units]``; a weight is the sign of its state."""
    steps: jax.Array
    """``[]``, updates so far."""


@dataclasses.dataclass(frozen=True)
class BinaryNetwork(InnerTraining):
    """Tune the learning rule of a network of binary weights and sign units on scikit-learn's digits.

    Pixels are thresholded to -1 or 1, weights are -1 or 1, and a unit's output is the sign of its weighted sum. Each
    class has ``units`` units, and the class with the most units at 1 is predicted. Each weight is the sign of a hidden
    state. Learning is local: in each minibatch, a unit of the correct class whose sum is negative, or positive by less
    than a margin, moves its states towards the image, and a unit of another class whose sum is positive, or negative by
    less than the margin, away from it. This is the perceptron rule for committees (Mitchison & Durbin 1989, "Bounds on
    the learning capacity of some multi-layer networks"), with a state behind each binary weight (Baldassi et al. 2007,
    "Efficient supervised learning in networks with binary synapses").

    ω is a dict of ``margin`` (in standard deviations of a unit's sum; 0 for the perceptron), ``reach`` (units that are
    wrong by more than this are not updated, in the same unit), ``push`` (step of a unit of a wrong class, relative to
    that of the correct class), ``decay`` (of the states, per step), ``noise`` (standard deviation of the noise added to
    each state per step), ``init_scale`` (of the states) and ``threshold`` (above which a pixel is 1). The unit of the
    states is the largest change that one example can cause. A search starts at the perceptron rule.

    Fitness, to be minimised, is the error rate on the validation part (360 images) after the last step. Held-out tasks
    are evaluated on the test part (360 others), which a search never sees. Tasks differ by initial states and
    minibatches. Result on 256 held-out tasks: an error rate of 27.6 % by the perceptron rule, and of 15.7 % by CMA-ES
    after 1,280 evaluations (mean of 3 searches, ``benchmarks/gradient_free_learners.py``).

    Args:
        batch_size: B, examples in one inner step, drawn with replacement.
        units: number of units of each class, odd so that no class is split evenly.

    Raises:
        ConfigurationError: sizes below 1, or an even number of units.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="hyperparameters of a learner without gradients",
        omega="a local learning rule: margin, reach, noise ...",
        learner="a network of binary weights and signs",
        paper="Baldassi et al. 2007",
        recipe=Recipe("CMAES", {"population_size": 32}, {"seconds": 90}),
    )

    num_tasks: int = 4
    inner_steps: int = 100
    batch_size: Count = 32
    units: Count = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units % 2 == 0:
            raise ConfigurationError(f"BinaryNetwork expects an odd number of units, got {self.units}.")

    @property
    def space(self) -> Dict:
        """Seven numbers; a search starts at the perceptron rule."""
        return Dict(
            {
                "margin": number(0.0, 3.0, 0.0),
                "reach": number(0.1, 10.0, 10.0, log=True),
                "push": number(0.01, 1.0, 1.0, log=True),
                "decay": number(1e-4, 0.3, 1e-4, log=True),
                "noise": number(1e-3, 3.0, 1e-3, log=True),
                "init_scale": number(0.1, 30.0, 1.0, log=True),
                "threshold": number(0.05, 0.95, 0.5),
            }
        )

    def shifted(self) -> dict[str, "BinaryNetwork"]:
        """Three times the units; a quarter of the training."""
        return {
            "three times the units": dataclasses.replace(self, units=3 * self.units),
            "a quarter of the training": shortened(self, self.inner_steps // 4),
        }

    def sample_task(self, key: Key) -> Training:
        """Draw initial states and minibatches; evaluated on the validation part."""
        return self._draw(key, digits().validation)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial states and minibatches; evaluated on the test part."""
        return self._draw(key, digits().test)

    def _draw(self, key: Key, evaluation_rows: NDArray[np.int32]) -> Training:
        key_states, key_batches = jax.random.split(key)
        batches = draw_rows(key_batches, digits().training, (self.inner_steps, self.batch_size))
        states = jax.random.normal(key_states, (PIXELS + 1, CLASSES * self.units), jnp.float32)
        return Training(states, batches, jnp.asarray(evaluation_rows))

    def init(self, key: Key, omega: Omega, task: Training) -> Learner:
        """Scale the task's initial states by ``init_scale``."""
        return Learner(omega["init_scale"] * task.states, jnp.int32(0))

    def sums(self, omega: Omega, states: jax.Array, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the inputs ``[B, PIXELS + 1]`` and the units' sums, of standard deviation 1 for random weights."""
        images = jnp.asarray(digits().features)[rows]
        inputs = jnp.where(images > omega["threshold"], jnp.float32(1), jnp.float32(-1))
        inputs = jnp.concatenate([inputs, jnp.ones((len(rows), 1), jnp.float32)], axis=1)
        return inputs, inputs @ sign(states) / np.float32((PIXELS + 1) ** 0.5)

    def step(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Learner:
        """Update the states of the units that are wrong, or right by less than the margin."""
        rows = task.batches[learner.steps]
        inputs, sums = self.sums(omega, learner.states, rows)
        right = jnp.repeat(jnp.asarray(digits().targets)[rows], self.units, axis=1)
        target = 2.0 * right - 1.0
        margin = target * sums
        updated = (margin < omega["margin"]) & (margin > -omega["reach"])
        size = jnp.where(right > 0, jnp.float32(1), omega["push"]) * updated
        states = (1.0 - omega["decay"]) * learner.states + inputs.T @ (target * size)
        noise = jax.random.normal(key, states.shape, jnp.float32)
        return Learner(states + omega["noise"] * noise, learner.steps + 1)

    def loss(self, key: Key, omega: Omega, task: Training, learner: Learner) -> Scalar:
        """Return the error rate on the task's evaluation examples."""
        rows = task.evaluation_rows
        _, sums = self.sums(omega, learner.states, rows)
        votes = jnp.sum(sign(sums).reshape(len(rows), CLASSES, self.units), axis=-1)
        wrong = jnp.argmax(votes, axis=-1) != jnp.asarray(digits().labels)[rows]
        return jnp.mean(wrong, dtype=jnp.float32)

    def metrics(self, key: Key, omega: Omega, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the task's evaluation examples."""
        return {"accuracy": 1.0 - self.loss(key, omega, task, learner)}


def sign(x: jax.Array) -> jax.Array:
    """Return 1 where x is at least 0 and -1 elsewhere, float32."""
    return jnp.where(x >= 0, jnp.float32(1), jnp.float32(-1))
