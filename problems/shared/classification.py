"""Small classification data sets bundled with scikit-learn, each with a fixed train/validation/test split."""

import functools
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from evometa.types import Key

# scikit-learn is imported inside functions: importing it takes a second, which listing the problems should not cost.

Name = Literal["digits", "wine", "breast_cancer", "synthetic"]
"""``synthetic`` is generated: as large as digits, 10 classes of two normal clusters each, 32 of 64 features useful."""
_HELD_OUT = 0.2


class Table(NamedTuple):
    """Examples, and the rows of each part of the split; the parts are disjoint."""

    features: NDArray[np.float32]
    """``[N, F]``, with mean 0 and standard deviation 1 in the training part; pixels from 0 to 1."""
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
    features, labels = _load(name)
    rows = np.random.default_rng(0).permutation(len(labels)).astype(np.int32)
    held_out = math.ceil(_HELD_OUT * len(rows))
    training, validation, test = np.split(rows, [len(rows) - 2 * held_out, len(rows) - held_out])
    if name == "digits":
        features = features / 16
    else:
        features = (features - features[training].mean(axis=0)) / features[training].std(axis=0)
    targets = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    return Table(features.astype(np.float32), labels.astype(np.int32), targets, training, validation, test)


def _load(name: Name) -> tuple[NDArray[np.float64], NDArray[Any]]:
    from sklearn import datasets

    if name == "synthetic":
        shape: dict[str, Any] = {"n_samples": 1797, "n_features": 64, "n_classes": 10}
        made = datasets.make_classification(**shape, n_informative=16, n_redundant=16, random_state=0)
        return np.asarray(made[0]), np.asarray(made[1])
    loaded: tuple[NDArray[np.float64], NDArray[Any]] = getattr(datasets, f"load_{name}")(return_X_y=True)
    return loaded


@functools.cache
def components(name: Name, count: int) -> NDArray[np.float32]:
    """Return the first principal components ``[N, count]`` of all examples, scaled so that the first has variance 1.

    Axes, mean and scale are those of the training part.
    """
    features, training = table(name).features, table(name).training
    mean = features[training].mean(axis=0)
    _, deviations, axes = np.linalg.svd(features[training] - mean, full_matrices=False)
    scaled = (features - mean) @ axes[:count].T / deviations[0] * len(training) ** 0.5
    return np.asarray(scaled, np.float32)


def other_data_set(name: Name) -> Name:
    """Return the data set that a shifted task distribution has instead of ``name``."""
    return "breast_cancer" if name == "digits" else "digits"


def draw_rows(key: Key, rows: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """Draw from the given rows with replacement, int32 of the given shape, such as ``[S, B]`` for minibatches."""
    rows = jnp.asarray(rows)
    return rows[jax.random.randint(key, shape, 0, len(rows), jnp.int32)]
