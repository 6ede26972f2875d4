"""Plot of Pareto fronts."""

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from evometa.errors import ConfigurationError
from evometa.plots import style
from evometa.plots.facts import facts
from evometa.storage import archive_file
from evometa.storage.result import Archive

ArchiveRun = str | os.PathLike[str] | Archive
"""The archive of a run, or the run's directory."""

MARKERS = "os^Dvp"


@dataclasses.dataclass(frozen=True)
class ParetoFront:
    """The candidates in the archive of a run."""

    label: str
    points: NDArray[np.float64]
    """Objectives ``[N, M]`` in the problem's direction, in ascending order of the first."""


@dataclasses.dataclass(frozen=True)
class ParetoFronts:
    """The numbers of :func:`pareto`."""

    fronts: tuple[ParetoFront, ...]
    truth: NDArray[np.float64] | None
    """Points of the true front ``[N, M]``, if it is known."""
    names: tuple[str, ...]
    """The names of the M objectives."""
    better: tuple[str, ...] = ()
    """Which value of each objective is better, "smaller" or "larger"; empty where it is not known."""
    title: str = ""

    @property
    def objectives(self) -> int:
        """The number of objectives M."""
        return int(self.fronts[0].points.shape[1])

    def axis(self, number: int) -> str:
        """Return the label of an objective's axis."""
        return f"{self.names[number]} ({self.better[number]} is better)" if self.better else self.names[number]


def load_archive(run: ArchiveRun) -> Archive:
    """Return the archive of a run, read from its directory if necessary."""
    return run if isinstance(run, Archive) else archive_file.read(run)


def pareto_fronts(runs: ArchiveRun | Mapping[str, ArchiveRun], *, truth: ArrayLike | None = None) -> ParetoFronts:
    """Compute the numbers of :func:`pareto`.

    Args:
        runs: a run directory or ``Result.archive``; or label -> one of these.
        truth: points of the true front ``[N, M]``, if it is known.

    Raises:
        ConfigurationError: no run, one without objectives, or different numbers of objectives.
        RunDirectoryError: a run has no archive.
    """
    labelled = runs if isinstance(runs, Mapping) else {"found": runs}
    fronts, names = [], set()
    for label, run in labelled.items():
        archive = load_archive(run)
        objectives = archive.objectives
        if objectives is None:
            raise ConfigurationError(f"pareto expects runs with objectives, and {label!r} has none; draw its archive.")
        points = np.asarray(objectives, np.float64)
        names.add(archive.objective_names)
        fronts.append(ParetoFront(label, points[np.lexsort(points.T[::-1])]))
    known = None if truth is None else np.asarray(truth, np.float64)
    sizes = {front.points.shape[1] for front in fronts} | ({known.shape[1]} if known is not None else set())
    if len(sizes) != 1 or not fronts:
        raise ConfigurationError(
            f"pareto expects one or more runs, all with the same number of objectives, got {sorted(sizes) or 'none'}."
        )
    shared = names.pop() if len(names) == 1 else ()
    numbered = tuple(f"objective {i + 1}" for i in range(sizes.pop()))
    better = _better(list(labelled.values()), len(numbered), own=shared in (("fitness", "size"),))
    title = "" if isinstance(runs, (Archive, Mapping)) else facts(runs).title
    return ParetoFronts(tuple(fronts), known, shared if len(shared) == len(numbered) else numbered, better, title)


def _better(runs: Sequence[ArchiveRun], count: int, *, own: bool) -> tuple[str, ...]:
    """Return which value of each objective is better, if all runs say the same."""
    directions = {"" if isinstance(run, Archive) else facts(run).better for run in runs}
    first = directions.pop() if len(directions) == 1 else ""
    if not first:
        return ()
    # Objectives of a strategy's own are the fitness and then what is to be minimised.
    return (first, *(("smaller",) * (count - 1) if own else (first,) * (count - 1)))


