"""Images of several textures: each region of an image has one, with its own brightness, contrast and phase."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.types import Key, Scalar

TRAINING, HELD_OUT = 64, 32
"""Textures of the training tasks, and other ones of the held-out tasks."""
PERIODS = (3.0, 8.0)
"""Range of the period of a wave in pixels."""
REGIONS = 4


class Textures(NamedTuple):
    """N textures, each the sum of two plane waves, bent by a hyperbolic tangent; float32."""

    waves: NDArray[np.float32]
    """``[N, 2, 2]``, radians a pixel along rows and columns."""
    shares: NDArray[np.float32]
    """``[N]``, amplitude of the first wave, from 0.5 to 1; the second has the rest."""


@functools.cache
def textures() -> tuple[Textures, Textures]:
    """Return the textures of training and the held-out ones; always the same."""
    rng = np.random.default_rng(6)
    number = TRAINING + HELD_OUT
    angle = rng.uniform(0, np.pi, (number, 2, 1))
    period = np.exp(rng.uniform(math.log(PERIODS[0]), math.log(PERIODS[1]), (number, 2, 1)))
    waves = (2 * np.pi / period * np.concatenate([np.sin(angle), np.cos(angle)], axis=2)).astype(np.float32)
    shares = rng.uniform(0.5, 1.0, number).astype(np.float32)
    return Textures(waves[:TRAINING], shares[:TRAINING]), Textures(waves[TRAINING:], shares[TRAINING:])


def regions(key: Key, size: int) -> jax.Array:
    """Divide an image ``[size, size]`` among REGIONS regions around random places, with wavy borders; int32."""
    key_places, key_waves = jax.random.split(key)
    quarters = jnp.array([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]], jnp.float32)
    places = size * (quarters + jax.random.uniform(key_places, (REGIONS, 2), jnp.float32, -0.17, 0.17))
    grid = jnp.stack(jnp.meshgrid(*2 * [jnp.arange(size, dtype=jnp.float32) + 0.5], indexing="ij"), axis=-1)
    phase = jax.random.uniform(key_waves, (2,), jnp.float32, 0, 2 * jnp.pi)
    moved = grid + 0.07 * size * jnp.sin(4 * jnp.pi / size * grid[..., ::-1] + phase[None, None])
    return jnp.argmin(jnp.sum((moved[:, :, None] - places[None, None]) ** 2, axis=-1), axis=-1).astype(jnp.int32)


def paint(key: Key, part: Textures, chosen: jax.Array, region: jax.Array) -> jax.Array:
    """Return an image ``[H, W]`` whose regions ``[H, W]`` have the chosen textures ``[REGIONS]``."""
    key_phases, key_brightness, key_contrast = jax.random.split(key, 3)
    phases = jax.random.uniform(key_phases, (REGIONS, 2), jnp.float32, 0, 2 * jnp.pi)
    brightness = jax.random.uniform(key_brightness, (REGIONS,), jnp.float32, -0.5, 0.5)
    contrast = jax.random.uniform(key_contrast, (REGIONS,), jnp.float32, 0.5, 1.5)
    waves, share = jnp.asarray(part.waves)[chosen][region], jnp.asarray(part.shares)[chosen][region]
    rows, columns = (jnp.arange(length, dtype=jnp.float32) for length in region.shape)
    sine = jnp.sin(waves[..., 0] * rows[:, None, None] + waves[..., 1] * columns[None, :, None] + phases[region])
    mixed = share * sine[..., 0] + (1 - share) * sine[..., 1]
    return brightness[region] + contrast[region] * jnp.tanh(2 * mixed)


def scene(key: Key, part: Textures, texture: Scalar, size: int) -> tuple[jax.Array, jax.Array]:
    """Return an image ``[size, size]`` and the mask of its one region with the given texture, of 0 and 1; float32."""
    key_regions, key_others, key_place, key_paint = jax.random.split(key, 4)
    region = regions(key_regions, size)
    number = len(part.shares)
    others = (texture + jax.random.randint(key_others, (REGIONS,), 1, number, jnp.int32)) % number
    place = jax.random.randint(key_place, (), 0, REGIONS, jnp.int32)
    image = paint(key_paint, part, others.at[place].set(texture), region)
    return image, (region == place).astype(jnp.float32)
