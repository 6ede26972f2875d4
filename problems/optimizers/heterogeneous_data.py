"""Data sets of four modalities as arrays of one shape: tables, small images, time series and sequences, padded.

All are bundled with scikit-learn or generated; each has at most 64 inputs and 10 classes.
"""

import functools
import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

# scikit-learn is imported inside functions: importing it takes a second, which listing the problems should not cost.

DataSet = Literal["wine", "breast_cancer", "digits", "patches", "shapes", "processes", "motifs"]
Modality = Literal["tables", "images", "series", "sequences"]

MODALITIES: dict[Modality, tuple[DataSet, ...]] = {
    "tables": ("wine", "breast_cancer"),
    "images": ("digits", "patches"),
    "series": ("shapes", "processes"),
    "sequences": ("motifs",),
}
"""The data sets of each modality."""
NAMES = tuple(name for names in MODALITIES.values() for name in names)
INPUTS, CLASSES, EXAMPLES = 64, 10, 1800
"""The shape to which a data set is padded."""


class Padded(NamedTuple):
    """A data set, padded with zeros."""

    inputs: NDArray[np.float32]
    """``[EXAMPLES, INPUTS]``; mean 0 and standard deviation 1 over the training part, of each column of a table and of
    all columns together otherwise."""
    labels: NDArray[np.int32]
    """``[EXAMPLES]``."""
    shape: NDArray[np.int32]
    """``[3]``: how many examples, inputs and classes there are."""
    ends: NDArray[np.int32]
    """``[3]``: where the training part, the validation part and the test part end; examples are in random order."""


@functools.cache
def padded(name: DataSet) -> Padded:
    """Load or generate a data set; it is the same in every process."""
    made = {"patches": _patches, "shapes": _shapes, "processes": _processes, "motifs": _motifs}
    rng = np.random.default_rng(NAMES.index(name))
    inputs, labels = made[name](rng) if name in made else _bundled(name)
    order = rng.permutation(len(labels))
    inputs, labels = inputs[order].reshape(len(labels), -1), labels[order]
    held_out = math.ceil(0.2 * len(labels))
    ends = np.array([len(labels) - 2 * held_out, len(labels) - held_out, len(labels)], np.int32)
    axis = 0 if name in MODALITIES["tables"] else None
    training = inputs[: ends[0]]
    inputs = (inputs - training.mean(axis)) / training.std(axis)
    filled = np.zeros((EXAMPLES, INPUTS), np.float32)
    filled[: len(inputs), : inputs.shape[1]] = inputs
    shape = np.array([*inputs.shape, labels.max() + 1], np.int32)
    return Padded(filled, np.resize(labels, EXAMPLES).astype(np.int32), shape, ends)


@functools.cache
def stacked(names: tuple[DataSet, ...]) -> Padded:
    """Return several data sets along a first axis."""
    return Padded(*(np.stack(parts) for parts in zip(*map(padded, names), strict=True)))


Examples = tuple[NDArray[Any], NDArray[Any]]


def _bundled(name: str) -> Examples:
    from sklearn import datasets

    loaded: Examples = getattr(datasets, f"load_{name}")(return_X_y=True)
    return loaded


def _patches(rng: np.random.Generator) -> Examples:
    """Grey patches of 8 × 8 pixels of scikit-learn's two photographs: which of both, and whether upside down."""
    from sklearn import datasets

    pictures = [np.asarray(image, float).mean(axis=2) for image in datasets.load_sample_images().images]
    labels = rng.integers(4, size=1200)
    patches = []
    for label in labels:
        picture = pictures[label % 2]
        row, column = (rng.integers(size - 32) for size in picture.shape)
        patch = picture[row : row + 32, column : column + 32].reshape(8, 4, 8, 4).mean(axis=(1, 3))
        patches.append(patch[::-1] if label >= 2 else patch)
    return np.stack(patches), labels


def _shapes(rng: np.random.Generator) -> Examples:
    """Cylinder, bell or funnel with noise, 64 points (Saito 1994)."""
    labels = rng.integers(3, size=1000)
    time = np.arange(64)
    series = []
    for label in labels:
        start = rng.integers(8, 24)
        end = start + rng.integers(16, 40)
        inside = (time >= start) & (time <= end)
        rise = (time - start) / (end - start)
        shape = (np.ones(64), rise, 1 - rise)[label]
        series.append((6 + rng.normal()) * inside * shape + rng.normal(size=64))
    return np.stack(series), labels


def _processes(rng: np.random.Generator) -> Examples:
    """Autoregressive processes of order 2, 32 points: which of five periods they are near."""
    labels = rng.integers(5, size=1000)
    period = np.array([3.0, 4.0, 6.0, 10.0, 20.0])[labels]
    first, second = 2 * 0.95 * np.cos(2 * np.pi / period), -(0.95**2)
    series = np.zeros((len(labels), 64 + 32))
    noise = rng.normal(size=series.shape)
    for number in range(2, series.shape[1]):
        series[:, number] = first * series[:, number - 1] + second * series[:, number - 2] + noise[:, number]
    series = series[:, -32:]
    return series / series.std(axis=1, keepdims=True), labels


def _motifs(rng: np.random.Generator) -> Examples:
    """Sequences of 16 letters out of four, one-hot: which of four motifs of five letters is somewhere in the middle."""
    labels = rng.integers(4, size=1500)
    motifs = rng.integers(4, size=(4, 5))
    letters = rng.integers(4, size=(len(labels), 16))
    for row, label in enumerate(labels):
        place = rng.integers(4, 8)
        letters[row, place : place + 5] = motifs[label]
    return np.eye(4)[letters], labels
