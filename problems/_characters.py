"""Handwritten characters for few-shot tasks, real or made up, in a part to learn on and a held-out part."""

import os
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError

Source = Literal["omniglot", "glyphs"]
"""Where characters come from: the files of Omniglot, or strokes drawn at random."""

SIZE = 21
"""Rows and columns of an image: a fifth of Omniglot's 105, so that each pixel is the mean of 5 × 5."""


class Characters(NamedTuple):
    """C characters of several alphabets, each drawn by the same number of people."""

    images: NDArray[np.uint8]
    """``[C, drawers, SIZE, SIZE]``, from 0, nothing, to 255, ink. Within an alphabet a drawer is one person."""
    alphabets: NDArray[np.int32]
    """``[C]``, the alphabet of each, an index of ``names``."""
    names: tuple[str, ...]
    """The alphabets."""


def characters(source: Source, directory: str | os.PathLike[str] | None = None) -> tuple[Characters, Characters]:
    """Return the characters to learn on, and those that are held out: of other alphabets.

    Args:
        source: where they come from.
        directory: the folder with Omniglot's files; None: the one that the environment variable EVOMETA_DATA names.

    Raises:
        ConfigurationError: a file is missing or damaged.
    """
    # Here, so that neither costs anything where the other one, or none, is used.
    from evometa.problems import _glyphs, _omniglot

    return _glyphs.glyphs() if source == "glyphs" else _omniglot.omniglot(directory)


def available(source: Source, directory: str | os.PathLike[str] | None = None) -> bool:
    """Return whether the files that a source needs, if any, are where they are looked for."""
    from evometa.problems import _omniglot

    try:
        return source == "glyphs" or bool(_omniglot.find(directory))
    except ConfigurationError:
        return False
