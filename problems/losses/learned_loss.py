"""A loss function as a formula, found by genetic programming.

Branch of meta-learning: losses. ω is a formula of a prediction and a label; a learner descends its gradient, and is
evaluated by its accuracy, which has no gradient. Under label noise the best training loss differs from the loss that
is used for evaluation.
"""

import dataclasses
from typing import ClassVar

import jax
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.expressions import Expression, PrimitiveSet, Program
from evometa.problems.losses.loss_training import PROBABILITIES, LossTraining
from evometa.settings import Count

CROSS_ENTROPY = "mul(-1.0, mul(label, log(prediction)))"
"""The usual loss, as an expression of the space."""


@dataclasses.dataclass(frozen=True)
class LearnedLoss(LossTraining):
    """Find the loss, as a formula, with which an MLP is trained best by minibatch SGD.

    ω is an expression of ``prediction``, the probability that the network assigns to a class (a softmax), and
    ``label``, 1 for the class an example is labelled with and 0 for the others; the loss of an example is the sum over
    classes. The inner loop trains the MLP by the gradient of that loss. Tasks differ by initial weights, minibatches
    and label noise.

    Fitness, to be minimised, is the error rate on the validation part after the last step, with correct labels; the
    metric ``accuracy`` is 1 minus that. Held-out tasks are evaluated on the test part, which a search never sees.
    Meta-generalisation is measured by the same problem with another ``hidden`` or ``data_set``, to which an expression
    transfers unchanged. A loss with a non-finite gradient leaves non-finite weights: a failed candidate.

    Papers: Gonzalez & Miikkulainen, "Improved training speed, accuracy, and data utilization through loss function
    optimization", CEC 2020 (evolved loss functions); Raymond et al., "Learning symbolic model-agnostic loss functions
    via meta-learning", TPAMI 2023 (by genetic programming). Their data sets and networks are larger; none of their
    numbers is compared here. Measured by ``benchmarks/learned_loss.py`` on held-out digits, 5 searches of 3,840
    candidates each: 4.4 points over cross-entropy with a tuned learning rate where 40 % of the labels are wrong, and
    0.2 below it on clean labels.

    Args:
        label_noise: fraction of the training labels that are replaced by one of the other classes, in [0, 1).
        learning_rate: of the learner, positive.
        batch_size: B, examples in one inner step, drawn with replacement.
        hidden: widths of the hidden layers.
        data_set: a data set bundled with scikit-learn: digits (1797 examples, 10 classes), wine (178, 3)
            or breast_cancer (569, 2).
        max_size: maximum number of nodes of an expression.
        start: text of the expression a search starts from, such as ``CROSS_ENTROPY``; None: all are random.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="losses",
        omega="a formula of prediction and label",
        learner="an MLP, by gradient descent",
        paper="Gonzalez & Miikkulainen 2020; Raymond et al. 2023",
        recipe=Recipe("GeneticProgramming", {"population_size": 128}, {"seconds": 120}),
    )

    max_size: Count = 31
    start: str | None = None

    @property
    def space(self) -> Expression:
        """Expressions, compared by their derivative with respect to the prediction, at probabilities."""
        primitives = PrimitiveSet(("prediction", "label"))
        points = np.tile(PROBABILITIES, 2), np.repeat([0.0, 1.0], len(PROBABILITIES))
        return Expression(primitives, self.max_size, start=self.start, differentiated=("prediction",), points=points)

    def example_loss(self, omega: Program, prediction: jax.Array, label: jax.Array) -> jax.Array:
        """Return the expression's value at each entry."""
        return omega(prediction, label)
