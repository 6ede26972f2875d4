"""Clips of a character that moves through a small frame, bounces off its walls and turns."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from numpy.typing import NDArray

from evometa.types import Key

SIDE, CONTRAST = 11, 1.6
"""Rows and columns of pixels of a character, and the factor of its brightness, which scaling down takes away."""
WALL = 4.0
"""Distance from the outermost pixels at which the centre of a character bounces, in pixels."""
SLOWEST = 0.4
"""Least speed, relative to the greatest."""
DIRECTIONS = 8
"""Training directions are the sectors of two thirds of the circle that are around these; held-out ones lie between."""


class Clip(NamedTuple):
    """A task: the frames of a clip, from 0 (paper) to 1 (ink), float32."""

    seen: jax.Array
    """``[F, H, W]``, what the learner adapts to."""
    future: jax.Array
    """``[N, H, W]``, what it is to predict."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """How characters move.

    Args:
        size: rows and columns of a frame.
        speed: the greatest, in pixels a frame.
        turn: greatest angle by which a character turns from frame to frame, in radians, either way.
        test: whether they move in the held-out directions. Both kinds of direction stay what they are at a wall.
    """

    size: int
    speed: float
    turn: float
    test: bool

    def frames(self, key: Key, image: jax.Array, count: int) -> jax.Array:
        """Draw a motion of an image ``[SIDE, SIDE]``, and return its frames ``[count, size, size]``."""
        keys, times = jax.random.split(key, 5), jnp.arange(count, dtype=jnp.float32)
        middle, wide = (1 / 2, 1 / 6) if self.test else (0, 1 / 3)
        sector = jax.random.randint(keys[0], (), 0, DIRECTIONS, jnp.int32)
        within = middle + jax.random.uniform(keys[1], (), jnp.float32, -wide, wide)
        direction = 2 * math.pi / DIRECTIONS * (sector + within)
        speed = self.speed * jax.random.uniform(keys[2], (), jnp.float32, SLOWEST, 1)
        step = speed * jnp.stack([jnp.sin(direction), jnp.cos(direction)])
        start = jax.random.uniform(keys[3], (2,), jnp.float32, WALL, self.size - 1 - WALL)
        rate, first = jax.random.uniform(keys[4], (2,), jnp.float32, -1, 1)
        centres = bounced(start[None] + times[:, None] * step[None], self.size)
        angles = math.pi * first + self.turn * rate * times
        frames: jax.Array = jax.vmap(_placed, (None, 0, 0, None))(image, centres, angles, self.size)
        return frames


def character(key: Key, images: NDArray[np.float32]) -> jax.Array:
    """Draw one of the images ``[M, h, w]``, scaled to ``[SIDE, SIDE]``."""
    image = jnp.asarray(images)[jax.random.randint(key, (), 0, len(images), jnp.int32)]
    return jnp.minimum(CONTRAST * jax.image.resize(image, (SIDE, SIDE), "linear"), 1)


def bounced(places: jax.Array, size: int) -> jax.Array:
    """Return where points are that would be at the given places, in pixels, if there were no walls."""
    room = size - 1 - 2 * WALL
    return WALL + room - jnp.abs((places - WALL) % (2 * room) - room)


def _placed(image: jax.Array, centre: jax.Array, angle: jax.Array, size: int) -> jax.Array:
    """Return a frame ``[size, size]`` in which an image is turned and its middle lies at a place ``[2]``."""
    grid = jnp.arange(size, dtype=jnp.float32)
    rows, columns = jnp.meshgrid(grid - centre[0], grid - centre[1], indexing="ij")
    sine, cosine, middle = jnp.sin(angle), jnp.cos(angle), (SIDE - 1) / 2
    places = [cosine * rows - sine * columns + middle, sine * rows + cosine * columns + middle]
    frame: jax.Array = map_coordinates(image, places, order=1)
    return frame


def sampled(image: jax.Array, places: jax.Array) -> jax.Array:
    """Return what an image ``[H, W, C]`` has at places ``[N, 2]``, ``[N, C]``, by bilinear interpolation.

    Beyond its edges it has what the nearest pixel has. Derivatives are those by the places and by the image.
    """
    height, width, channels = image.shape
    largest = np.array([height - 1, width - 1], np.float32)[None]
    inside = jnp.clip(places, 0, largest)
    corner = jnp.minimum(jnp.floor(jax.lax.stop_gradient(inside)), largest - 1)
    down, right = jnp.split(inside - corner, 2, axis=1)
    row, column = jnp.split(corner.astype(jnp.int32), 2, axis=1)
    at, pixels = (row * width + column)[:, 0], image.reshape(-1, channels)
    above, below = ((1 - right) * pixels[at + i] + right * pixels[at + i + 1] for i in (0, width))
    return (1 - down) * above + down * below
