"""Landmarks: find a point of a figure that is marked in a few images of it, where it is turned, scaled and bent.

Branch of meta-learning: metric learning, few-shot vision. There is no inner training: a learner is the mean embedding
of the marked points.
"""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problem import InnerTraining
from evometa.problems.shared.feature_map import FeatureMap
from evometa.problems.vision.figures import RADIUS, STROKES, figure, ink, seen
from evometa.settings import Count, Items, NonNegative, Range
from evometa.spaces import Like
from evometa.types import Key, Omega, Scalar

SHARPNESS = 10.0
"""Factor of the mean squared difference of two embeddings, in the logit of a place."""


class Views(NamedTuple):
    """A task: images of one figure, and one of its points in each; float32."""

    support: jax.Array
    """``[shots, H, W]``, the images that the learner is given with the point."""
    support_points: jax.Array
    """``[shots, 2]``, row and column in pixels; a whole number is the middle of a pixel."""
    query: jax.Array
    """``[queries, H, W]``, the images in which to find it."""
    query_points: jax.Array
    """``[queries, 2]``"""


@dataclasses.dataclass(frozen=True)
class LandmarkPrediction(InnerTraining):
    """Learn an embedding in which a point of a figure is recognised in other views of the figure.

    A figure is three random strokes; the landmark is an end of one of them. Each view is turned, scaled, bent and moved
    at random, and noisy. ω holds the weights of a convolutional network with stride 2, whose inputs are the image and,
    for each pixel, its row and column from the centre of the ink. The learner is the mean feature of the marked points;
    the prediction is the mean of all places of a query, weighted by a softmax of minus their features' squared
    distances to it. The fitness, to be minimised, is the mean distance of prediction and landmark in pixels; the metric
    is the median.

    Result, median error on held-out figures in pixels, mean of 3 seeds (``benchmarks/vision.py landmarks --seconds
    20``): 0.54 by the gradient, 1.54 by OpenAI-ES; the mean position of the marked points, from the centre of the
    ink, has 1.70. Template matching, with turned templates and tuned on other figures, is better: 0.32.

    Args:
        shots: images with the marked point.
        queries: images in which it is to be found.
        turn: greatest angle by which a view is turned, in degrees.
        scale: greatest factor by which it is larger or smaller, at least 1.
        bend: greatest curvature, relative to the figure's radius.
        noise: standard deviation of the pixels' noise; ink is 1, paper 0.
        size: rows and columns of an image, even.
        channels: channels of each layer of the network.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="few-shot vision",
        omega="weights of a convolutional network",
        learner="prototype of a point",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 60}),
    )

    num_tasks: int = 4
    inner_steps: int = 0
    shots: Count = 5
    queries: Count = 4
    turn: Annotated[float, Range(least=0, most=180)] = 45.0
    scale: Annotated[float, Range(least=1)] = 1.3
    bend: NonNegative = 0.3
    noise: NonNegative = 0.1
    size: Annotated[int, Range(least=8, even=True)] = 28
    channels: Annotated[tuple[Count, ...], Items()] = (16, 16, 16)

    @property
    def network(self) -> FeatureMap:
        """The network that maps images and coordinates to features of each place."""
        return FeatureMap(self.channels, (2,) + (1,) * (len(self.channels) - 1), inputs=3)

    @property
    def space(self) -> Like:
        """The weights of the network."""
        return Like(self.network.draw)

    def shifted(self) -> dict[str, "LandmarkPrediction"]:
        """One or five shots; views that are turned or bent further; more noise."""
        shots = 5 if self.shots == 1 else 1
        return {
            f"{shots} shot{'s' if shots > 1 else ''}": dataclasses.replace(self, shots=shots),
            "turned further": dataclasses.replace(self, turn=min(2 * self.turn, 180.0)),
            "bent further": dataclasses.replace(self, bend=2 * self.bend),
            "twice the noise": dataclasses.replace(self, noise=2 * self.noise),
        }

    def sample_task(self, key: Key) -> Views:
        """Draw a figure, one of its points, and views."""
        key_figure, key_point, key_views, key_noise = jax.random.split(key, 4)
        controls, number = figure(key_figure), self.shots + self.queries
        stroke, end = jnp.divmod(jax.random.randint(key_point, (), 0, 2 * STROKES, jnp.int32), 2)

        def view(key: Key) -> tuple[jax.Array, jax.Array]:
            turn, scale = math.radians(self.turn), math.log(self.scale)
            placed = seen(key, controls, turn=turn, scale=scale, bend=self.bend, size=self.size)
            return ink(placed, self.size), placed[stroke, 3 * end]

        images, points = jax.vmap(view)(jax.random.split(key_views, number))
        images += self.noise * jax.random.normal(key_noise, images.shape, jnp.float32)
        return Views(images[: self.shots], points[: self.shots], images[self.shots :], points[self.shots :])

    def features(self, omega: Omega, images: jax.Array) -> jax.Array:
        """Map images ``[N, H, W]`` to features of their places, ``[N, H / 2, W / 2, F]``."""
        coordinates = (self.pixels[None] - centres(images)[:, None, None]) / RADIUS
        return self.network.run(omega, jnp.concatenate([images[..., None], coordinates], axis=-1))

    @property
    def pixels(self) -> jax.Array:
        """Row and column of each pixel, ``[H, W, 2]``."""
        return jnp.stack(jnp.meshgrid(*2 * [jnp.arange(self.size, dtype=jnp.float32)], indexing="ij"), axis=-1)

    def init(self, key: Key, omega: Omega, task: Views) -> jax.Array:
        """Return the mean feature of the marked points, ``[F]``, between places by bilinear interpolation."""
        near = [
            jnp.maximum(1 - jnp.abs(self.pixels[None, 1::2, 1, 0] - task.support_points[:, axis, None]) / 2, 0)
            for axis in range(2)
        ]
        return jnp.einsum("nh,nw,nhwf->f", *near, self.features(omega, task.support)) / self.shots

    def step(self, key: Key, omega: Omega, task: Views, learner: jax.Array) -> jax.Array:
        """Return the feature unchanged."""
        return learner

    def chances(self, omega: Omega, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Return how likely each place of images ``[N, H, W]`` is the landmark, ``[N, H / 2, W / 2]``."""
        distances = jnp.mean((self.features(omega, images) - learner[None, None, None]) ** 2, axis=-1)
        return jax.nn.softmax(-SHARPNESS * distances, axis=(1, 2))

    def predict(self, omega: Omega, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Return where the landmark is in images ``[N, H, W]``, ``[N, 2]``."""
        # The middle of the windows of a place, since the first layer pads one row above and two below.
        return jnp.einsum("nhw,hwx->nx", self.chances(omega, learner, images), self.pixels[1::2, 1::2])

    def errors(self, omega: Omega, task: Views, learner: jax.Array) -> jax.Array:
        """Return the distance of prediction and landmark in each query, in pixels, ``[queries]``."""
        difference = self.predict(omega, learner, task.query) - task.query_points
        return jnp.sqrt(jnp.sum(difference**2, axis=1) + 1e-6)

    def loss(self, key: Key, omega: Omega, task: Views, learner: jax.Array) -> Scalar:
        """Return the mean distance of prediction and landmark in pixels."""
        return jnp.mean(self.errors(omega, task, learner))

    def metrics(self, key: Key, omega: Omega, task: Views, learner: jax.Array) -> dict[str, Scalar]:
        """Return the median distance of the queries in pixels."""
        return {"median_error": jnp.median(self.errors(omega, task, learner))}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw examples and queries of three held-out figures, with landmarks and predictions."""
        from evometa.plots import style
        from evometa.problems.shared.recording import held_out
        from evometa.problems.vision.panels import panels

        tasks, learners = held_out(self, key, omega, 3)
        predicted = np.asarray(jax.jit(jax.vmap(self.predict, (None, 0, 0)))(omega, learners, tasks.query))
        picture, examples, queries = panels(tasks.support, tasks.query, side=0.9)
        for axes, (row, column) in zip(examples.ravel(), tasks.support_points.reshape(-1, 2), strict=True):
            axes.plot(column, row, "o", color=style.BLUE, markersize=4)
        points = (each.reshape(-1, 2) for each in (tasks.query_points, predicted))
        for axes, truth, found in zip(queries.ravel(), *points, strict=True):
            axes.plot(truth[1], truth[0], "o", color=style.BLUE, markersize=4)
            axes.plot(found[1], found[0], "x", color=style.VERMILION, markersize=6, markeredgewidth=1.8)
        picture.suptitle("examples with the landmark | queries: landmark and prediction (cross)", fontsize="small")
        return {"landmarks": picture}


def centres(images: jax.Array) -> jax.Array:
    """Return the centre of mass of the ink of images ``[N, H, W]``, row and column in pixels, ``[N, 2]``."""
    mass = jnp.maximum(images - 0.4, 0)  # most noise of the paper is below
    total = jnp.sum(mass, axis=(1, 2)) + 1e-6
    rows, columns = (jnp.arange(length, dtype=jnp.float32) for length in images.shape[1:])
    return jnp.stack([jnp.sum(mass, axis=2) @ rows, jnp.sum(mass, axis=1) @ columns], axis=1) / total[:, None]
