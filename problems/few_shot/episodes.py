"""Few-shot classification of characters: N-way K-shot episodes with a support set and queries."""

import abc
import dataclasses
from typing import Annotated, Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from evometa.errors import ConfigurationError
from evometa.problems.few_shot.character_tasks import CharacterTasks
from evometa.problems.few_shot.characters import Characters
from evometa.problems.few_shot.conv_net import ConvNet
from evometa.problems.shared.networks import accuracy, cross_entropy
from evometa.settings import Count, Items, Several
from evometa.types import Key, Learner, Omega, Scalar


class Episode(NamedTuple):
    """A task: a few classes, labelled by their order; float32 images from 0 (paper) to 1 (ink)."""

    support: jax.Array
    """``[ways, shots, H, W]``, the images that the learner adapts to."""
    query: jax.Array
    """``[ways, queries, H, W]``, the images that it is evaluated on."""


@dataclasses.dataclass(frozen=True)
class FewShot(CharacterTasks):
    """Episodes of characters as in Lake et al. (2015): classes of one alphabet, all drawn by the same people.

    An episode samples an alphabet, classes of it, and drawers: drawings of the first ones are the support set, those of
    the others the queries. If an alphabet has fewer characters than ``ways``, characters of other alphabets are added.
    Subclasses say what ω and the learner are, and how images are classified; their docstrings describe the fields.
    """

    ways: Several = 5
    shots: Count = 1
    queries: Count = 2
    within_alphabet: bool = True
    turned: bool = True
    channels: Annotated[tuple[Count, ...], Items()] = (24, 24, 24)

    @property
    def network(self) -> ConvNet:
        """The network that maps images to features."""
        return ConvNet(self.channels)

    def shifted(self) -> dict[str, Self]:
        """Other numbers of shots and ways; classes of all alphabets mixed; the other source of characters."""
        shots, ways = (5 if self.shots == 1 else 1), (5 if self.ways > 5 else 10)
        kinds: dict[str, Any] = {
            f"{shots} shot{'s' if shots > 1 else ''}": {"shots": shots},
            f"{ways} ways": {"ways": ways},
            "alphabets mixed": {"within_alphabet": not self.within_alphabet},
        }
        shifted = {name: dataclasses.replace(self, **changes) for name, changes in kinds.items()}
        return shifted | self.of_other_characters()

    def sample_task(self, key: Key) -> Episode:
        """Sample an episode of training alphabets, each class rotated by random quarter turns if ``turned``."""
        key_episode, key_turns = jax.random.split(key)
        episode = self.episode(key_episode, self.parts[0])
        if not self.turned:
            return episode
        turns = jax.random.randint(key_turns, (self.ways,), 0, 4, jnp.int32)
        return Episode(*(turn(images, turns) for images in episode))

    def sample_test_task(self, key: Key) -> Episode:
        """Sample an episode of held-out alphabets, not rotated."""
        return self.episode(key, self.parts[1])

    def episode(self, key: Key, part: Characters) -> Episode:
        """Sample an episode of the given characters.

        Raises:
            ConfigurationError: there are fewer characters, or fewer drawings of each, than an episode needs.
        """
        classes, drawers = part.images.shape[:2]
        if self.ways > classes or self.shots + self.queries > drawers:
            raise ConfigurationError(
                f"{type(self).__name__} expects ways of at most the {classes} characters of {', '.join(part.names)}, "
                f"and shots + queries of at most the {drawers} drawings of each, got ways={self.ways}, "
                f"shots={self.shots} and queries={self.queries}."
            )
        key_alphabet, key_classes, key_people = jax.random.split(key, 3)
        order = jax.random.uniform(key_classes, (classes,), jnp.float32)
        if self.within_alphabet:  # its characters come before those of all others
            alphabet = jax.random.randint(key_alphabet, (), 0, len(part.names), jnp.int32)
            order += (jnp.asarray(part.alphabets) == alphabet).astype(jnp.float32)
        chosen = jax.lax.top_k(order, self.ways)[1]
        people = jax.random.permutation(key_people, drawers)[: self.shots + self.queries]
        images = jnp.asarray(part.images)[chosen][:, people].astype(jnp.float32) / 255
        return Episode(images[:, : self.shots], images[:, self.shots :])

    @abc.abstractmethod
    def classify(self, omega: Omega, learner: Learner, images: jax.Array) -> jax.Array:
        """Return the logits ``[N, ways]`` of a learner for images ``[N, H, W]``."""

    def loss(self, key: Key, omega: Omega, task: Episode, learner: Learner) -> Scalar:
        """Return the cross-entropy on the queries, in nats."""
        return cross_entropy(self.classify(omega, learner, flat(task.query)), self.targets(self.queries))

    def metrics(self, key: Key, omega: Omega, task: Episode, learner: Learner) -> dict[str, Scalar]:
        """Return the accuracy on the queries."""
        logits = self.classify(omega, learner, flat(task.query))
        return {"accuracy": accuracy(logits, jnp.argmax(self.targets(self.queries), axis=-1))}

    def targets(self, each: int) -> jax.Array:
        """Return the one-hot labels ``[ways · each, ways]`` of ``each`` images of each class, in order."""
        return jnp.repeat(jnp.eye(self.ways, dtype=jnp.float32), each, axis=0)


def flat(images: jax.Array) -> jax.Array:
    """Flatten images ``[ways, each, H, W]`` to ``[ways · each, H, W]``."""
    return images.reshape(-1, *images.shape[2:])


def turn(images: jax.Array, turns: jax.Array) -> jax.Array:
    """Rotate the images ``[ways, each, H, W]`` of each class by its number of quarter turns ``[ways]``."""
    turned = jnp.stack([jnp.rot90(images, quarters, (2, 3)) for quarters in range(4)])
    return turned[turns, jnp.arange(len(turns))]
