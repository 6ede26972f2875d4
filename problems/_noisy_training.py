"""Training on labels some of which are wrong, afresh in each task: for what learns to cope with any of them."""

import dataclasses
import typing

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.problems._classification import Name, Table, table
from evometa.problems._data_training import DataTraining
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class NoisyTraining(DataTraining):
    """Train an MLP on a small data set with wrong labels in the training part; judged by right ones.

    Shifted distributions have a wider network, half of the noise, or other data.
    """

    num_tasks: int = 4
    label_noise: float = 0.4
    batch_size: int = 64
    data_set: Name = "digits"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        self.require_at_least_1(batch_size=self.batch_size)
        if not 0 <= self.label_noise < 1:
            raise ConfigurationError(
                f"{name} expects 0 <= label_noise < 1, a share of the labels, got {self.label_noise}."
            )
        if self.data_set not in typing.get_args(Name):
            raise ConfigurationError(
                f"{name} expects data_set to be one of {', '.join(typing.get_args(Name))}, got {self.data_set!r}."
            )

    @property
    def data(self) -> Table:
        """The data set."""
        return table(self.data_set)

    def shifted(self) -> dict[str, typing.Self]:
        """Four times the hidden units; half of the noise; another data set."""
        other: Name = "breast_cancer" if self.data_set == "digits" else "digits"
        return {
            "wider network": dataclasses.replace(self, hidden=tuple(4 * width for width in self.hidden)),
            "half of the noise": dataclasses.replace(self, label_noise=self.label_noise / 2),
            other: dataclasses.replace(self, data_set=other),
        }

    def noisy_labels(self, key: Key) -> jax.Array:
        """Draw the labels ``[N]`` that training sees of the training part, int32."""
        key_wrong, key_class = jax.random.split(key)
        right, classes = jnp.asarray(self.data.labels[self.data.training]), self.data.targets.shape[1]
        other = jax.random.randint(key_class, right.shape, 1, classes, jnp.int32)
        wrong = jax.random.bernoulli(key_wrong, self.label_noise, right.shape)
        return jnp.where(wrong, (right + other) % classes, right)
