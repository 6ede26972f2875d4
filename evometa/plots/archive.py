"""Plot of the fitness over an archive's behaviour space."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.plots import style
from evometa.plots.pareto import ArchiveRun, load_archive
from evometa.storage.manifest import read_manifest
from evometa.storage.result import Archive


@dataclasses.dataclass(frozen=True)
class ArchiveMap:
    """The fitness over the first one or two measures, see :func:`archive_map`."""

    edges: tuple[NDArray[np.float64], ...]
    """The bounds of the cells along each measure shown, ``[cells + 1]``."""
    fitness: NDArray[np.float64]
    """``[cells]`` or ``[cells, cells]``, NaN for empty cells; a mean over the measures that are not shown."""
    elites: int
    """The number of candidates in the archive."""
    coverage: float
    """The share of cells that hold a candidate, over all measures."""


def archive_map(
    run: ArchiveRun,
    *,
    cells: Sequence[int] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> ArchiveMap:
    """Compute the numbers of :func:`archive`.

    Args:
        run: a run directory, or ``Result.archive``.
        cells: number of cells along each measure; None: those of the run's strategy, or 50 if unknown.
        low: lower bound of each measure; None: that of the run's strategy, or the smallest value if unknown.
        high: upper bound of each measure, likewise.

    Raises:
        ConfigurationError: the run has no measures, or not as many as ``cells``, ``low`` or ``high``.
        RunDirectoryError: the run has no archive.
    """
    archive = load_archive(run)
    if archive.measures is None:
        raise ConfigurationError("archive expects a run with measures, and this one has none; draw its Pareto front.")
    measures, fitness = np.asarray(archive.measures, np.float64), np.asarray(archive.fitness, np.float64)
    count = measures.shape[1]
    fields: dict[str, Any] = {} if isinstance(run, Archive) else read_manifest(Path(run)).strategy["fields"]
    filled = len(measures) > 0
    grid = {
        "cells": cells or fields.get("cells") or [50] * count,
        "low": low or fields.get("low") or (measures.min(axis=0) if filled else np.zeros(count)),
        "high": high or fields.get("high") or (measures.max(axis=0) if filled else np.ones(count)),
    }
    for name, given in grid.items():
        if len(given) != count:
            raise ConfigurationError(
                f"archive expects {name} to have a number for each of the {count} measures, got {given}."
            )
    shape = tuple(int(n) for n in grid["cells"])
    edges = [np.linspace(low, high, n + 1) for low, high, n in zip(grid["low"], grid["high"], shape, strict=True)]
    at = tuple(
        np.clip(np.searchsorted(edge, values, side="right") - 1, 0, n - 1)
        for edge, values, n in zip(edges, measures.T, shape, strict=True)
    )
    total, number = np.zeros(shape[:2]), np.zeros(shape[:2])
    np.add.at(total, at[:2], fitness)
    np.add.at(number, at[:2], 1)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    occupied = len(np.unique(np.ravel_multi_index(at, shape)))
    return ArchiveMap(tuple(edges[:2]), mean, len(measures), occupied / float(np.prod(shape)))


def archive(
    run: ArchiveRun,
    *,
    cells: Sequence[int] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> Figure:
    """Plot the fitness of the candidates in a run's archive over the first two of their measures.

    A single measure gives a curve. With more than two, the fitness is averaged over the measures that are not shown.

    Args:
        run: a run directory, or ``Result.archive``.
        cells: number of cells along each measure; None: those of the run's strategy, or 50 if unknown.
        low: lower bound of each measure; None: that of the run's strategy, or the smallest value if unknown.
        high: upper bound of each measure, likewise.

    Returns:
        A figure; ``figure.savefig("archive.png")`` writes it.

    Raises:
        ConfigurationError: the run has no measures, or not as many as ``cells``, ``low`` or ``high``.
        RunDirectoryError: the run has no archive.
    """
    return draw_archive(archive_map(run, cells=cells, low=low, high=high))


def draw_archive(numbers: ArchiveMap) -> Figure:
    """Plot the numbers of :func:`archive_map`."""
    flat = numbers.fitness.ndim == 1
    picture = style.figure(width=6.0, height=3.6 if flat else 4.8)
    axes = picture.subplots()
    if flat:
        axes.stairs(numbers.fitness, numbers.edges[0], baseline=None, color=style.BLUE, linewidth=1.4)
        style.label_axes(axes, x="measure 1", y="fitness")
    else:
        style.label_axes(axes, x="measure 1", y="measure 2")
        axes.grid(False)
        mesh = axes.pcolormesh(*numbers.edges, numbers.fitness.T, cmap="viridis", rasterized=True)
        axes.set_facecolor("#eeeeee")  # empty cells, in a grey that is not in the colour map
        if numbers.elites:
            bar = picture.colorbar(mesh, ax=axes, label="fitness")
            bar.outline.set_visible(False)
    axes.set_title(f"{numbers.elites:,} candidates, {numbers.coverage:.1%} of the cells", fontsize="small", loc="left")
    return picture
