"""One-shot classification of characters: an embedding in which examples of a class lie close together.

Branch of meta-learning: metric learning. There is no inner training: a learner is the mean embedding of each class. The
embedding is meta-learned over many episodes.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from evometa.card import ProblemCard, Recipe
from evometa.problems.few_shot.episodes import Episode, FewShot, flat
from evometa.spaces import Like
from evometa.types import Key, Omega

SHARPNESS = 4.0
"""Factor of the mean squared difference of two embeddings. Training can scale the embedding itself, but a sum instead
of a mean makes the first logits so large that training takes many times longer."""


@dataclasses.dataclass(frozen=True)
class OmniglotPrototypes(FewShot):
    """Few-shot classification by the nearest prototype in a learned embedding.

    ω holds the weights of a convolutional network. The learner is a prototype for each class, the mean of its embedded
    support images; the logits of a query are minus its squared distances to the prototypes. There is no inner training.
    The fitness, to be minimised, is the cross-entropy on the queries; the metric is their accuracy.

    Drawings are centred and scaled to one size when they are read, which alone reduces the error of comparing pixels
    from 81 to 43 %. Each image is normalised by itself, there and in the network, independently of the query and
    support sets, so the classification of a query does not depend on the other queries.

    Paper: Snell, Swersky and Zemel, "Prototypical networks for few-shot learning", NeurIPS 2017. Protocol: 20
    characters of one alphabet, drawn by one person, to be recognised in the drawings of another (Lake, Salakhutdinov
    and Tenenbaum, "Human-level concept learning through probabilistic program induction", Science 2015); trained on the
    five alphabets of Omniglot's first minimal set; held out are the 106 characters of the three alphabets that only the
    second set has. One of these, Tagalog, has 17 characters, so three of other alphabets are added.

    Result, error on held-out episodes, mean of 3 seeds (``benchmarks/omniglot.py``): 25.0 % by the gradient in half a
    minute, 33.1 % by OpenAI-ES in a minute of one core; comparing pixels has 43.2 %, random weights about 51 %.

    Args:
        characters: Omniglot's, read from files, or synthetic glyphs, which need no files.
        data_directory: the folder with Omniglot's zip files; by default the environment variable EVOMETA_DATA names it.
        ways: classes in an episode, at least 2.
        shots: support images of each class.
        queries: query images of each class.
        within_alphabet: whether the classes of an episode are of one alphabet, which makes them harder to distinguish.
        turned: whether classes of training episodes are rotated by 0, 90, 180 or 270 degrees, as additional classes.
        channels: channels of each layer of the network.

    Raises:
        ConfigurationError: a number below its minimum; and when tasks are sampled, a file that is missing or damaged,
            or more ways, shots or queries than the data allows.
    """

    num_tasks: int = 4
    inner_steps: int = 0
    ways: int = 20

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="learned embeddings",
        omega="weights of a convolutional network",
        learner="class prototypes",
        paper="Snell et al. 2017",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 60}),
    )

    @property
    def space(self) -> Like:
        """The weights of the embedding."""
        return Like(self.network.draw)

    def export(self, omega: Omega) -> Callable[[jax.Array], jax.Array]:
        """Return the embedding, a function of images ``[N, H, W]`` to features ``[N, F]``."""
        return functools.partial(self.network.run, omega)

    def init(self, key: Key, omega: Omega, task: Episode) -> jax.Array:
        """Return the prototypes ``[ways, F]``."""
        embedded = self.network.run(omega, flat(task.support))
        return jnp.mean(embedded.reshape(self.ways, self.shots, -1), axis=1)

    def step(self, key: Key, omega: Omega, task: Episode, learner: jax.Array) -> jax.Array:
        """Return the prototypes unchanged."""
        return learner

    def classify(self, omega: Omega, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Return minus the squared distances to the prototypes, ``[N, ways]``."""
        x = self.network.run(omega, images)
        # |x - p|² without the term |x|², which is the same for all classes.
        return SHARPNESS / x.shape[1] * (2 * x @ learner.T - jnp.sum(learner**2, axis=1)[None])
