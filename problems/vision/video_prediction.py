"""Video prediction: a network learns from the first frames of a clip how its ink moves, and continues the clip.

Branch of meta-learning: learned initialisations and step sizes, graphics. A coordinate network says where the ink of
each pixel comes from; it is trained anew for each clip.
"""

import dataclasses
import math
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.card import ProblemCard, Recipe
from evometa.inner_training import train
from evometa.problem import InnerTraining
from evometa.problems.shared.learned_steps import descend, weights_and_rates
from evometa.problems.shared.networks import MLP, squared_error
from evometa.problems.shared.recording import held_out
from evometa.problems.vision.clips import WALL, Clip, Motion, character, sampled
from evometa.problems.vision.images import Source, images
from evometa.settings import Count, Items, NonNegative, Positive, Range
from evometa.spaces import Dict
from evometa.types import Key, Omega, Scalar

INPUTS = 6
"""Of the network: a pixel's place from the centre of the ink, where that is, and how it has moved; two each."""
QUARTER = np.array([1, -1], np.float32)
"""A place (row, column) turned by a right angle is (column, -row): this times the place from behind."""


@dataclasses.dataclass(frozen=True)
class VideoPrediction(InnerTraining):
    """Continue a clip, in which a character moves, bounces off walls and turns, after adapting to its first frames.

    The learner is a network that maps a pixel's place from the centre of the ink, this centre's place in the frame and
    its last displacement to the displacement that brings ink to the pixel in the next frame. It has one output, for the
    row; the column's is its output for inputs turned by a right angle. A step of the inner loop is gradient descent on
    the squared error of the seen frames, each predicted from the one before, at every second pixel. Then the clip is
    continued frame by frame: displacements add up along the way, and all predicted frames are taken from the last seen
    one. ω holds the initial weights and the logarithm of a step size for each tensor.

    How characters bounce is the same in all clips, and the initial weights know it; how fast one turns, adaptation
    finds out. The fitness, to be minimised, is the mean squared error over all pixels of predicted frames; ``psnr``,
    the peak signal-to-noise ratio in decibels, is recorded beside it. Held-out clips show characters of other alphabets
    that move in other directions.

    Papers: predicting motion instead of pixels as in Liu et al., "Video frame synthesis using deep voxel flow", ICCV
    2017; learned initial weights as in Finn et al. 2017, step sizes as in Li et al. 2017.

    Result, 1,000 times the error on held-out clips of glyphs, mean of 3 seeds
    (``benchmarks/video_prediction.py --seconds 40``): 11.2 by the gradient, 16.6 by SepCMAES. Copying the last frame
    has 37.5, linear extrapolation 50.1, a network that is not adapted 17.7; moving the last frame on by the shift that
    correlation finds 23.6, by shift and turn 13.3.

    Args:
        characters: what moves: glyphs, omniglot or digits.
        data_directory: the folder with Omniglot's files; None: the one that the environment variable EVOMETA_DATA
            names.
        seen: frames that the learner adapts to.
        predicted: frames that it predicts.
        size: rows and columns of a frame.
        speed: greatest speed in pixels a frame.
        turn: greatest angle by which a character turns from frame to frame, in degrees.
        hidden: widths of the network's hidden layers.
        learning_rate: step size at which the search for step sizes starts.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="graphics: video",
        omega="initial weights and step sizes",
        learner="network of displacements, gradient descent",
        paper="Liu et al. 2017",
        recipe=Recipe("Gradient", {"learning_rate": 0.005}, {"seconds": 90}),
    )

    num_tasks: int = 4
    inner_steps: int = 5
    characters: Source = "glyphs"
    data_directory: str | None = None
    seen: Annotated[int, Range(least=3)] = 6
    predicted: Count = 4
    size: Annotated[int, Range(least=12)] = 16
    speed: Positive = 1.0
    turn: NonNegative = 15.0
    hidden: Annotated[tuple[Count, ...], Items()] = (16,)
    learning_rate: Positive = 2.0

    @property
    def network(self) -> MLP:
        """The network that maps places to displacements along one axis."""
        return MLP((*self.hidden, 1))

    @property
    def space(self) -> Dict:
        """Initial weights, and the logarithm of a step size for each tensor."""
        return weights_and_rates(self._draw, self.learning_rate)

    def _draw(self, key: Key) -> Any:
        return self.network.draw(key, inputs=INPUTS)

    def shifted(self) -> dict[str, "VideoPrediction"]:
        """Faster characters, characters that turn faster, twice as many frames to predict, and other characters."""
        other: Source = "glyphs" if self.characters != "glyphs" else "digits"
        return {
            "faster": dataclasses.replace(self, speed=1.5 * self.speed),
            "turning faster": dataclasses.replace(self, turn=1.5 * self.turn),
            f"{2 * self.predicted} frames": dataclasses.replace(self, predicted=2 * self.predicted),
            other: dataclasses.replace(self, characters=other),
        }

    def sample_task(self, key: Key) -> Clip:
        """Draw a clip for training."""
        return self._draw_clip(key, test=False)

    def sample_test_task(self, key: Key) -> Clip:
        """Draw a clip of a held-out character that moves in a held-out direction."""
        return self._draw_clip(key, test=True)

    def _draw_clip(self, key: Key, *, test: bool) -> Clip:
        key_character, key_motion = jax.random.split(key)
        image = character(key_character, images(self.characters, self.data_directory)[test])
        motion = Motion(self.size, self.speed, math.radians(self.turn), test)
        frames = motion.frames(key_motion, image, self.seen + self.predicted)
        return Clip(frames[: self.seen], frames[self.seen :])

    @property
    def pixels(self) -> NDArray[np.float32]:
        """Row and column of each pixel, row by row, ``[H · W, 2]``."""
        line = np.arange(self.size, dtype=np.float32)
        return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)

    def centre(self, frame: jax.Array) -> jax.Array:
        """Return the centre of the ink of a frame ``[H, W]``, row and column in pixels, ``[2]``."""
        return frame.ravel() @ self.pixels / (jnp.sum(frame) + 1e-3)

    def displacements(self, weights: Any, places: NDArray[np.float32], before: jax.Array, now: jax.Array) -> jax.Array:
        """Return by how much ink will have moved that will be at places.

        Args:
            weights: of the network.
            places: ``[N, 2]``, row and column in pixels.
            before: ``[2]``, the centre of the ink in the frame before the present one.
            now: ``[2]``, in the present frame.

        Returns:
            Rows and columns in pixels, ``[N, 2]``.
        """
        away = (places - now[None]) / WALL
        whole = jnp.stack([2 * now / (self.size - 1) - 1, now - before])
        inputs = jnp.concatenate([away[:, None], jnp.broadcast_to(whole[None], (len(away), 2, 2))], axis=1)
        both = jnp.stack([inputs, inputs[..., ::-1] * QUARTER[None, None]], axis=1)
        return self.network.run(weights, both.reshape(-1, INPUTS)).reshape(-1, 2)

    def init(self, key: Key, omega: Omega, task: Clip) -> Any:
        """Start at ω's weights."""
        return omega["weights"]

    def step(self, key: Key, omega: Omega, task: Clip, learner: Any) -> Any:
        """Take one step of gradient descent on the frames that were seen, at every second pixel."""
        some = np.flatnonzero(self.pixels.sum(axis=1) % 2 == 0)  # as on a chessboard
        centres = jax.vmap(self.centre)(task.seen)

        def predicted(weights: Any, before: jax.Array, now: jax.Array, frame: jax.Array) -> jax.Array:
            moved = self.displacements(weights, self.pixels[some], before, now)
            return sampled(frame[..., None], jnp.asarray(self.pixels[some]) - moved)[:, 0]

        def error(weights: Any) -> Scalar:
            found = jax.vmap(predicted, (None, 0, 0, 0))(weights, centres[:-2], centres[1:-1], task.seen[1:-1])
            return squared_error(found, task.seen[2:].reshape(len(found), -1)[:, some])

        return descend(learner, omega["log_rates"], jax.grad(error)(learner))

    def predict(self, weights: Any, seen: jax.Array) -> jax.Array:
        """Continue a clip ``[F, H, W]`` by the predicted frames, ``[N, H, W]``."""
        shape, pixels = (self.size, self.size, -1), jnp.asarray(self.pixels)

        def one(carry: tuple[jax.Array, jax.Array, jax.Array], _: None) -> tuple[Any, jax.Array]:
            before, now, total = carry  # the last is by how much all ink has moved since the last seen frame
            moved = self.displacements(weights, self.pixels, before, now)
            total = moved + sampled(total.reshape(shape), pixels - moved)
            frame = sampled(seen[-1][..., None], pixels - total).reshape(shape[:2])
            return (now, self.centre(frame), total), frame

        start = (self.centre(seen[-2]), self.centre(seen[-1]), jnp.zeros_like(pixels))
        frames: jax.Array = jax.lax.scan(one, start, None, self.predicted)[1]
        return frames

    def loss(self, key: Key, omega: Omega, task: Clip, learner: Any) -> Scalar:
        """Return the mean squared error over all pixels of the predicted frames."""
        return squared_error(self.predict(learner, task.seen), task.future)

    def metrics(self, key: Key, omega: Omega, task: Clip, learner: Any) -> dict[str, Scalar]:
        """Return the peak signal-to-noise ratio in decibels."""
        return {"psnr": -10 * jnp.log10(self.loss(key, omega, task, learner))}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw three held-out clips, and how they are continued before and after adaptation; one of them moving."""
        from evometa.plots import animation, filmstrip

        @jax.jit
        def continued(task: Clip, before: Any) -> tuple[jax.Array, jax.Array]:
            after = train(self, key, omega, task, before, 0, self.inner_steps)
            return self.predict(before, task.seen), self.predict(after, task.seen)

        tasks, start = held_out(self, key, omega, 3)
        before, after = jax.device_get(jax.vmap(continued)(tasks, start))

        def draw(frames: NDArray[np.float32], first: int) -> Any:
            def one(axes: Any, number: int) -> None:
                if number < first:
                    axes.spines[:].set_visible(False)
                    axes.set_box_aspect(1)
                else:
                    axes.imshow(frames[number - first], cmap="Greys", vmin=0, vmax=1)

            return one

        whole, rows = np.concatenate([tasks.seen, tasks.future], axis=1), {}
        for i in range(len(whole)):
            rows[f"clip {i + 1}"] = draw(whole[i], 0)
            rows[f"{i + 1}: before"] = draw(before[i], self.seen)
            rows[f"{i + 1}: {self.inner_steps} steps"] = draw(after[i], self.seen)
        moving, numbers = dict(list(rows.items())[:3]), range(whole.shape[1])
        return {
            "clips": filmstrip(rows, numbers, label="frame", side=0.75),
            "moving": animation(moving, numbers, label="frame", frames_per_second=3),
        }
