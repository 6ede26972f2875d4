"""Images to learn from: synthetic characters, Omniglot's, and handwritten digits."""

import os
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evometa.problems.few_shot.character_sources import characters
from evometa.problems.shared.digits import digits

Source = Literal["glyphs", "omniglot", "digits"]
"""Synthetic characters, Omniglot's (read from files), or scikit-learn's digits."""


def images(
    source: Source, directory: str | os.PathLike[str] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return images for training and held-out ones, ``[M, H, W]`` each, from 0 (paper) to 1 (ink).

    Held-out characters belong to other alphabets; of the digits, training and test images differ.

    Args:
        source: where they come from.
        directory: the folder with Omniglot's files; None: the one that the environment variable EVOMETA_DATA names.

    Raises:
        ConfigurationError: a file is missing or damaged.
    """
    if source == "digits":
        features = digits().features.reshape(-1, 8, 8)
        return features[digits().training], features[digits().test]
    training, test = (part.images.reshape(-1, *part.images.shape[-2:]) for part in characters(source, directory))
    return np.asarray(training / 255, np.float32), np.asarray(test / 255, np.float32)
