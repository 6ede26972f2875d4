"""Made-up characters: a stand-in for Omniglot with nothing to download.

An alphabet has strokes of its own, curves with four control points; a character is two to four of them, each put
somewhere; and each drawer has a slant, a size and a pen, and a hand that shakes.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from evometa.problems._characters import SIZE, Characters

ALPHABETS, HELD_OUT, CHARACTERS, DRAWERS = 5, 3, 28, 20
STROKES, LONGEST, POINTS = 10, 4, 24
"""Strokes an alphabet has; most strokes of a character; points at which a stroke is drawn."""


@functools.cache
def glyphs() -> tuple[Characters, Characters]:
    """Draw five alphabets of 28 characters to learn on, and three that are held out; always the same ones."""
    images = np.concatenate([_alphabet(np.random.default_rng([0, number])) for number in range(ALPHABETS + HELD_OUT)])
    names = tuple(f"glyphs {number + 1}" for number in range(ALPHABETS + HELD_OUT))
    alphabets = np.repeat(np.arange(len(names), dtype=np.int32), CHARACTERS)
    first = ALPHABETS * CHARACTERS
    return (
        Characters(images[:first], alphabets[:first], names[:ALPHABETS]),
        Characters(images[first:], alphabets[first:] - ALPHABETS, names[ALPHABETS:]),
    )


def _alphabet(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the images ``[CHARACTERS, DRAWERS, SIZE, SIZE]`` of an alphabet."""
    inventory = rng.normal(0, 0.5, (STROKES, 4, 2)).cumsum(axis=1)
    inventory -= inventory.mean(axis=1, keepdims=True)
    chosen = np.argsort(rng.random((CHARACTERS, STROKES)), axis=1)[:, :LONGEST]
    places = rng.normal(0, 0.35, (CHARACTERS, LONGEST, 1, 2))
    number = rng.integers(2, LONGEST + 1, CHARACTERS)
    drawn = np.arange(LONGEST) < number[:, None]  # [CHARACTERS, LONGEST]
    controls = np.where(drawn[..., None, None], inventory[chosen] + places, np.nan)  # [CHARACTERS, LONGEST, 4, 2]
    low, high = (np.expand_dims(end(controls, axis=(1, 2)), (1, 2)) for end in (np.nanmin, np.nanmax))
    controls = 1.7 * (np.nan_to_num(controls) - (low + high) / 2) / np.max(high - low, axis=-1, keepdims=True)

    shape = (CHARACTERS, DRAWERS)
    hand = np.eye(2) + rng.normal(0, 0.1, (DRAWERS, 2, 2)) + rng.normal(0, 0.1, (*shape, 2, 2))
    shaken = controls[:, None] + rng.normal(0, 0.1, (*shape, LONGEST, 4, 2))
    moved = np.einsum("cdskx,cdxy->cdsky", shaken, hand) + rng.normal(0, 0.1, (*shape, 1, 1, 2))
    pen = rng.uniform(0.05, 0.07, (DRAWERS, 1, 1))

    t = np.linspace(0, 1, POINTS)
    bezier = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])  # [4, POINTS]
    line = np.einsum("cdskx,kp->cdspx", moved, bezier)
    line = line.reshape(*shape, LONGEST * POINTS, 2)
    inked = np.repeat(drawn, POINTS, axis=1)[:, None, :, None]
    # A dot of ink is a product of a row and a column, so that the sum over all dots is a matrix product.
    grid = np.linspace(-1.1, 1.1, SIZE)
    columns, rows = (np.exp(-(((grid - line[..., axis, None]) / pen) ** 2)) for axis in (0, 1))
    ink = np.swapaxes(rows * inked, -1, -2) @ columns
    return np.asarray(np.round(255 * (1 - np.exp(-1.5 * ink))), np.uint8)
