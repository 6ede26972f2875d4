"""Archives over behaviour space: the numbers, then the picture."""

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
from evometa.result import Archive
from evometa.run_directory import read_manifest


@dataclasses.dataclass(frozen=True)
class ArchiveMap:
    """The fitness over the first one or two of the measures."""

    edges: tuple[NDArray[np.float64], ...]
    """The ends of the cells along each shown measure, ``[cells + 1]``."""
    fitness: NDArray[np.float64]
    """``[cells]`` or ``[cells, cells]``, NaN where a cell is empty; the mean over the measures that are not shown."""
    elites: int
    """How many candidates the run keeps."""
    coverage: float
    """What part of the cells, over all measures, they are in."""


def archive_map(
    run: ArchiveRun,
    *,
    cells: Sequence[int] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> ArchiveMap:
    """Compute what :func:`archive` draws.

    Args:
        run: a run directory, or ``Result.archive``.
        cells: into how many cells the range of each measure is cut; None: as the run's strategy did, 50 if unknown.
        low: lower end of the range of each measure; None: as the run's strategy did, the smallest found if unknown.
        high: upper end, likewise.

    Raises:
        ConfigurationError: the run has no measures, or another number of them.
        RunDirectoryError: the run keeps nothing.
    """
    kept = load_archive(run)
    if kept.measures is None:
        raise ConfigurationError("archive expects a run with measures, and this one has none; draw its Pareto front.")
    measures, fitness = np.asarray(kept.measures, np.float64), np.asarray(kept.fitness, np.float64)
    count = measures.shape[1]
    fields: dict[str, Any] = {} if isinstance(run, Archive) else read_manifest(Path(run)).strategy["fields"]
    some = len(measures) > 0
    known = {
        "cells": cells or fields.get("cells") or [50] * count,
        "low": low or fields.get("low") or (measures.min(axis=0) if some else np.zeros(count)),
        "high": high or fields.get("high") or (measures.max(axis=0) if some else np.ones(count)),
    }
    for name, given in known.items():
        if len(given) != count:
            raise ConfigurationError(
                f"archive expects {name} to have a number for each of the {count} measures, got {given}."
            )
    shape = tuple(int(n) for n in known["cells"])
    edges = [np.linspace(low, high, n + 1) for low, high, n in zip(known["low"], known["high"], shape, strict=True)]
    at = tuple(
        np.clip(np.searchsorted(edge, values, side="right") - 1, 0, n - 1)
        for edge, values, n in zip(edges, measures.T, shape, strict=True)
    )
    total, number = np.zeros(shape[:2]), np.zeros(shape[:2])
    np.add.at(total, at[:2], fitness)
    np.add.at(number, at[:2], 1)
    mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    filled = len(np.unique(np.ravel_multi_index(at, shape)))
    return ArchiveMap(tuple(edges[:2]), mean, len(measures), filled / float(np.prod(shape)))


def archive(
    run: ArchiveRun,
    *,
    cells: Sequence[int] | None = None,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
) -> Figure:
    """Draw the fitness of the candidates that a run keeps over the first two of their measures.

    With a single measure it is a curve; with more than two the mean over those that are not shown.

    Args:
        run: a run directory, or ``Result.archive``.
        cells: into how many cells the range of each measure is cut; None: as the run's strategy did, 50 if unknown.
        low: lower end of the range of each measure; None: as the run's strategy did, the smallest found if unknown.
        high: upper end, likewise.

    Returns:
        A figure; ``figure.savefig("archive.png")`` writes it.

    Raises:
        ConfigurationError: the run has no measures, or another number of them.
        RunDirectoryError: the run keeps nothing.
    """
    return draw_archive(archive_map(run, cells=cells, low=low, high=high))


def draw_archive(numbers: ArchiveMap) -> Figure:
    """Draw a computed map."""
    flat = numbers.fitness.ndim == 1
    picture = style.figure(width=6.0, height=3.6 if flat else 4.8)
    axes = picture.subplots()
    if flat:
        axes.stairs(numbers.fitness, numbers.edges[0], baseline=None, color=style.BLUE, linewidth=1.4)
        style.dress(axes, x="measure 1", y="fitness")
    else:
        style.dress(axes, x="measure 1", y="measure 2")
        axes.grid(False)
        mesh = axes.pcolormesh(*numbers.edges, numbers.fitness.T, cmap="viridis", rasterized=True)
        axes.set_facecolor("#eeeeee")  # empty cells, in a grey that the colours do not have
        if numbers.elites:
            bar = picture.colorbar(mesh, ax=axes, label="fitness")
            bar.outline.set_visible(False)
    axes.set_title(f"{numbers.elites:,} candidates, {numbers.coverage:.1%} of the cells", fontsize="small", loc="left")
    return picture
