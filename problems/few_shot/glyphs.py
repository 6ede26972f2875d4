"""Synthetic characters: a substitute for Omniglot that needs no download.

An alphabet has an inventory of strokes, cubic Bézier curves; a character is two to four of them at random positions;
and each drawer has a slant, a size and a pen width, and adds random jitter.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from evometa.problems.few_shot.characters import RADIUS, SIZE, Characters

ALPHABETS, HELD_OUT, CHARACTERS, DRAWERS = 5, 3, 28, 20
STROKES, LONGEST, POINTS = 10, 4, 32
"""Strokes of an alphabet; maximum number of strokes of a character; points at which a stroke is drawn."""


@functools.cache
def glyphs() -> tuple[Characters, Characters]:
    """Draw five alphabets of 28 characters for training, and three held-out ones; always the same."""
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
    controls = inventory[chosen] + places  # [CHARACTERS, LONGEST, 4, 2]

    shape = (CHARACTERS, DRAWERS)
    hand = np.eye(2) + rng.normal(0, 0.1, (DRAWERS, 2, 2)) + rng.normal(0, 0.1, (*shape, 2, 2))
    shaken = controls[:, None] + rng.normal(0, 0.12, (*shape, LONGEST, 4, 2))
    moved = np.einsum("cdskx,cdxy->cdsky", shaken, hand)
    pen = rng.uniform(0.5, 0.7, (DRAWERS, 1, 1))

    t = np.linspace(0, 1, POINTS)
    bezier = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])  # [4, POINTS]
    line = np.einsum("cdskx,kp->cdspx", moved, bezier).reshape(*shape, LONGEST * POINTS, 2)
    inked = np.repeat(drawn, POINTS, axis=1)[:, None, :, None]
    dots = inked.sum(axis=2, keepdims=True)
    line -= np.sum(line * inked, axis=2, keepdims=True) / dots  # centred, and scaled to a common size
    line *= RADIUS / np.sqrt(np.sum(line**2 * inked, axis=(2, 3), keepdims=True) / dots)
    # A dot of ink is the outer product of a row and a column, so the sum over all dots is a matrix product.
    grid = np.arange(SIZE) - (SIZE - 1) / 2
    columns, rows = (np.exp(-(((grid - line[..., axis, None]) / pen) ** 2)) for axis in (0, 1))
    ink = np.swapaxes(rows * inked, -1, -2) @ columns
    return np.asarray(np.round(255 * (1 - np.exp(-1.5 * ink))), np.uint8)
