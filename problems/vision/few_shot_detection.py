"""Few-shot detection: find the characters of one class on a canvas of many, given one example.

Branch of meta-learning: metric learning, few-shot vision. There is no inner training: a learner is the embedding of the
example, a template that is compared with each window of the embedded canvas.
"""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.convolution import conv2d
from evometa.card import ProblemCard, Recipe
from evometa.errors import ConfigurationError
from evometa.problems.few_shot.character_sources import Source
from evometa.problems.few_shot.character_tasks import CharacterTasks
from evometa.problems.few_shot.characters import SIZE, Characters
from evometa.problems.shared.feature_map import FeatureMap
from evometa.problems.vision.canvases import OTHERS, Canvas, canvas, draw_classes, drawings, warped
from evometa.problems.vision.precision import average_precision, overlap
from evometa.settings import Count, Items, Range
from evometa.spaces import Dict, Like
from evometa.types import Key, Omega, Scalar

WINDOW, MARGIN = 24, 1
"""Rows and columns of a window of a canvas in pixels, and how far from its edge the character in it begins."""
SHARPNESS = 10.0
"""Factor of the cosine of two embeddings at the start of a search."""
PART = 0.5
"""Least overlap of a window with a character that it finds, as intersection over union of their squares."""
APART = 8
"""Pixels within which only the best window counts."""


class Canvases(NamedTuple):
    """A task: examples of a class, and canvases on which it is to be found."""

    support: jax.Array
    """``[shots, SIZE, SIZE]``, float32 from 0 (paper) to 1 (ink)."""
    query: Canvas
    """With leading axis ``queries``."""


