"""An augmentation policy for a small training set.

Branch of meta-learning: training data, data augmentation. ω holds the probability and the strength of each of several
transformations of an image; whether one is applied is a discrete choice without a gradient.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problems.shared.classification import draw_rows
from evometa.problems.shared.digits import digits
from evometa.problems.shared.networks import cross_entropy
from evometa.problems.shared.scalars import LEARNING_RATE
from evometa.problems.training_data.few_labels import FewLabels
from evometa.spaces import Box, Dict
from evometa.types import Key, Omega, Scalar

SIDE = 8
STRONGEST = {
    "shift_x": 2.0,
    "shift_y": 2.0,
    "rotation": 0.8,
    "zoom": 0.5,
    "stretch": 0.5,
    "shear": 0.8,
    "contrast": 1.0,
    "noise": 0.5,
}
"""The transformations, and the largest standard deviation of each: shifts in pixels, rotation in radians, zoom, stretch
and contrast in natural logarithms, shear in pixels per pixel, noise in units of a pixel's range."""


class Draws(NamedTuple):
    """The examples of one training run, and the random numbers of their K transformations."""

    batches: jax.Array
    """``[S, B]``, rows of the data set: the minibatch of each step."""
    amounts: jax.Array
    """``[S, B, K]``, standard normal."""
    chances: jax.Array
    """``[S, B, K]``, uniform in [0, 1): a transformation is applied where its probability is larger."""
    noise: jax.Array
    """``[S, 1, 64]``, standard normal; shared by a minibatch, multiplied by the amount of each example."""


@dataclasses.dataclass(frozen=True)
class DataAugmentation(FewLabels):
    """Find the probability and strength of eight image transformations, for training on a few labelled examples.

    ω is a dict of ``probability`` ``[8]`` and ``strength`` ``[8]``, in the order of ``STRONGEST``, and
    ``learning_rate``. In the inner loop, each example of each minibatch is shifted, rotated, zoomed, stretched and
    sheared (in one bilinear interpolation), its contrast is changed and noise is added. Each transformation is applied
    with its own probability, by an amount drawn from a normal distribution with its strength as standard deviation. A
    search starts at probabilities of 1/2 and a tenth of the largest strengths.

    Tasks differ by initial weights, the ``labelled`` examples of the training part, minibatches and transformations.
    Fitness, to be minimised, is the cross-entropy on the validation part, without augmentation; held-out tasks are
    evaluated on the test part. Shifted distributions have a wider network, or half or four times the labelled examples.

    Papers: Cubuk et al., "AutoAugment: learning augmentation strategies from data", CVPR 2019 (probabilities and
    magnitudes, searched by reinforcement learning); Ho et al., "Population based augmentation", ICML 2019. Their data
    sets differ; none of their numbers is compared here.

    Result, mean of 3 seeds and 32 held-out tasks (``benchmarks/training_data.py``): accuracy 81.8 % by CMA-ES in a
    minute (40 generations of 16), 1.8 ± 0.5 points above no augmentation; shifts alone with tuned strength give 80.5 %,
    random policies 73.0 %. With four times the labelled examples, the policy found is 0.9 points below no augmentation.

    Args:
        hidden: widths of the hidden layers.
        labelled: labelled examples of a learner, at least 1.
        batch_size: B, examples in one inner step, drawn with replacement.
    """

    inner_steps: int = 300

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="training data: augmentation",
        omega="probability and strength of eight changes of an image, a learning rate",
        learner="MLP on 50 digits",
        paper="Cubuk et al. 2019",
        recipe=Recipe("CMAES", {"population_size": 16, "sigma": 0.2}, {"seconds": 120}),
    )

    @property
    def space(self) -> Dict:
        """Probabilities, strengths and a learning rate."""
        strongest = np.array(list(STRONGEST.values()))
        return Dict(
            {
                "learning_rate": LEARNING_RATE,
                "probability": Box((len(STRONGEST),), 0.0, 1.0, start=0.5, dtype=jnp.float32),
                "strength": Box((len(STRONGEST),), 0.0, strongest, start=strongest / 10, dtype=jnp.float32),
            }
        )

    def shifted(self) -> dict[str, "DataAugmentation"]:
        """Four times the hidden units; fewer and more labelled examples."""
        return self.other_sizes("examples")

    def draw(self, key: Key) -> Draws:
        """Draw labelled examples, minibatches of them, and transformations."""
        key_labelled, key_batches, key_amounts, key_chances, key_noise = jax.random.split(key, 5)
        labelled = self.draw_labelled(key_labelled, jnp.asarray(digits().training))
        batches = (self.inner_steps, self.batch_size)
        changes = (*batches, len(STRONGEST))
        return Draws(
            draw_rows(key_batches, labelled, batches),
            jax.random.normal(key_amounts, changes, jnp.float32),
            jax.random.uniform(key_chances, changes, jnp.float32),
            jax.random.normal(key_noise, (self.inner_steps, 1, SIDE * SIDE), jnp.float32),
        )

    def training_loss(self, omega: Omega, drawn: Draws, weights: Any, number: Scalar) -> Scalar:
        """Return the cross-entropy on the next minibatch, augmented."""
        batch: Draws = jax.tree.map(lambda leaf: leaf[number], drawn)
        amounts = jnp.where(batch.chances < omega["probability"][None], omega["strength"][None] * batch.amounts, 0)
        images = change(jnp.asarray(digits().features)[batch.batches], amounts, batch.noise)
        return cross_entropy(self.logits(weights, images), jnp.asarray(digits().targets)[batch.batches])


def change(images: jax.Array, amounts: jax.Array, noise: jax.Array) -> jax.Array:
    """Return transformed images ``[B, 64]``.

    Args:
        images: ``[B, 64]``, 8 × 8 pixels, row by row.
        amounts: ``[B, 8]``, the amount of each transformation, in the order and the units of ``STRONGEST``.
        noise: ``[B, 64]`` or ``[1, 64]``, what is added, in units of the amount of noise.
    """
    x, y, angle, zoom, stretch, shear, contrast, strength = jnp.split(amounts, len(STRONGEST), axis=1)
    place = np.arange(SIDE * SIDE, dtype=np.float32)[None]
    across, down = place % SIDE - (SIDE - 1) / 2, place // SIDE - (SIDE - 1) / 2
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    wide, high = jnp.exp(-zoom - stretch / 2), jnp.exp(-zoom + stretch / 2)
    # Where in the input each pixel of the output comes from, [B, 64], in pixels from the corner.
    from_x = wide * (cos * across + sin * down) + shear * down - x + (SIDE - 1) / 2
    from_y = high * (cos * down - sin * across) - y + (SIDE - 1) / 2
    # Bilinear interpolation: each input pixel has a weight in x and in y. A product is faster than a gather.
    grid = np.arange(SIDE, dtype=np.float32)[None, None]
    near_x, near_y = (jnp.maximum(1 - jnp.abs(at[..., None] - grid), 0) for at in (from_x, from_y))
    rows = jnp.einsum("byx,bpx->bpy", images.reshape(-1, SIDE, SIDE), near_x)
    return jnp.exp(contrast) * jnp.sum(rows * near_y, axis=-1) + strength * noise
