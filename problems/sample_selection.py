"""A small network that says how much each example counts.

Branch of meta-learning: what learners are trained on, sample selection. ω is the weights of a network that looks at how
an example does while a learner trains, and weighs it; so it may be taken to other data and other learners.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.card import ProblemCard, Recipe
from evometa.problems._data_training import LEARNING_RATE, each_cross_entropy, examples
from evometa.problems._networks import MLP
from evometa.problems._noisy_training import NoisyTraining
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

FEATURES = 3
"""What the network looks at: the example's loss, its rank in the minibatch, the progress of training."""
SCORER = MLP((8, 1))


class Draws(NamedTuple):
    """What one training run sees; N examples of the training part."""

    batches: jax.Array
    """``[S, B]``, which of the N examples, the minibatch of each step."""
    labels: jax.Array
    """``[N]``, int32; some of them wrong."""


@dataclasses.dataclass(frozen=True)
class SampleSelection(NoisyTraining):
    """Find how to weigh the examples of a minibatch, where some labels are wrong.

    ω has ``scorer``, the weights of a network with 8 hidden units, and ``learning_rate``. The network sees of each
    example of a minibatch the learner's loss on it, log(1 + loss); the share of the minibatch that has a smaller loss;
    and the share of training that is over. The sigmoid of its output is the example's weight; a step descends the
    weighted mean of the losses. A search begins with weights that are all alike.

    Tasks differ by initial weights, minibatches and the labels that are wrong. Fitness, to be minimised, is the
    cross-entropy on the validation part, with right labels; held-out tasks are judged on the test part.

    Paper: Shu et al., "Meta-Weight-Net: learning an explicit mapping for sample weighting", NeurIPS 2019, where the
    network sees the loss alone and is trained by gradients along with the learner. Their data sets are larger; none of
    their numbers is compared here.

    Our result, mean of 3 seeds and 32 held-out tasks (``benchmarks/training_data.py``), 40 % of the labels wrong:
    accuracy 93.2 % by CMA-ES in ten seconds (60 generations of 24) and 90.4 % by the gradient, where uniform weights
    give 86.5 % and keeping the smallest losses, share tuned, 85.0 %.

    Args:
        hidden: widths of the hidden layers.
        label_noise: share of the training labels that are replaced by one of the other classes, in [0, 1).
        batch_size: B, examples in one inner step, drawn with replacement.
        data_set: which of the data sets that come with scikit-learn: digits (1797 examples, 10 classes), wine (178, 3)
            or breast_cancer (569, 2).
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="training data: sample selection",
        omega="a network from an example's loss to its weight, a learning rate",
        learner="MLP on digits, 40 % of the labels wrong",
        paper="Shu et al. 2019",
        recipe=Recipe("CMAES", {"population_size": 24, "sigma": 0.3}, {"seconds": 120}),
    )

    @property
    def space(self) -> Dict:
        """The weights of the scoring network and a learning rate; a search begins where its output is zero."""
        return Dict({"learning_rate": LEARNING_RATE, "scorer": Like(_first)})

    def draw(self, key: Key) -> Draws:
        """Draw minibatches and wrong labels."""
        key_batches, key_labels = jax.random.split(key)
        places = jnp.arange(len(self.data.training), dtype=jnp.int32)
        return Draws(examples(key_batches, places, (self.inner_steps, self.batch_size)), self.noisy_labels(key_labels))

    def training_loss(self, omega: Omega, drawn: Draws, weights: Any, number: Scalar) -> Scalar:
        """Return the weighted mean of the cross-entropy on the next minibatch."""
        places = drawn.batches[number]
        logits = self.logits(weights, jnp.asarray(self.data.features[self.data.training])[places])
        losses = each_cross_entropy(logits, drawn.labels[places])
        weight = self.weigh(omega, jax.lax.stop_gradient(losses), number / self.inner_steps)
        return jnp.sum(weight * losses) / jnp.maximum(jnp.sum(weight), 1e-6)

    def weigh(self, omega: Omega, losses: jax.Array, progress: Scalar | float) -> jax.Array:
        """Return the weight of each of some examples ``[B]``, between 0 and 1.

        Args:
            omega: ω.
            losses: the learner's loss on each, ``[B]``.
            progress: the share of training that is over, from 0 to 1.
        """
        rank = jnp.mean(losses[:, None] > losses[None, :], axis=1, dtype=losses.dtype)
        seen = jnp.stack([jnp.log1p(losses), rank, jnp.full_like(losses, progress)], axis=1)
        return jax.nn.sigmoid(SCORER.run(omega["scorer"], seen)[:, 0])


def _first(key: Key) -> Any:
    weights = SCORER.draw(key, FEATURES)
    return {**weights, "Dense_1": jax.tree.map(jnp.zeros_like, weights["Dense_1"])}
