"""Training on noisy labels, with new noise in each task, for methods that have to cope with any of it."""

import dataclasses
import typing

import jax

from evometa.problems.shared.classification import Name, Table, other_data_set, table
from evometa.problems.shared.label_noise import noisy
from evometa.problems.shared.networks import wider
from evometa.problems.training_data.data_training import DataTraining
from evometa.settings import Count, Decay
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class NoisyTraining(DataTraining):
    """Train an MLP on a small data set with label noise in the training part; evaluate on correct labels.

    Shifted task distributions have a wider network, half of the noise, or another data set.
    """

    num_tasks: int = 4
    label_noise: Decay = 0.4
    batch_size: Count = 64
    data_set: Name = "digits"

    @property
    def data(self) -> Table:
        """The data set."""
        return table(self.data_set)

    def shifted(self) -> dict[str, typing.Self]:
        """Four times the hidden units; half of the noise; another data set."""
        other = other_data_set(self.data_set)
        return {
            "wider network": dataclasses.replace(self, hidden=wider(self.hidden)),
            "half of the noise": dataclasses.replace(self, label_noise=self.label_noise / 2),
            other: dataclasses.replace(self, data_set=other),
        }

    def noisy_labels(self, key: Key) -> jax.Array:
        """Draw the labels ``[N]`` of the training part that the learner sees, int32."""
        key_wrong, key_class = jax.random.split(key)
        labels, classes = self.data.labels[self.data.training], self.data.targets.shape[1]
        return noisy(key_wrong, key_class, labels, classes, self.label_noise)
