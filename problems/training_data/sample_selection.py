"""A small network that weights the training examples.

Branch of meta-learning: training data, sample selection. ω holds the weights of a network that maps the loss of an
example during training to its weight, so it transfers to other data and other learners.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.card import ProblemCard, Recipe
from evometa.problems.shared.classification import draw_rows
from evometa.problems.shared.networks import MLP
from evometa.problems.shared.scalars import LEARNING_RATE
from evometa.problems.training_data.noisy_training import NoisyTraining
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

FEATURES = 3
"""Inputs of the network: the example's loss, its rank in the minibatch, the progress of training."""
SCORER = MLP((8, 1))


class Draws(NamedTuple):
    """The training data of one run; N examples of the training part."""

    batches: jax.Array
    """``[S, B]``, indices into the N examples: the minibatch of each step."""
    labels: jax.Array
    """``[N]``, the noisy labels, int32."""


@dataclasses.dataclass(frozen=True)
class SampleSelection(NoisyTraining):
    """Find how to weight the examples of a minibatch under label noise.

    ω is a dict of ``scorer``, the weights of a network with 8 hidden units, and ``learning_rate``. For each example of
    a minibatch the network gets the learner's loss on it, as log(1 + loss); the fraction of the minibatch with a
    smaller loss; and the fraction of training that is done. The sigmoid of its output is the example's weight; an inner
    step descends the weighted mean of the losses. A search starts at uniform weights.

    Tasks differ by initial weights, minibatches and label noise. Fitness, to be minimised, is the cross-entropy on the
    validation part, with correct labels; held-out tasks are evaluated on the test part.

    Paper: Shu et al., "Meta-Weight-Net: learning an explicit mapping for sample weighting", NeurIPS 2019, where the
    network gets the loss alone and is trained by gradients along with the learner. Their data sets are larger; none of
    their numbers is compared here.

    Result, mean of 3 seeds and 32 held-out tasks (``benchmarks/training_data.py``), 40 % of the labels wrong: accuracy
    93.2 % by CMA-ES in ten seconds (60 generations of 24) and 90.4 % by the gradient; uniform weights give 86.5 %, and
    keeping a tuned fraction of the examples with the smallest losses 85.0 %.

    Args:
        hidden: widths of the hidden layers.
        label_noise: fraction of the training labels that are replaced by one of the other classes, in [0, 1).
        batch_size: B, examples in one inner step, drawn with replacement.
        data_set: a data set bundled with scikit-learn: digits (1797 examples, 10 classes), wine (178, 3)
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
        """The weights of the scoring network and a learning rate; a search starts where its output is zero."""
        return Dict({"learning_rate": LEARNING_RATE, "scorer": Like(_draw_scorer)})

    def draw(self, key: Key) -> Draws:
        """Draw minibatches and noisy labels."""
        key_batches, key_labels = jax.random.split(key)
        places = jnp.arange(len(self.data.training), dtype=jnp.int32)
        return Draws(draw_rows(key_batches, places, (self.inner_steps, self.batch_size)), self.noisy_labels(key_labels))

    def training_loss(self, omega: Omega, drawn: Draws, weights: Any, number: Scalar) -> Scalar:
        """Return the weighted mean of the cross-entropy on the next minibatch."""
        places = drawn.batches[number]
        features = jnp.asarray(self.data.features[self.data.training])[places]
        losses = self.example_losses(weights, features, drawn.labels[places])
        weight = self.weigh(omega, jax.lax.stop_gradient(losses), number / self.inner_steps)
        return jnp.sum(weight * losses) / jnp.maximum(jnp.sum(weight), 1e-6)

    def weigh(self, omega: Omega, losses: jax.Array, progress: Scalar | float) -> jax.Array:
        """Return the weights ``[B]`` of the examples of a minibatch, between 0 and 1.

        Args:
            omega: ω.
            losses: the learner's loss on each, ``[B]``.
            progress: the fraction of training that is done, from 0 to 1.
        """
        rank = jnp.mean(losses[:, None] > losses[None, :], axis=1, dtype=losses.dtype)
        features = jnp.stack([jnp.log1p(losses), rank, jnp.full_like(losses, progress)], axis=1)
        return jax.nn.sigmoid(SCORER.run(omega["scorer"], features)[:, 0])


def _draw_scorer(key: Key) -> Any:
    weights = SCORER.draw(key, FEATURES)
    return {**weights, "Dense_1": jax.tree.map(jnp.zeros_like, weights["Dense_1"])}
