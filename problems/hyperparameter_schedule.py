"""A learning rate that changes in the course of training, for a small network on handwritten digits.

Branch of meta-learning: hyperparameters over time. With minibatches a large learning rate makes fast progress and
leaves the weights in a cloud of noise, and a small one is precise and slow; a schedule can have both.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problems._schedules import ScheduledTraining
from evometa.problems.digits_hyperparameters import DigitsHyperparameters, Learner, Training
from evometa.types import Key, Scalar


@dataclasses.dataclass(frozen=True)
class HyperparameterSchedule(ScheduledTraining):
    """Find the schedule of the learning rate for an MLP on scikit-learn's digits.

    ω is ``[knots]``, learning rates from 0.001 to 1 at evenly spaced moments of the training, interpolated on a
    logarithmic scale; all of them equal is a constant learning rate. The learner is trained by gradient descent with
    momentum on minibatches so small that the noise matters. Tasks differ by initial weights and minibatches.

    Fitness, to be minimised, is the cross-entropy in nats on the validation part (360 images) after the last step; the
    metric ``accuracy`` is measured there too. Held-out tasks are judged on the test part (360 other images), which the
    search never sees. Shifted tasks train twice as long, or a wider network.

    Three ways to search it: judge whole trainings (CMA-ES, OpenAI-ES); ``knots=1`` with
    :class:`~evometa.strategies.PBT`, which makes a schedule of constants in a single training run of its population;
    and ``objective=Mean()`` with :class:`~evometa.strategies.PES`, which judges windows.

    Papers: Jaderberg et al., "Population based training of neural networks", 2017, arXiv:1711.09846; Vicol, Metz and
    Sohl-Dickstein, "Unbiased gradient estimation in unrolled computation graphs with persistent evolution strategies",
    ICML 2021, arXiv:2112.13835, which also learns a schedule for an MLP, on MNIST; none of their numbers is compared
    here. Our result, mean of 3 seeds: a held-out loss of 0.108 by CMA-ES and 0.129 by PBT, where the best constant
    learning rate has 0.174; a mean loss during training of 0.338 by CMA-ES and 0.340 by PES, where the best constant
    has 0.451 (``benchmarks/hyperparameter_schedule.py``).

    Args:
        knots: K, moments at which ω says the learning rate.
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers.
        momentum: from 0 to below 1.

    Raises:
        ConfigurationError: a size below 1, or a momentum outside [0, 1).
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="hyperparameters over time",
        omega="learning rates at moments of training",
        learner="MLP on digits, SGD with momentum",
        paper="Jaderberg et al. 2017",
        recipe=Recipe("CMAES", {"population_size": 16}, {"seconds": 60}),
    )

    batch_size: int = 16
    hidden: tuple[int, ...] = (32,)
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if min((self.batch_size, *self.hidden)) < 1 or not 0 <= self.momentum < 1:
            raise ConfigurationError(
                "HyperparameterSchedule expects batch_size and the widths in hidden of at least 1, and 0 <= momentum "
                f"< 1, got batch_size={self.batch_size}, hidden={self.hidden} and momentum={self.momentum}."
            )

    @property
    def training(self) -> DigitsHyperparameters:
        """The training whose learning rate is scheduled."""
        return DigitsHyperparameters(
            self.num_tasks, self.inner_steps, self.objective, batch_size=self.batch_size, hidden=self.hidden
        )

    def _hyperparameters(self, learning_rate: Any) -> dict[str, Any]:
        others = {"momentum": self.momentum, "weight_decay": 1e-4, "label_smoothing": 0.0, "init_scale": 1.0}
        return {"learning_rate": learning_rate} | {name: np.float32(value) for name, value in others.items()}

    def shifted(self) -> dict[str, "HyperparameterSchedule"]:
        """Twice the inner steps, over which the schedule is stretched; four times the hidden units."""
        return {
            "twice the steps": dataclasses.replace(self, inner_steps=2 * self.inner_steps),
            "wider network": dataclasses.replace(self, hidden=tuple(4 * width for width in self.hidden)),
        }

    def sample_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; judged on the validation part."""
        return self.training.sample_task(key)

    def sample_test_task(self, key: Key) -> Training:
        """Draw initial weights and minibatches; judged on the test part."""
        return self.training.sample_test_task(key)

    def init(self, key: Key, omega: jax.Array, task: Training) -> Learner:
        """Begin at the task's weights."""
        return self.training.init(key, self._hyperparameters(omega[0]), task)

    def step(self, key: Key, omega: jax.Array, task: Training, learner: Learner) -> Learner:
        """Take one step of gradient descent with momentum at the learning rate of the moment."""
        return self.training.step(key, self._hyperparameters(self.rate(omega, learner.steps)), task, learner)

    def loss(self, key: Key, omega: jax.Array, task: Training, learner: Learner) -> Scalar:
        """Return the cross-entropy on the part the task is judged on."""
        return self.training.loss(key, None, task, learner)

    def metrics(self, key: Key, omega: jax.Array, task: Training, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the part the task is judged on."""
        return self.training.metrics(key, None, task, learner)
