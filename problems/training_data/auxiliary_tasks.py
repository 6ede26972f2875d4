"""Weights of auxiliary losses: which other tasks help to learn the main one.

Branch of meta-learning: auxiliary tasks. ω weights the losses of tasks that a network learns along with its main task.
Some of them are known to be related to it, others are constructed to be useless.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problems.shared.classification import draw_rows
from evometa.problems.shared.digits import CLASSES, digits
from evometa.problems.shared.networks import MLP, cross_entropy
from evometa.problems.shared.scalars import LEARNING_RATE, number
from evometa.problems.training_data.few_labels import FewLabels
from evometa.spaces import Box, Dict
from evometa.types import Key, Omega, Scalar

USEFUL = {
    "odd": (1, 3, 5, 7, 9),
    "five or more": (5, 6, 7, 8, 9),
    "has a loop": (0, 6, 8, 9),
    "straight strokes": (1, 4, 7),
    "prime": (2, 3, 5, 7),
}
"""Yes-or-no questions about a digit, with the digits for which the answer is yes."""
USELESS = ("odd, shuffled", "five or more, shuffled", "has a loop, shuffled", "coin", "another coin")
"""Questions whose answers are independent of the image: answers of other images, and coin flips."""
NAMES = (*USEFUL, *USELESS)
ANSWERS = np.array([[digit in yes for yes in USEFUL.values()] for digit in range(CLASSES)], np.float32)


class Draws(NamedTuple):
    """The examples of one training run; N in the training part, K auxiliary tasks."""

    labelled: jax.Array
    """``[S, B]``, indices into the training part: the minibatches of the main task."""
    unlabelled: jax.Array
    """``[S, B]``, the same for the auxiliary tasks."""
    answers: jax.Array
    """``[N, K]``, the answers of the auxiliary tasks, 0 or 1."""


@dataclasses.dataclass(frozen=True)
class AuxiliaryTasks(FewLabels):
    """Find the weights of ten auxiliary losses, and how they combine, for classifying digits from few labels.

    The main task is to classify digits from ``labelled`` examples. The auxiliary tasks are yes-or-no questions whose
    answers are known for all examples of the training part: five about the digit (odd, five or more, has a loop, drawn
    in straight strokes, prime), and five that cannot be answered from the image: three of the former with answers
    shuffled among the examples, and two coin flips for each example. One network with a shared hidden layer has an
    output for each class and each question. An inner step descends the gradient of

        main + (1 - t)^``fade`` · Σ_k ``weight``_k · loss_k^``power``,

    where t is the fraction of training that is done and each loss is a mean over a minibatch.

    ω is a dict of ``weight`` ``[10]``, in the order of ``NAMES``, ``fade``, ``power`` and ``learning_rate``. A search
    starts with all weights at 0.1. Tasks differ by initial weights, labelled examples, minibatches, shuffles and coin
    flips. Fitness, to be minimised, is the cross-entropy of the main task on the validation part; held-out tasks are
    evaluated on the test part. Shifted distributions have a wider network, or half or four times the labelled examples.

    Papers: Liu, Davison and Johns, "Self-supervised generalisation with meta auxiliary learning", NeurIPS 2019; Navon
    et al., "Auxiliary learning by implicit differentiation" (AuxiLearn), ICLR 2021, which learns how losses combine.
    Their data sets differ; none of their numbers is compared here.

    Result, mean of 3 seeds and 32 held-out tasks, CMA-ES for a minute (80 generations of 16): accuracy 81.0 %, which
    is 5.9 ± 0.9 points above no auxiliary tasks. Equal weights for all ten give 3.9 points, equal weights for the five
    useful ones 4.0, with learning rate and weight tuned. With four times the labels the weights no longer help (89.4 %,
    against 90.4 % without auxiliary tasks). The area under the ROC curve of ranking useful over useless tasks by weight
    is 1.00, 0.92 and 1.00.

    Args:
        hidden: widths of the hidden layers, which all tasks share.
        labelled: labelled examples for the main task, at least 1.
        batch_size: B, examples of each of the two minibatches of one inner step, drawn with replacement.
    """

    inner_steps: int = 150
    hidden: tuple[int, ...] = (16,)
    labelled: int = 40

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="auxiliary tasks",
        omega="weights of ten auxiliary losses, how they combine and fade, a learning rate",
        learner="multi-head MLP on 40 labelled digits",
        paper="Liu et al. 2019; Navon et al. 2021",
        recipe=Recipe("CMAES", {"population_size": 16, "sigma": 0.15}, {"seconds": 120}),
    )

    @property
    def space(self) -> Dict:
        """Loss weights, fade, power and a learning rate."""
        return Dict(
            {
                "learning_rate": LEARNING_RATE,
                "weight": Box((len(NAMES),), 1e-3, 10.0, log=True, start=0.1, dtype=jnp.float32),
                "fade": number(0.0, 4.0, 0.0),
                "power": number(0.5, 3.0, 1.0),
            }
        )

    @property
    def network(self) -> MLP:
        """The learner's network, with an output for each class and each question."""
        return MLP((*self.hidden, CLASSES + len(NAMES)))

    def shifted(self) -> dict[str, "AuxiliaryTasks"]:
        """Four times the hidden units; fewer and more labelled examples."""
        return self.other_sizes("labels")

    def draw(self, key: Key) -> Draws:
        """Draw labelled examples, minibatches, shuffles and coin flips."""
        key_labelled, key_main, key_unlabelled, key_shuffle, key_coins = jax.random.split(key, 5)
        count, batches = len(digits().training), (self.inner_steps, self.batch_size)
        places = jnp.arange(count, dtype=jnp.int32)
        labelled = self.draw_labelled(key_labelled, places)
        useful = jnp.asarray(ANSWERS[digits().labels[digits().training]])
        shuffled = jax.random.permutation(key_shuffle, useful[:, :3], independent=True)
        coins = jax.random.bernoulli(key_coins, 0.5, (count, 2)).astype(useful.dtype)
        answers = jnp.concatenate([useful, shuffled, coins], axis=1)
        return Draws(draw_rows(key_main, labelled, batches), draw_rows(key_unlabelled, places, batches), answers)

    def training_loss(self, omega: Omega, drawn: Draws, weights: Any, number: Scalar) -> Scalar:
        """Return the main loss plus the weighted auxiliary losses on the next two minibatches."""
        data = digits()
        images, targets = jnp.asarray(data.features[data.training]), jnp.asarray(data.targets[data.training])
        labelled, unlabelled = drawn.labelled[number], drawn.unlabelled[number]
        outputs = self.network.run(weights, images[jnp.concatenate([labelled, unlabelled])])
        main = cross_entropy(outputs[: self.batch_size, :CLASSES], targets[labelled])
        logits = outputs[self.batch_size :, CLASSES:]
        auxiliary = jnp.mean(jax.nn.softplus(logits) - logits * drawn.answers[unlabelled], axis=0)
        fade = (1 - number / self.inner_steps) ** omega["fade"]
        total: Scalar = main + fade * jnp.sum(omega["weight"] * auxiliary ** omega["power"])
        return total

    def logits(self, weights: Any, features: jax.Array) -> jax.Array:
        """Return the logits ``[B, 10]`` of the main task for images ``[B, 64]``."""
        return super().logits(weights, features)[:, :CLASSES]
