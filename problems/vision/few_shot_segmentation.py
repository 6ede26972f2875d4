"""Few-shot segmentation: find the region of an image that has the texture marked in a few other images.

Branch of meta-learning: metric learning, few-shot vision. There is no inner training: a learner is the mean embedding
of the marked places and that of the others.
"""

import dataclasses
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problem import InnerTraining
from evometa.problems.shared.feature_map import FeatureMap
from evometa.problems.vision.textures import Textures, scene, textures
from evometa.settings import Count, Items, NonNegative, Range
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar

SHARPNESS = 4.0
"""Factor of the mean squared difference of two embeddings, as in prototypes of characters."""


class Scenes(NamedTuple):
    """A task: images in which one texture is to be found; float32, masks of 0 and 1."""

    support: jax.Array
    """``[shots, H, W]``, the images that the learner is given with their masks."""
    support_masks: jax.Array
    """``[shots, H, W]``"""
    query: jax.Array
    """``[queries, H, W]``, the images to segment."""
    query_masks: jax.Array
    """``[queries, H, W]``"""


@dataclasses.dataclass(frozen=True)
class FewShotSegmentation(InnerTraining):
    """Learn an embedding in which the places of one texture lie close together, whatever texture it is.

    An image has four regions with different textures; brightness and contrast of each are random, and say nothing. ω
    holds the weights of a convolutional network with stride 2. The learner is two prototypes, the mean features of the
    places inside and outside the masks of the support images; the logit of a place of a query is the difference of its
    squared distances to them, enlarged to pixels. The fitness, to be minimised, is the cross-entropy of the pixels of
    the queries; the metric ``iou`` is the intersection of what is found with the mask, over their union. Held-out
    tasks have textures that no training task has.

    Paper: Wang, Liew, Zou, Zhou and Feng, "PANet: few-shot image semantic segmentation with prototype alignment", ICCV
    2019, for prototypes by masked average pooling.

    Result, IoU on held-out tasks, mean of 3 seeds (``benchmarks/vision.py segmentation --seconds 20``): 57.5 %
    by the gradient, 37.7 % by OpenAI-ES; prototypes of random features, the best of 16 draws, have 24.1 %. A network
    that sees no examples finds nothing at all; to call everything inside has 24.9 %.

    Args:
        shots: support images.
        queries: images to segment.
        noise: standard deviation of the pixels' noise; a texture goes from -1 to 1, times a contrast of 0.5 to 1.5.
        size: rows and columns of an image, even.
        channels: channels of each layer of the network.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="few-shot vision",
        omega="weights of a convolutional network",
        learner="prototypes of inside and outside",
        paper="Wang et al. 2019",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 60}),
    )

    num_tasks: int = 4
    inner_steps: int = 0
    shots: Count = 3
    queries: Count = 2
    noise: NonNegative = 0.3
    size: Annotated[int, Range(least=8, even=True)] = 24
    channels: Annotated[tuple[Count, ...], Items()] = (12, 12, 12)

    @property
    def network(self) -> FeatureMap:
        """The network that maps images to features of each place."""
        return FeatureMap(self.channels, (2,) + (1,) * (len(self.channels) - 1))

    @property
    def space(self) -> Like:
        """The weights of the network."""
        return Like(self.network.draw)

    def shifted(self) -> dict[str, "FewShotSegmentation"]:
        """One or five shots, more noise, and larger images with larger regions."""
        shots = 5 if self.shots == 1 else 1
        return {
            f"{shots} shot{'s' if shots > 1 else ''}": dataclasses.replace(self, shots=shots),
            "twice the noise": dataclasses.replace(self, noise=2 * self.noise),
            "larger images": dataclasses.replace(self, size=3 * self.size // 4 * 2),
        }

    def sample_task(self, key: Key) -> Scenes:
        """Draw a training texture and images with it."""
        return self.scenes(key, textures()[0])

    def sample_test_task(self, key: Key) -> Scenes:
        """Draw a held-out texture and images with it, all of whose textures are held out."""
        return self.scenes(key, textures()[1])

    def scenes(self, key: Key, part: Textures) -> Scenes:
        """Draw a task with the given textures."""
        key_texture, key_scenes, key_noise = jax.random.split(key, 3)
        texture = jax.random.randint(key_texture, (), 0, len(part.shares), jnp.int32)
        keys = jax.random.split(key_scenes, self.shots + self.queries)
        images, masks = jax.vmap(lambda k: scene(k, part, texture, self.size))(keys)
        images += self.noise * jax.random.normal(key_noise, images.shape, jnp.float32)
        return Scenes(images[: self.shots], masks[: self.shots], images[self.shots :], masks[self.shots :])

    def init(self, key: Key, omega: Omega, task: Scenes) -> jax.Array:
        """Return the prototypes of outside and inside, ``[2, F]``."""
        features = self.network.run(omega, task.support)
        side = self.size // 2
        inside = task.support_masks.reshape(self.shots, side, 2, side, 2).mean(axis=(2, 4))
        masks = jnp.stack([1 - inside, inside])
        return jnp.einsum("mnhw,nhwf->mf", masks, features) / (jnp.sum(masks, axis=(1, 2, 3))[:, None] + 1e-6)

    def step(self, key: Key, omega: Omega, task: Scenes, learner: jax.Array) -> jax.Array:
        """Return the prototypes unchanged."""
        return learner

    def segment(self, omega: Omega, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Return the logit of each pixel of images ``[N, H, W]``, likewise; positive inside."""
        x = self.network.run(omega, images)
        outside, inside = learner
        # |x - outside|² - |x - inside|², in which the term |x|² cancels.
        logits = 2 * x @ (inside - outside) + jnp.sum(outside**2) - jnp.sum(inside**2)
        enlarged: jax.Array = jax.image.resize(logits, images.shape, "linear")
        return SHARPNESS / x.shape[-1] * enlarged

    def loss(self, key: Key, omega: Omega, task: Scenes, learner: jax.Array) -> Scalar:
        """Return the mean cross-entropy of the queries' pixels, in nats."""
        logits = self.segment(omega, learner, task.query)
        return jnp.mean(jax.nn.softplus(logits) - logits * task.query_masks)

    def metrics(self, key: Key, omega: Omega, task: Scenes, learner: jax.Array) -> dict[str, Scalar]:
        """Return the intersection over union of the queries' pixels."""
        return {"iou": iou(self.segment(omega, learner, task.query) > 0, task.query_masks > 0)}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw examples and queries of three held-out tasks, with the borders of masks and of what is found."""
        from evometa.plots import style
        from evometa.problems.shared.recording import held_out
        from evometa.problems.vision.panels import panels

        tasks, learners = held_out(self, key, omega, 3)
        logits = np.asarray(jax.jit(jax.vmap(self.segment, (None, 0, 0)))(omega, learners, tasks.query))
        picture, examples, queries = panels(tasks.support, tasks.query)
        for axes, mask in zip(examples.ravel(), tasks.support_masks.reshape(-1, self.size, self.size), strict=True):
            axes.contour(mask, levels=[0.5], colors=style.BLUE, linewidths=1.8)
        flat = (each.reshape(-1, self.size, self.size) for each in (tasks.query_masks, logits))
        for axes, mask, found in zip(queries.ravel(), *flat, strict=True):
            axes.contour(mask, levels=[0.5], colors=style.BLUE, linewidths=1.8)
            axes.contourf(found, levels=[0, np.inf], colors=style.ORANGE, alpha=0.45)
            share = float(iou(found > 0, mask > 0))
            axes.set_xlabel(f"{share:.0%}", fontsize="x-small", labelpad=2)
        picture.suptitle("examples | queries: mask, what is found, their overlap (IoU)", fontsize="small")
        return {"segmentation": picture}


def iou(found: jax.Array, masks: jax.Array) -> Scalar:
    """Return the intersection over the union of two arrays of booleans; 1 where both are empty."""
    union = jnp.sum(found | masks)
    return jnp.where(union > 0, jnp.sum(found & masks) / jnp.maximum(union, 1), 1.0).astype(jnp.float32)
