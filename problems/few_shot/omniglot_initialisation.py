"""Few-shot classification of characters: an initialisation that adapts in a few gradient steps.

Branch of meta-learning: learned initialisations, and learned step sizes.
"""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problems.few_shot.episodes import Episode, FewShot, flat
from evometa.problems.shared.networks import cross_entropy
from evometa.settings import Positive
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega


@dataclasses.dataclass(frozen=True)
class OmniglotInitialisation(FewShot):
    """Few-shot classification by a few steps of gradient descent from a learned initialisation.

    ω is a dict: ``convolutions``, the initial weights of a convolutional network, and ``log_rates``, one number v for
    each weight tensor of the learner, whose step size is exp(v) times the given one. The learner also has an output
    layer, which starts at zero in every episode, so that ω does not depend on the number or order of the classes; the
    first step moves the output weights towards the mean features of each class. The inner loop trains all weights on
    the support set. The fitness, to be minimised, is the cross-entropy on the queries after the last step; the metric
    is their accuracy. Each image is normalised by itself, independently of all others.

    Papers: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017;
    learned step sizes as in Li et al. 2017, "Meta-SGD" (arXiv:1707.09835), but for each tensor. Protocol: classes of
    one alphabet, held-out alphabets, as in :class:`~evometa.problems.OmniglotPrototypes`.

    Result, accuracy on held-out episodes, mean of 3 seeds (``benchmarks/omniglot.py``), 1 and 5 shots: 89.7 and 94.5 %
    by the gradient in one and two minutes, 83.1 and 90.8 % by OpenAI-ES in two and five minutes of one core. Random
    weights, trained with the best step sizes and number of steps, have 72.5 and 91.1 %, weights trained jointly on all
    episodes 70.5 and 90.1 %, weights trained to classify all training characters 86.0 and 95.9 %.

    Args:
        characters: Omniglot's, read from files, or synthetic glyphs, which need no files.
        data_directory: the folder with Omniglot's zip files; by default the environment variable EVOMETA_DATA names it.
        ways: classes in an episode, at least 2.
        shots: support images of each class.
        queries: query images of each class.
        within_alphabet: whether the classes of an episode are of one alphabet, which makes them harder to distinguish.
        turned: whether classes of training episodes are rotated by 0, 90, 180 or 270 degrees, as additional classes.
        channels: channels of each layer of the network.
        learning_rate: step size of the convolutions where v = 0, as at the start of a search.
        output_learning_rate: the same for the output layer.

    Raises:
        ConfigurationError: a number below its minimum; and when tasks are sampled, a file that is missing or damaged,
            or more ways, shots or queries than the data allows.
    """

    num_tasks: int = 4
    inner_steps: int = 3
    learning_rate: Positive = 0.1
    output_learning_rate: Positive = 10.0

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned initialisations",
        omega="initial weights, and a step size for each tensor",
        learner="convolutional network, by gradient descent",
        paper="Finn et al. 2017",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 60}),
    )

    @property
    def space(self) -> Dict:
        """Initial weights of the convolutions, and the logarithms of the relative step sizes."""
        shapes = jax.eval_shape(self._learner, jax.eval_shape(self.network.draw, jax.random.key(0)))
        log_rates = jax.tree.map(lambda _: np.zeros((), np.float32), shapes)
        return Dict({"convolutions": Like(self.network.draw), "log_rates": Like(log_rates)})

    def _learner(self, convolutions: Any) -> dict[str, Any]:
        size = self.network.features
        output = {"kernel": jnp.zeros((size, self.ways), jnp.float32), "bias": jnp.zeros(self.ways, jnp.float32)}
        return {"convolutions": convolutions, "output": output}

    def init(self, key: Key, omega: Omega, task: Episode) -> dict[str, Any]:
        """Start at ω's convolutions, with an output layer of zeros."""
        return self._learner(omega["convolutions"])

    def step(self, key: Key, omega: Omega, task: Episode, learner: Any) -> Any:
        """Take one step of gradient descent on the support set."""

        def error(learner: Any) -> jax.Array:
            return cross_entropy(self.classify(omega, learner, flat(task.support)), self.targets(self.shots))

        sizes = {"convolutions": self.learning_rate, "output": self.output_learning_rate}
        rates = {
            part: jax.tree.map(lambda v, size=size: jnp.float32(size) * jnp.exp(v), omega["log_rates"][part])
            for part, size in sizes.items()
        }
        return jax.tree.map(lambda w, r, g: w - r * g, learner, rates, jax.grad(error)(learner))

    def classify(self, omega: Omega, learner: Any, images: jax.Array) -> jax.Array:
        """Return the network's logits ``[N, ways]``."""
        x = self.network.run(learner["convolutions"], images)
        output: dict[str, jax.Array] = learner["output"]
        return x @ output["kernel"] / math.sqrt(x.shape[1]) + output["bias"][None]
