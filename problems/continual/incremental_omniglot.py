"""Characters that are learned one after the other: an embedding with which online learning does not forget.

Branch of meta-learning: continual learning.
"""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problems.continual.forgetting import along_stream, forgetting_curves
from evometa.problems.few_shot.character_tasks import CharacterTasks
from evometa.problems.few_shot.characters import Characters
from evometa.problems.few_shot.conv_net import ConvNet
from evometa.problems.few_shot.episodes import turn
from evometa.problems.shared.networks import accuracy, cross_entropy
from evometa.settings import Count, Items, Positive, Several
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar


class CharacterStream(NamedTuple):
    """A task: classes in the order in which they are learned; float32 images from 0 (paper) to 1 (ink)."""

    stream: jax.Array
    """``[S, H, W]``, all images of one class after all of another."""
    query: jax.Array
    """``[classes, queries, H, W]``"""


class OnlineClassifier(NamedTuple):
    """A learner: the features of the stream, the trained output, and the number of images so far."""

    features: jax.Array
    """``[S, F]``"""
    kernel: jax.Array
    """``[F, classes]``"""
    steps: Scalar


@dataclasses.dataclass(frozen=True)
class IncrementalOmniglot(CharacterTasks):
    """Learn an embedding on which a linear classifier, trained on one class after the other, forgets none.

    A task is a stream of classes. The learner sees each image once, and no image of an earlier class comes back. Output
    weights start at zero; an image of class c with features x changes those of class j by

        η (1[j = c] - ρ p_j) x,

    where p_j is the predicted probability. With ρ = 1 this is a step of SGD on the cross-entropy, with ρ = 0 a class is
    never unlearned. ω is a dict: ``network``, the weights of a convolutional network, and ``log_rate`` and
    ``log_restraint``, the logarithms of factors of η and ρ. The fitness, to be minimised, is the cross-entropy on other
    drawings of all classes afterwards; the metric is their accuracy. Held-out tasks are of other alphabets.

    Paper: Javed and White, "Meta-learning representations for continual learning", NeurIPS 2019; here with the
    characters of :class:`~evometa.problems.OmniglotPrototypes`, whose 106 held-out ones make the longest stream.

    Result, accuracy after a stream of all 106 held-out characters, 3 seeds (``benchmarks/continual.py omniglot
    --seconds 20 --streams 20 --pretraining 1500``): 85.3 ± 0.5 % by 20 seconds of the gradient after 500 steps of
    pretraining, 67.9 ± 1.1 by evolution, 74.8 ± 0.7 by 1,500 steps of pretraining alone (one seed, 4,000 steps: 81.1).
    Random weights have 51.5 % with the best rule, so that forgetting little is easy here.

    Args:
        characters: Omniglot's, read from files, or synthetic glyphs, which need no files.
        data_directory: the folder with Omniglot's zip files; by default the environment variable EVOMETA_DATA names it.
        classes: classes of a stream.
        queries: images of each class that are classified afterwards.
        turned: whether classes of training streams are rotated by 0, 90, 180 or 270 degrees, as additional classes.
        channels: channels of each layer of the network.
        learning_rate: η where ``log_rate`` is 0, as at the start of a search.
        restraint: likewise ρ where ``log_restraint`` is 0.

    Raises:
        ConfigurationError: inner_steps that cannot be divided among the classes; when tasks are sampled, a file that is
            missing or damaged, or more classes or images of each than there are.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="continual learning",
        omega="weights of a convolutional network, a plasticity rule",
        learner="linear classifier, online",
        paper="Javed & White 2019",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 120}),
    )

    num_tasks: int = 2
    inner_steps: int = 100
    classes: Several = 20
    queries: Count = 2
    turned: bool = True
    channels: Annotated[tuple[Count, ...], Items()] = (24, 24, 24)
    learning_rate: Positive = 3.0
    restraint: Positive = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner_steps % self.classes:
            raise ConfigurationError(
                f"{type(self).__name__} expects inner_steps, one for each image of the stream, that are a multiple of "
                f"classes, got inner_steps={self.inner_steps} and classes={self.classes}."
            )

    @property
    def network(self) -> ConvNet:
        """The network that maps images to features."""
        return ConvNet(self.channels)

    @property
    def space(self) -> Dict:
        """The weights of the network, and the logarithms of the rule's two numbers."""
        zero = Like(np.zeros((), np.float32))
        return Dict({"network": Like(self.network.draw), "log_rate": zero, "log_restraint": zero})

    def shifted(self) -> dict[str, "IncrementalOmniglot"]:
        """Twice as many classes."""
        return {
            "twice the classes": dataclasses.replace(self, classes=2 * self.classes, inner_steps=2 * self.inner_steps)
        }

    def sample_task(self, key: Key) -> CharacterStream:
        """Draw a stream of training characters, each class rotated by random quarter turns if ``turned``."""
        key_task, key_turns = jax.random.split(key)
        task = self.draw(key_task, self.parts[0])
        if not self.turned:
            return task
        turns = jax.random.randint(key_turns, (self.classes,), 0, 4, jnp.int32)
        by_class = (self.classes, -1, *task.stream.shape[1:])
        stream = turn(task.stream.reshape(by_class), turns)
        return CharacterStream(stream.reshape(task.stream.shape), turn(task.query, turns))

    def sample_test_task(self, key: Key) -> CharacterStream:
        """Draw a stream of held-out characters, not rotated."""
        return self.draw(key, self.parts[1])

    def draw(self, key: Key, part: Characters) -> CharacterStream:
        """Draw a stream of the given characters.

        Raises:
            ConfigurationError: there are fewer characters, or fewer drawings of each, than the stream needs.
        """
        shots, (known, drawers) = self.inner_steps // self.classes, part.images.shape[:2]
        if self.classes > known or shots + self.queries > drawers:
            raise ConfigurationError(
                f"{type(self).__name__} expects classes of at most the {known} characters of {', '.join(part.names)}, "
                f"and inner_steps / classes + queries of at most the {drawers} drawings of each, got "
                f"classes={self.classes}, inner_steps={self.inner_steps} and queries={self.queries}."
            )
        key_classes, key_drawers = jax.random.split(key)
        chosen = jax.random.permutation(key_classes, known)[: self.classes]
        people = jax.random.permutation(key_drawers, drawers)[: shots + self.queries]
        images = jnp.asarray(part.images)[chosen][:, people].astype(jnp.float32) / 255
        return CharacterStream(images[:, :shots].reshape(-1, *images.shape[2:]), images[:, shots:])

    def features(self, omega: Omega, images: jax.Array) -> jax.Array:
        """Map images ``[N, H, W]`` to features ``[N, F]``, none negative."""
        x = jax.nn.relu(self.network.run(omega["network"], images))
        return x / math.sqrt(x.shape[1])

    def init(self, key: Key, omega: Omega, task: CharacterStream) -> OnlineClassifier:
        """Start with output weights of zero."""
        features = self.features(omega, task.stream)
        return OnlineClassifier(features, jnp.zeros((features.shape[1], self.classes), jnp.float32), jnp.int32(0))

    def step(self, key: Key, omega: Omega, task: CharacterStream, learner: OnlineClassifier) -> OnlineClassifier:
        """Learn from the next image."""
        features = learner.features[learner.steps]
        target = jax.nn.one_hot(learner.steps // (self.inner_steps // self.classes), self.classes, dtype=jnp.float32)
        rate = jnp.float32(self.learning_rate) * jnp.exp(omega["log_rate"])
        restraint = jnp.float32(self.restraint) * jnp.exp(omega["log_restraint"])
        change = target - restraint * jax.nn.softmax(features @ learner.kernel)
        return learner._replace(kernel=learner.kernel + rate * jnp.outer(features, change), steps=learner.steps + 1)

    def logits(self, omega: Omega, task: CharacterStream, learner: OnlineClassifier) -> jax.Array:
        """Return the logits of the queries, ``[classes, queries, classes]``."""
        return self.query_features(omega, task) @ learner.kernel

    def query_features(self, omega: Omega, task: CharacterStream) -> jax.Array:
        """Return the features of the queries, ``[classes, queries, F]``."""
        features = self.features(omega, task.query.reshape(-1, *task.query.shape[2:]))
        return features.reshape(self.classes, self.queries, -1)

    def loss(self, key: Key, omega: Omega, task: CharacterStream, learner: OnlineClassifier) -> Scalar:
        """Return the mean cross-entropy of the queries of all classes, in nats."""
        targets = jnp.eye(self.classes, dtype=jnp.float32)[:, None]
        return cross_entropy(self.logits(omega, task, learner), targets)

    def metrics(self, key: Key, omega: Omega, task: CharacterStream, learner: OnlineClassifier) -> dict[str, Scalar]:
        """Return the accuracy on the queries of all classes."""
        labels = jnp.arange(self.classes)[:, None]
        return {"accuracy": accuracy(self.logits(omega, task, learner), labels)}

    def forgetting(self, key: Key, omega: Omega, task: CharacterStream) -> jax.Array:
        """Return the accuracy on each class (columns) after each class of the stream (rows), ``[classes, classes]``."""
        features, labels = self.query_features(omega, task), jnp.arange(self.classes)[:, None]

        def measure(learner: OnlineClassifier) -> jax.Array:
            right = jnp.argmax(features @ learner.kernel, axis=-1) == labels
            return jnp.mean(right, axis=1, dtype=jnp.float32)

        return along_stream(self, key, omega, task, self.classes, measure)

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the accuracy on the classes so far, and on the first one, along ten held-out streams."""

        def one(key: Key) -> jax.Array:
            key_task, key_learner = jax.random.split(key)
            return self.forgetting(key_learner, omega, self.sample_test_task(key_task))

        found = jax.device_get(jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(key, 10)))
        return {"forgetting": forgetting_curves(found, x="classes learned", y="accuracy")}
