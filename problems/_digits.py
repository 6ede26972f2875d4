"""scikit-learn's handwritten digits, in three fixed parts."""

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# scikit-learn is imported where it is used: listing the problems must not cost the second that its import takes.

CLASSES = 10
PIXELS = 64
_HELD_OUT = 360


class Digits(NamedTuple):
    """1797 images of 8 × 8 pixels, and the rows of each part; no row is in two parts."""

    images: NDArray[np.float32]
    """``[1797, 64]``, from 0 to 1."""
    labels: NDArray[np.int32]
    """``[1797]``, from 0 to 9."""
    targets: NDArray[np.float32]
    """``[1797, 10]``, the labels as one-hot rows."""
    training: NDArray[np.int32]
    """1077 rows."""
    validation: NDArray[np.int32]
    """360 rows."""
    test: NDArray[np.int32]
    """360 rows."""


@functools.cache
def digits() -> Digits:
    """Load the digits; the parts are the same in every process."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(labels)).astype(np.int32)
    return Digits(
        (images / 16).astype(np.float32),
        labels.astype(np.int32),
        np.eye(CLASSES, dtype=np.float32)[labels],
        *np.split(rows, [len(rows) - 2 * _HELD_OUT, len(rows) - _HELD_OUT]),
    )
