"""Dataset distillation: a training set of a few synthetic images.

Branch of meta-learning: training data, dataset distillation. ω is a whole training set and the learning rate to train
with; freshly initialised networks learn from it in a few steps.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problems.shared.classification import draw_rows
from evometa.problems.shared.digits import CLASSES, digits
from evometa.problems.shared.networks import cross_entropy, wider
from evometa.problems.shared.scalars import number
from evometa.problems.training_data.data_training import DataTraining
from evometa.settings import Count
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

LABELS = np.eye(CLASSES, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class DatasetDistillation(DataTraining):
    """Find one image of each digit (or a few) from which freshly initialised networks learn to classify digits.

    ω is a dict of ``images`` ``[k·10, 64]``, the classes in turn, whose pixels may have any value, and
    ``learning_rate``. A search starts at images drawn from the training part. The inner loop takes ``inner_steps``
    full-batch steps on them. Tasks differ by initial weights and by the examples they are evaluated on.

    Fitness, to be minimised, is the cross-entropy of the trained network on ``judged_examples`` examples of the
    training part, the data that the images are to replace; held-out tasks are evaluated on the test part. Shifted
    distributions have a wider or narrower network, one more layer, or three times the steps.

    Paper: Wang, Zhu, Torralba and Efros, "Dataset distillation", 2018 (arXiv:1811.10959), by gradients through
    training, with one step size for each step; on MNIST, whose numbers are not compared here.

    Result, accuracy, mean of 3 seeds and 32 held-out tasks: real images 58.1 %, the best of 64 draws of them 72.3 %,
    the mean image of each class 86.4 %, with learning rates tuned; OpenAI-ES (400 generations of 256, 90 seconds)
    85.8 %, 27.7 ± 0.5 points above real images, but no better than the mean images; the gradient strategy (300
    generations) 90.0 %. On a network with one more layer both fail (19 and 16 %), as the mean images do (18 %); real
    images give 45 % there.

    Args:
        hidden: widths of the hidden layers.
        images_per_class: k, at least 1.
        judged_examples: training examples on which a trained network is evaluated, at least 1.
    """

    inner_steps: int = 10
    images_per_class: Count = 1
    judged_examples: Count = 256

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="training data: dataset distillation",
        omega="one synthetic image per class, a learning rate",
        learner="MLP on digits, 10 steps",
        paper="Wang et al. 2018",
        recipe=Recipe("OpenAIES", {"population_size": 256, "sigma": 0.03, "learning_rate": 0.02}, {"seconds": 90}),
    )

    @property
    def space(self) -> Dict:
        """Images and the learning rate; a search starts at real images."""
        return Dict({"learning_rate": number(0.01, 3.0, 0.3, log=True), "images": Like(self.real)})

    def real(self, key: Key) -> jax.Array:
        """Draw images of the training part, ``[k·10, 64]``, the classes in turn."""
        data = digits()
        labels = data.labels[data.training]
        order = jax.random.permutation(key, len(labels))
        # The first k rows of each class in a random order.
        of_class = jnp.asarray(labels)[order][None, :] == jnp.arange(CLASSES)[:, None]
        first = jax.lax.top_k(of_class * jnp.arange(len(labels), 0, -1)[None], self.images_per_class)[1]
        return jnp.asarray(data.features)[jnp.asarray(data.training)[order[first.T.reshape(-1)]]]

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the images, a column for each class, above real images as those at which a search begins."""
        from evometa.plots import style

        found, real = (np.reshape(images, (-1, CLASSES, 8, 8)) for images in (omega["images"], self.real(key)))
        names = ["found"] * len(found) + ["real"]
        picture = style.figure(width=7.0, height=0.85 * len(names))
        grid = picture.subplots(len(names), CLASSES, squeeze=False)
        for name, row, images in zip(names, grid, [*found, real[0]], strict=True):
            row[0].set_ylabel(name)
            for axes, image in zip(row, images, strict=True):
                axes.imshow(image, cmap="gray")
                axes.set(xticks=[], yticks=[])
        return {"images": picture}

    def shifted(self) -> dict[str, "DatasetDistillation"]:
        """Networks and numbers of steps for which the images were not optimised."""
        return {
            "wider network": dataclasses.replace(self, hidden=wider(self.hidden)),
            "narrower network": dataclasses.replace(self, hidden=tuple(-(-width // 2) for width in self.hidden)),
            "one layer more": dataclasses.replace(self, hidden=(*self.hidden, 32)),
            "three times the steps": dataclasses.replace(self, inner_steps=3 * self.inner_steps),
        }

    def search_rows(self, key: Key) -> jax.Array:
        """Draw examples of the training part."""
        return draw_rows(key, self.data.training, (self.judged_examples,))

    def draw(self, key: Key) -> tuple[()]:
        """Draw nothing: every step uses all images."""
        return ()

    def training_loss(self, omega: Omega, drawn: tuple[()], weights: Any, number: Scalar) -> Scalar:
        """Return the cross-entropy on the images."""
        targets = jnp.asarray(np.tile(LABELS, (self.images_per_class, 1)))
        return cross_entropy(self.logits(weights, omega["images"]), targets)
