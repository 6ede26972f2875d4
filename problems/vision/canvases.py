"""Canvases with characters, some of them of the class that is looked for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from evometa.problems.few_shot.characters import SIZE, Characters
from evometa.types import Key

GRID = 3
"""Rows and columns of characters on a canvas."""
CANVAS = 64
"""Rows and columns of pixels of a canvas."""
OTHERS = 12
"""Classes besides the one that is looked for."""
EMPTY, REPEATED = 0.3, 0.1
"""Share of the cells without a character, and, but for one cell, of those with another one of the class."""
JITTER = 3


class Canvas(NamedTuple):
    """A canvas and what is on it."""

    image: jax.Array
    """``[CANVAS, CANVAS]``, from 0 (paper) to 1 (ink), float32."""
    corners: jax.Array
    """``[GRID², 2]``, row and column of the upper left pixel of each cell's character, int32."""
    wanted: jax.Array
    """``[GRID²]``, whether it is of the class that is looked for, bool."""


def draw_classes(key: Key, part: Characters) -> jax.Array:
    """Draw a class and OTHERS of the same alphabet, ``[1 + OTHERS]``; where it has fewer, of other alphabets, too."""
    key_alphabet, key_order = jax.random.split(key)
    order = jax.random.uniform(key_order, (len(part.images),), jnp.float32)
    alphabet = jax.random.randint(key_alphabet, (), 0, len(part.names), jnp.int32)
    return jax.lax.top_k(order + (jnp.asarray(part.alphabets) == alphabet), 1 + OTHERS)[1]


def drawings(part: Characters, classes: jax.Array, drawers: jax.Array) -> jax.Array:
    """Return drawings of characters by people, indices ``[N]``, as images ``[N, SIZE, SIZE]`` from 0 to 1."""
    return jnp.asarray(part.images)[classes, drawers].astype(jnp.float32) / 255


def warped(image: jax.Array, angle: jax.Array, factor: jax.Array) -> jax.Array:
    """Return an image ``[SIZE, SIZE]`` turned by an angle in radians and enlarged by a factor, around its middle."""
    middle = (SIZE - 1) / 2
    away = (jnp.arange(SIZE, dtype=jnp.float32) - middle) / factor
    rows, columns = jnp.meshgrid(away, away, indexing="ij")
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    places = [cosine * rows - sine * columns + middle, sine * rows + cosine * columns + middle]
    turned: jax.Array = map_coordinates(image, places, order=1)
    return turned


def canvas(
    key: Key, part: Characters, classes: jax.Array, drawers: jax.Array, turns: jax.Array, *, tilt: float, scale: float
) -> Canvas:
    """Draw a canvas.

    Args:
        key: random key.
        part: the characters.
        classes: ``[1 + OTHERS]``, which of them, the one that is looked for first.
        drawers: ``[N]``, whose drawings.
        turns: ``[1 + OTHERS]``, angles by which all drawings of each class are turned, in radians.
        tilt: greatest angle by which each drawing is turned beside that, in radians.
        scale: greatest logarithm of the factor by which it is enlarged.
    """
    keys, cells = jax.random.split(key, 7), GRID**2
    kind = jax.random.uniform(keys[0], (cells,), jnp.float32)
    wanted = (kind < REPEATED) | (jnp.arange(cells) == jax.random.randint(keys[1], (), 0, cells))
    present = wanted | (kind < 1 - EMPTY)
    chosen = jnp.where(wanted, 0, jax.random.randint(keys[2], (cells,), 1, len(classes)))
    drawer = jax.random.choice(keys[3], drawers, (cells,))
    spaced = jnp.stack(jnp.divmod(jnp.arange(cells), GRID), axis=1) * (CANVAS - SIZE) // (GRID - 1)
    moved = spaced + jax.random.randint(keys[4], (cells, 2), -JITTER, JITTER + 1)
    corners = jnp.clip(moved, 0, CANVAS - SIZE).astype(jnp.int32)

    def put(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice(jnp.zeros((CANVAS, CANVAS), jnp.float32), image, corner)

    angle = turns[chosen] + jax.random.uniform(keys[5], (cells,), jnp.float32, -tilt, tilt)
    factor = jnp.exp(jax.random.uniform(keys[6], (cells,), jnp.float32, -scale, scale))
    images = jax.vmap(warped)(drawings(part, classes[chosen], drawer), angle, factor) * present[:, None, None]
    return Canvas(jnp.max(jax.vmap(put)(images, corners), axis=0), corners, wanted)