def pareto(runs: ArchiveRun | Mapping[str, ArchiveRun], *, truth: ArrayLike | None = None) -> Figure:
    """Plot the Pareto fronts of runs.

    Two objectives have one panel and three a panel for each pair; an axis is logarithmic if its objective is positive
    and spans more than a decade and a half. With four or more, a candidate is a line across parallel axes, each from
    the smallest to the largest value.

    Args:
        runs: a run directory or ``Result.archive``; or label -> one of these.
        truth: points of the true front ``[N, M]``, if it is known, such as ``ZDT1().front()``.

    Returns:
        A figure; ``figure.savefig("front.png")`` writes it.

    Raises:
        ConfigurationError: no run, one without objectives, or different numbers of objectives.
        RunDirectoryError: a run has no archive.
    """
    return draw_pareto(pareto_fronts(runs, truth=truth))


def draw_pareto(numbers: ParetoFronts) -> Figure:
    """Plot the numbers of :func:`pareto_fronts`."""
    if numbers.objectives > 3:
        return _parallel(numbers)
    pairs = list(itertools.combinations(range(numbers.objectives), 2))
    picture = style.figure(width=5.5 if len(pairs) == 1 else 3.8 * len(pairs), height=4.2 if len(pairs) == 1 else 3.8)
    for axes, (i, j) in zip(picture.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        if numbers.truth is not None:
            x, y = numbers.truth[:, [i, j]].T
            axes.plot(x, y, ".", color=style.GREY, markersize=2, alpha=0.7, label="true front")
        for number, front in enumerate(numbers.fronts):
            x, y = front.points[:, [i, j]].T
            marker, colour = MARKERS[number % len(MARKERS)], style.PALETTE[number % len(style.PALETTE)]
            size = 4.0 if len(x) <= 200 else 2.5
            axes.plot(x, y, marker, color=colour, markersize=size, markeredgewidth=0, alpha=0.8, label=front.label)
        style.label_axes(axes, x=numbers.axis(i), y=numbers.axis(j))
        all_points = [front.points for front in numbers.fronts] + ([] if numbers.truth is None else [numbers.truth])
        for number, scale in ((i, axes.set_xscale), (j, axes.set_yscale)):
            if style.log_scale_fits([points[:, number] for points in all_points]):
                scale("log")
    return _with_legend(picture, numbers)


def _parallel(numbers: ParetoFronts) -> Figure:
    picture = style.figure()
    axes = picture.subplots()
    all_points = np.concatenate([front.points for front in numbers.fronts])
    position = np.arange(numbers.objectives)
    if len(all_points):
        low, high = all_points.min(axis=0), all_points.max(axis=0)
        extent = np.where(high > low, high - low, 1.0)
        for number, front in enumerate(numbers.fronts):
            lines = axes.plot(
                position,
                (front.points - low).T / extent[:, None],
                color=style.PALETTE[number % len(style.PALETTE)],
                linewidth=0.8,
                alpha=max(0.15, min(0.8, 20 / max(len(front.points), 1))),
            )
            lines[0].set_label(front.label)
        ticks = [f"{numbers.axis(int(i))}\n{low[i]:.3g} to {high[i]:.3g}" for i in position]
        axes.set_xticks(position, ticks, fontsize="small")
    axes.set_ylabel("from smallest to largest")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis="x", color="#d8d8d8", linewidth=0.6)
    return _with_legend(picture, numbers)


def _with_legend(picture: Figure, numbers: ParetoFronts) -> Figure:
    axes = picture.axes[0]
    if numbers.title:
        axes.set_title(numbers.title, fontsize="small", loc="left")
    if not any(len(front.points) for front in numbers.fronts):
        axes.text(0.5, 0.5, "no feasible candidate", transform=axes.transAxes, ha="center", color=style.GREY)
    elif len(numbers.fronts) > 1 or numbers.truth is not None:
        axes.legend(frameon=False, fontsize="small")
    return picture