@dataclasses.dataclass(frozen=True)
class FewShotDetection(CharacterTasks):
    """Learn an embedding in which the characters of a class are found among others on a canvas.

    A canvas has up to nine characters of one alphabet, one or more of the class of the example, which somebody else has
    drawn, each turned and scaled at random. ω is a dict: ``network``, the weights of a convolutional network with
    stride 4, and ``log_sharpness``. The learner is the mean embedding of the examples in eight views, turned and
    scaled; the score of a window of the canvas is the cosine of its embedding and the nearest of these, and windows
    with the best score within 8 pixels are detections. The fitness, to be minimised, is the cross-entropy by which the
    best window at each wanted character is told from all windows elsewhere on the task's canvases; the metric is their
    average precision, where a detection counts if it overlaps the character by half (intersection over union), and each
    character only once. Held-out tasks have other alphabets.

    Papers: Bertinetto, Valmadre, Henriques, Vedaldi and Torr, "Fully-convolutional siamese networks for object
    tracking", ECCV workshops 2016, for the cross-correlation of embeddings; Lake, Salakhutdinov and Tenenbaum, Science
    2015, for the characters and the held-out alphabets.

    Result, average precision in percent on held-out tasks, 3 seeds (``benchmarks/vision.py detection --seconds 30``):
    88.6 ± 0.1 by the gradient, 64.4 ± 1.0 by OpenAI-ES, 58.1 ± 0.1 by random weights; matching the pixels of the
    example 65.6, and of 15 turned and scaled copies of it 79.6.

    Args:
        characters: synthetic glyphs, which need no files, or Omniglot's, read from files.
        data_directory: the folder with Omniglot's zip files; by default the environment variable EVOMETA_DATA names it.
        shots: examples of the class.
        queries: canvases.
        tilt: greatest angle by which a character on a canvas is turned, in degrees.
        scale: greatest factor by which it is larger or smaller, at least 1.
        turned: whether all characters of a class are rotated by 0, 90, 180 or 270 degrees in training tasks.
        channels: channels of each layer of the network.

    Raises:
        ConfigurationError: when tasks are sampled, a file that is missing or damaged, or too many shots.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="few-shot vision",
        omega="weights of a convolutional network",
        learner="embedded example",
        paper="Bertinetto et al. 2016",
        recipe=Recipe("Gradient", {"learning_rate": 0.003}, {"seconds": 90}),
    )

    num_tasks: int = 4
    inner_steps: int = 0
    characters: Source = "glyphs"
    shots: Count = 1
    queries: Count = 2
    tilt: Annotated[float, Range(least=0, most=180)] = 40.0
    scale: Annotated[float, Range(least=1)] = 1.4
    turned: bool = True
    channels: Annotated[tuple[Count, ...], Items()] = (16, 16, 16)

    @property
    def network(self) -> FeatureMap:
        """The network that maps canvases and examples to features of each place."""
        strides = (2, 2) + (1,) * len(self.channels)
        return FeatureMap(self.channels, strides[: len(self.channels)])

    @property
    def views(self) -> tuple[jax.Array, jax.Array]:
        """Angles in radians and factors, ``[views]`` each, by which the example is turned and scaled for comparison."""
        turns, scales = np.meshgrid(np.array([-0.75, -0.25, 0.25, 0.75]) * math.radians(self.tilt), [-0.5, 0.5])
        return jnp.asarray(turns.ravel(), jnp.float32), jnp.asarray(self.scale ** scales.ravel(), jnp.float32)

    @property
    def stride(self) -> int:
        """Pixels from one window to the next."""
        return self.network.stride

    @property
    def space(self) -> Dict:
        """The weights of the network, and the logarithm of the relative factor of the scores."""
        return Dict({"network": Like(self.network.draw), "log_sharpness": Like(np.zeros((), np.float32))})

    def shifted(self) -> dict[str, "FewShotDetection"]:
        """One or five shots, characters that are turned further, and the other source of characters."""
        shots = 5 if self.shots == 1 else 1
        kinds = {f"{shots} shot{'s' if shots > 1 else ''}": dataclasses.replace(self, shots=shots)}
        kinds["turned further"] = dataclasses.replace(self, tilt=min(2 * self.tilt, 180.0))
        return kinds | self.of_other_characters()

    def sample_task(self, key: Key) -> Canvases:
        """Draw a task of training alphabets, each class rotated by random quarter turns if ``turned``."""
        key_task, key_turns = jax.random.split(key)
        turns = jax.random.randint(key_turns, (1 + OTHERS,), 0, 4 if self.turned else 1, jnp.int32)
        return self.canvases(key_task, self.parts[0], jnp.float32(math.pi / 2) * turns)

    def sample_test_task(self, key: Key) -> Canvases:
        """Draw a task of held-out alphabets, not rotated."""
        return self.canvases(key, self.parts[1], jnp.zeros(1 + OTHERS, jnp.float32))

    def canvases(self, key: Key, part: Characters, turns: jax.Array) -> Canvases:
        """Draw a task of the given characters, with classes turned by angles ``[1 + OTHERS]`` in radians.

        Raises:
            ConfigurationError: there are no drawings of a character left beside the examples.
        """
        people = part.images.shape[1]
        if self.shots >= people:
            raise ConfigurationError(
                f"{type(self).__name__} expects shots of fewer than the {people} drawings of each character, so that "
                f"there are others to be found, got shots={self.shots}."
            )
        key_classes, key_drawers, key_canvases = jax.random.split(key, 3)
        classes = draw_classes(key_classes, part)
        drawers = jax.random.permutation(key_drawers, people)
        own, others = drawers[: self.shots], drawers[self.shots :]
        tilt, scale = math.radians(self.tilt), math.log(self.scale)
        support = drawings(part, jnp.broadcast_to(classes[0], own.shape), own)
        return Canvases(
            jax.vmap(warped, (0, None, None))(support, turns[0], jnp.float32(1)),
            jax.vmap(lambda key: canvas(key, part, classes, others, turns, tilt=tilt, scale=scale))(
                jax.random.split(key_canvases, self.queries)
            ),
        )

    def init(self, key: Key, omega: Omega, task: Canvases) -> jax.Array:
        """Return the mean embedding of the examples in each view, ``[side, side, F, views]``, of norm 1."""
        after = WINDOW - SIZE - MARGIN
        views = jax.vmap(jax.vmap(warped, (0, None, None)), (None, 0, 0))(task.support, *self.views)
        framed = jnp.pad(views, ((0, 0), (0, 0), (MARGIN, after), (MARGIN, after)))
        features = self.network.run(omega["network"], framed.reshape(-1, WINDOW, WINDOW))
        templates = jnp.mean(features.reshape(*framed.shape[:2], *features.shape[1:]), axis=1)
        lengths = jnp.sqrt(jnp.sum(templates**2, axis=(1, 2, 3), keepdims=True) + 1e-6)
        return jnp.moveaxis(templates / lengths, 0, -1)

    def step(self, key: Key, omega: Omega, task: Canvases, learner: jax.Array) -> jax.Array:
        """Return the embedding unchanged."""
        return learner

    def scores(self, omega: Omega, learner: jax.Array, images: jax.Array) -> jax.Array:
        """Return the cosine of the nearest view and each window of canvases ``[N, H, W]``, ``[N, rows, columns]``."""
        x = self.network.run(omega["network"], images)
        products = jnp.max(conv2d(x, learner, padding="VALID"), axis=-1)
        around = jnp.ones((*learner.shape[:2], 1, 1), jnp.float32)
        lengths = conv2d(jnp.sum(x**2, axis=-1, keepdims=True), around, padding="VALID")[..., 0]
        return products * jax.lax.rsqrt(lengths + 1e-6)

    def corners(self, scores: jax.Array) -> jax.Array:
        """Return where a character begins in each window, rows and columns of pixels, ``[rows · columns, 2]``."""
        rows, columns = jnp.divmod(jnp.arange(scores.shape[1] * scores.shape[2]), scores.shape[2])
        return MARGIN + self.stride * jnp.stack([rows, columns], axis=1)

    def loss(self, key: Key, omega: Omega, task: Canvases, learner: jax.Array) -> Scalar:
        """Return the cross-entropy of the windows at wanted characters, among windows elsewhere, in nats."""
        cosines = self.scores(omega, learner, task.query.image)
        logits = SHARPNESS * jnp.exp(omega["log_sharpness"]) * cosines.reshape(len(cosines), 1, -1)
        near = overlap(self.corners(cosines), task.query.corners, SIZE) >= PART  # [queries, cells, windows]
        near &= task.query.wanted[:, :, None]
        best = jnp.max(jnp.where(near, logits, -1e9), axis=2)
        elsewhere = jax.nn.logsumexp(jnp.where(jnp.any(near, axis=1), -jnp.inf, logits[:, 0]))
        return jnp.mean(jax.nn.softplus(elsewhere - best), where=task.query.wanted)

    def metrics(self, key: Key, omega: Omega, task: Canvases, learner: jax.Array) -> dict[str, Scalar]:
        """Return the average precision of the detections on all canvases of the task."""
        cosines = self.scores(omega, learner, task.query.image)
        near = overlap(self.corners(cosines), task.query.corners, SIZE)
        near = jnp.where(task.query.wanted[:, :, None], near, 0.0)
        peaks = highest(cosines, APART // self.stride).reshape(len(cosines), -1)
        found = average_precision(cosines.reshape(peaks.shape), peaks, near, task.query.wanted, PART)
        return {"average_precision": found}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the best detections on canvases of held-out tasks, as many as there are wanted characters."""
        from matplotlib.patches import Rectangle

        from evometa.plots import style
        from evometa.problems.shared.recording import held_out
        from evometa.problems.vision.panels import panels

        tasks, learners = held_out(self, key, omega, 3)
        scores = jax.jit(jax.vmap(self.scores, (None, 0, 0)))(omega, learners, tasks.query.image)
        picture, _, queries = panels(tasks.support, tasks.query.image, side=1.8)
        corners, reach = np.asarray(self.corners(scores[0])), APART // self.stride
        for task, row in enumerate(queries):
            peaks = np.asarray(jnp.where(highest(scores[task], reach), scores[task], -jnp.inf)).ravel()
            best = np.argsort(-peaks)[: int(tasks.query.wanted[task].sum())]
            for number, window in zip(*np.divmod(best, len(corners)), strict=True):
                squares = tasks.query.corners[task, number][None, tasks.query.wanted[task, number]]
                right = overlap(corners[window][None], squares, SIZE).max() >= PART
                place, colour = corners[window][::-1] - 0.5, style.GREEN if right else style.VERMILION
                row[number].add_patch(Rectangle(place, SIZE, SIZE, fill=False, color=colour, linewidth=1.8))
        picture.suptitle(
            "example | canvases with the best detections: right (green) and wrong (orange)", fontsize="small"
        )
        return {"detection": picture}


def highest(scores: jax.Array, reach: int) -> jax.Array:
    """Return which of the scores ``[N, rows, columns]`` are the highest within ``reach`` of them, bool."""
    around = (1, 2 * reach + 1, 2 * reach + 1)
    best: jax.Array = jax.lax.reduce_window(scores, -jnp.inf, jax.lax.max, around, (1, 1, 1), "SAME")
    return scores >= best
