"""Small classification data sets that come with scikit-learn, each in three fixed parts."""

import functools
import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

# scikit-learn is imported where it is used: listing the problems must not cost the second that its import takes.

Name = Literal["digits", "wine", "breast_cancer"]
_HELD_OUT = 0.2


class Table(NamedTuple):
    """Examples, and the rows of each part; no row is in two parts."""

    features: NDArray[np.float32]
    """``[N, F]``, each of mean 0 and standard deviation 1 in the training part; pixels from 0 to 1."""
    labels: NDArray[np.int32]
    """``[N]``, from 0 to C - 1."""
    targets: NDArray[np.float32]
    """``[N, C]``, the labels as one-hot rows."""
    training: NDArray[np.int32]
    """60 % of the rows."""
    validation: NDArray[np.int32]
    """20 %."""
    test: NDArray[np.int32]
    """20 %."""


@functools.cache
def table(name: Name) -> Table:
    """Load a data set; the parts are the same in every process."""
    from sklearn import datasets

    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(labels)).astype(np.int32)
    held_out = math.ceil(_HELD_OUT * len(rows))
    training, validation, test = np.split(rows, [len(rows) - 2 * held_out, len(rows) - held_out])
    if name == "digits":
        features = features / 16
    else:
        features = (features - features[training].mean(axis=0)) / features[training].std(axis=0)
    targets = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    return Table(features.astype(np.float32), labels.astype(np.int32), targets, training, validation, test)
