"""Pictures from few of their pixels: a coordinate network that starts from learned initial weights.

Branch of meta-learning: learned initialisations and step sizes, graphics. A network from position to brightness is the
picture; it is trained anew for each picture, on the pixels that are known.
"""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, NamedTuple

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
from evometa.problems.vision.images import Source, images
from evometa.settings import Count, Fraction, Items, Positive
from evometa.spaces import Dict
from evometa.types import Key, Omega, Scalar


class Picture(NamedTuple):
    """A task: a picture, some of whose pixels are known; float32."""

    pixels: jax.Array
    """``[N]``, brightness from 0 to 1, row by row."""
    known: jax.Array
    """``[K]``, which pixels the learner adapts to, int32."""


@dataclasses.dataclass(frozen=True)
class ImageCompletion(InnerTraining):
    """Complete a picture from some of its pixels in a few steps of gradient descent from learned initial weights.

    The network maps a pixel's position to its brightness: cosines and sines of the position (Fourier features, fixed)
    go through hidden layers with ReLU. ω holds the initial weights and the logarithm of a step size for each tensor;
    the inner loop takes steps of gradient descent on the known pixels. The fitness, to be minimised, is the mean
    squared error over all pixels; ``psnr``, the peak signal-to-noise ratio in decibels, is recorded beside it.
    Characters that the search sees belong to other alphabets than the held-out ones; of the digits, training and test
    images differ.

    Papers: Tancik et al., "Learned initializations for optimizing coordinate-based neural representations", CVPR 2021;
    the features as in Tancik et al., "Fourier features let networks learn high frequency functions in low dimensional
    domains", NeurIPS 2020.

    Result, ratio on held-out glyphs, mean of 3 seeds (``benchmarks/image_completion.py --seconds 30 --tasks 100``): of
    a new picture, all of whose pixels are known, 19.3 dB by the gradient, 14.5 by OpenAI-ES; from a quarter of the
    pixels 15.0 and 13.4. Random weights with the best step size have 11.7 and 11.5, averaged ones (of networks trained
    on a picture each) 13.7 and 13.2.

    Args:
        pictures_of: what the pictures show: glyphs, omniglot or digits.
        data_directory: the folder with Omniglot's files; None: the one that the environment variable EVOMETA_DATA
            names.
        known: part of the pixels that the learner adapts to, drawn anew for each task.
        hidden: widths of the network's hidden layers.
        frequency: half periods along a side of the picture of the fastest wave in each direction.
        learning_rate: step size at which the search for step sizes starts.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="graphics: pictures",
        omega="initial weights and step sizes",
        learner="coordinate network, gradient descent",
        paper="Tancik et al. 2021",
        recipe=Recipe("Gradient", {"learning_rate": 0.005}, {"seconds": 90}),
    )

    num_tasks: int = 2
    inner_steps: int = 5
    pictures_of: Source = "glyphs"
    data_directory: str | None = None
    known: Fraction = 0.25
    hidden: Annotated[tuple[Count, ...], Items()] = (40, 40)
    frequency: Count = 4
    learning_rate: Positive = 0.15

    @property
    def images(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The pictures for training and the held-out ones, ``[M, N]`` each; read on first use."""
        training, test = images(self.pictures_of, self.data_directory)
        return training.reshape(len(training), -1), test.reshape(len(test), -1)

    @property
    def side(self) -> int:
        """Rows and columns of a picture."""
        return math.isqrt(self.images[0].shape[1])

    @property
    def positions(self) -> NDArray[np.float32]:
        """Rows and columns of all pixels, ``[N, 2]``, from -1 to 1."""
        line = np.linspace(-1, 1, self.side, dtype=np.float32)
        return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)

    def waves(self, positions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return cosines and sines ``[N, F]`` of positions ``[N, 2]``, up to ``frequency`` half periods a side."""
        most = self.frequency
        pairs = [(i, j) for i in range(most + 1) for j in range(-most, most + 1) if (i, j) > (0, 0)]
        angles = positions @ (np.array(pairs, np.float32).T * np.float32(math.pi / 2))
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    @property
    def network(self) -> MLP:
        """The network that maps waves to brightness."""
        return MLP((*self.hidden, 1))

    @property
    def space(self) -> Dict:
        """Initial weights, and the logarithm of a step size for each tensor."""
        return weights_and_rates(self._draw, self.learning_rate)

    def _draw(self, key: Key) -> Any:
        return self.network.draw(key, inputs=self.waves(self.positions[:1]).shape[1])

    def shifted(self) -> dict[str, "ImageCompletion"]:
        """Half the pixels, all of them, and pictures of another kind."""
        kinds: dict[str, Any] = {"half as many pixels": {"known": self.known / 2}, "all pixels": {"known": 1.0}}
        other: Source = "glyphs" if self.pictures_of != "glyphs" else "digits"
        kinds[other] = {"pictures_of": other}
        return {name: dataclasses.replace(self, **changes) for name, changes in kinds.items()}

    def sample_task(self, key: Key) -> Picture:
        """Draw a picture for training and its known pixels."""
        return self._draw_picture(key, self.images[0])

    def sample_test_task(self, key: Key) -> Picture:
        """Draw a held-out picture and its known pixels."""
        return self._draw_picture(key, self.images[1])

    def _draw_picture(self, key: Key, images: NDArray[np.float32]) -> Picture:
        key_image, key_known = jax.random.split(key)
        pixels = jnp.asarray(images)[jax.random.randint(key_image, (), 0, len(images), jnp.int32)]
        count = max(round(self.known * len(pixels)), 1)
        known = jax.random.permutation(key_known, jnp.arange(len(pixels), dtype=jnp.int32))[:count]
        return Picture(pixels, known)

    def init(self, key: Key, omega: Omega, task: Picture) -> Any:
        """Start at ω's weights."""
        return omega["weights"]

    def predict(self, weights: Any, waves: jax.typing.ArrayLike) -> jax.Array:
        """Return the brightness ``[N]`` at the positions of waves ``[N, F]``."""
        return self.network.run(weights, jnp.asarray(waves))[:, 0]

    def step(self, key: Key, omega: Omega, task: Picture, learner: Any) -> Any:
        """Take one step of gradient descent on the known pixels."""

        def error(weights: Any) -> Scalar:
            known = jnp.asarray(self.waves(self.positions))[task.known]
            return squared_error(self.predict(weights, known), task.pixels[task.known])

        return descend(learner, omega["log_rates"], jax.grad(error)(learner))

    def loss(self, key: Key, omega: Omega, task: Picture, learner: Any) -> Scalar:
        """Return the mean squared error over all pixels."""
        return squared_error(self.predict(learner, self.waves(self.positions)), task.pixels)

    def metrics(self, key: Key, omega: Omega, task: Picture, learner: Any) -> dict[str, Scalar]:
        """Return the peak signal-to-noise ratio in decibels."""
        return {"psnr": -10 * jnp.log10(self.loss(key, omega, task, learner))}

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw eight held-out pictures, their known pixels, and what the network shows before and after its steps."""
        from evometa.plots import style

        @jax.jit
        def shown(task: Picture, before: Any) -> tuple[jax.Array, jax.Array]:
            after, waves = train(self, key, omega, task, before, 0, self.inner_steps), self.waves(self.positions)
            return self.predict(before, waves), self.predict(after, waves)

        tasks, start = held_out(self, key, omega, 8)
        known = np.full_like(tasks.pixels, np.nan)
        np.put_along_axis(known, tasks.known, np.take_along_axis(tasks.pixels, tasks.known, axis=1), axis=1)
        before, after = jax.device_get(jax.vmap(shown)(tasks, start))
        rows = {"picture": tasks.pixels, "known": known, "before": before, f"{self.inner_steps} steps": after}
        picture = style.figure(width=8.0, height=4.3)
        for (name, every), line in zip(rows.items(), picture.subplots(len(rows), 8), strict=True):
            for axes, pixels in zip(line, every, strict=True):
                axes.set_facecolor("#f3e3d3")
                axes.imshow(pixels.reshape(self.side, self.side), cmap="gray_r", vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
            line[0].set_ylabel(name, fontsize="small")
        return {"pictures": picture}
