"""Training on few labelled digits, different ones in each task."""

import dataclasses
import typing

import jax
from jax.typing import ArrayLike

from evometa.problems.shared.networks import wider
from evometa.problems.training_data.data_training import DataTraining
from evometa.settings import Count
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class FewLabels(DataTraining):
    """Train an MLP on a few labelled examples of the training part, drawn for each task."""

    labelled: Count = 50
    batch_size: Count = 32

    def draw_labelled(self, key: Key, examples: ArrayLike) -> jax.Array:
        """Draw ``labelled`` of the given examples without replacement."""
        return jax.random.permutation(key, examples)[: self.labelled]

    def other_sizes(self, noun: str) -> dict[str, typing.Self]:
        """Return problems with a wider network, and with fewer and more labelled examples, which ``noun`` names."""
        return {
            "wider network": dataclasses.replace(self, hidden=wider(self.hidden)),
            f"half of the {noun}": dataclasses.replace(self, labelled=-(-self.labelled // 2)),
            f"four times the {noun}": dataclasses.replace(self, labelled=4 * self.labelled),
        }
