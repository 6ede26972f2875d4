"""Images of handwritten characters for few-shot tasks: the type that both sources of them return."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIZE = 21
"""Rows and columns of an image."""
RADIUS = 5.7
"""Root mean square distance of a character's ink from its centre, the middle of the image, in pixels."""


class Characters(NamedTuple):
    """C characters of several alphabets, each drawn by the same number of people."""

    images: NDArray[np.uint8]
    """``[C, drawers, SIZE, SIZE]``, from 0 (paper) to 255 (ink). Within an alphabet, a drawer is one person."""
    alphabets: NDArray[np.int32]
    """``[C]``, the alphabet of each character, an index into ``names``."""
    names: tuple[str, ...]
    """Names of the alphabets."""
