"""Fitness over a run: the numbers, then the picture."""

import dataclasses
import os
from typing import Literal, get_args

import numpy as np
from matplotlib.figure import Figure

from evometa import history
from evometa.errors import ConfigurationError, nearest
from evometa.history import History
from evometa.plots import style
from evometa.plots.style import Curve

X = Literal["generation", "evaluations", "inner_steps", "seconds"]
Run = str | os.PathLike[str] | History
"""A run: its directory, or the history read from it."""


@dataclasses.dataclass(frozen=True)
class FitnessCurves:
    """The fitness of each generation, all arrays ``[G]``, with NaN where there is nothing to show."""

    x: X
    """What ``position`` counts."""
    position: Curve
    best: Curve
    """The best candidate of the generation."""
    lower_quartile: Curve
    median: Curve
    upper_quartile: Curve
    best_so_far: Curve
    center: Curve
    """The center of the strategy's distribution."""
    held_out: Curve
    """The validated ω on held-out tasks."""
    failed: Curve
    """Candidates whose fitness was not finite."""

    @property
    def better(self) -> str:
        """Which fitness is the better one, "smaller" or "larger", or "" when best and median do not tell."""
        gap = self.best - self.median
        total = float(np.sum(gap[np.isfinite(gap)]))
        return "smaller" if total < 0 else "larger" if total > 0 else ""


def load(run: Run) -> History:
    """Return the history of a run given by its directory, or as it is."""
    return run if isinstance(run, History) else history.read(run)


def positions(run: History, x: X) -> Curve:
    """Return where on the x-axis each generation ``[G]`` lies.

    Raises:
        ConfigurationError: an x-axis that does not exist.
    """
    if x not in get_args(X):
        raise ConfigurationError(
            f"x expects one of {', '.join(get_args(X))}, got {x!r}. {nearest(str(x), get_args(X))}"
        )
    return np.asarray(run.seconds if x == "seconds" else run[x], np.float64)


def fitness_curves(run: Run, *, x: X = "generation") -> FitnessCurves:
    """Compute what :func:`fitness` draws.

    Args:
        run: a run directory, or its history.
        x: what to count on the x-axis.

    Raises:
        ConfigurationError: an x-axis that does not exist.
        RunDirectoryError: there is no history there.
    """
    run = load(run)
    names = ("best", "lower_quartile", "median", "upper_quartile", "best_so_far", "center", "held_out", "failed")
    missing = np.full(len(run), np.nan)
    columns = {name: np.asarray(run[name], np.float64) if name in run else missing for name in names}
    return FitnessCurves(x=x, position=positions(run, x), **columns)


def fitness(run: Run, *, x: X = "generation") -> Figure:
    """Draw the fitness of a run: best, median and quartiles of each generation, best so far, center and held-out.

    The y-axis is logarithmic when all is positive and spans more than a decade and a half. Long runs are drawn by the
    medians of short stretches. Failed candidates, if any, are counted below.

    Args:
        run: a run directory, or its history.
        x: what to count on the x-axis.

    Returns:
        A figure; ``figure.savefig("fitness.png")`` writes it.

    Raises:
        ConfigurationError: an x-axis that does not exist.
        RunDirectoryError: there is no history there.
    """
    return draw_fitness(fitness_curves(run, x=x))


def draw_fitness(curves: FitnessCurves, *, points: int = 600) -> Figure:
    """Draw computed curves, each by at most ``points`` points."""
    failures = bool(np.any(curves.failed > 0))
    picture = style.figure(height=5.2 if failures else 4.2)
    ratios = [5, 1] if failures else [1]
    axes, *below = picture.subplots(len(ratios), sharex=True, squeeze=False, height_ratios=ratios)[:, 0]

    def thin(name: str) -> tuple[Curve, Curve]:
        # A few failures in a long stretch must stay visible; a median would lose them.
        reduce = {"best_so_far": style.last, "failed": style.mean}.get(name)
        return style.thinned(curves.position, getattr(curves, name), points, reduce)

    (x, lower), (_, upper) = thin("lower_quartile"), thin("upper_quartile")
    if np.isfinite(lower).any():
        axes.fill_between(x, lower, upper, color=style.SKY, alpha=0.3, linewidth=0, label="quartiles")
    for name, colour, width, dash in (
        ("median", style.BLUE, 1.2, "-"),
        ("best", style.ORANGE, 1.0, "-"),
        ("best_so_far", style.GREY, 1.4, "--"),
        ("center", style.GREEN, 1.6, "-"),
        ("held_out", style.VERMILION, 1.6, "-"),
    ):
        x, y = thin(name)
        if name in ("center", "held_out"):  # known every so many generations only: join what is known
            x, y = x[np.isfinite(y)], y[np.isfinite(y)]
        if not np.isfinite(y).any():
            continue
        few = np.isfinite(y).sum() <= (30 if name in ("center", "held_out") else 2)
        axes.plot(
            x,
            y,
            color=colour,
            linewidth=width,
            linestyle=dash,
            marker="o" if few else "",
            markersize=3.5,
            label=style.words(name),
        )

    shown = [curves.best, curves.best_so_far, curves.center, curves.held_out]
    band = [curves.lower_quartile, curves.median, curves.upper_quartile]
    if style.log_helps([*shown, *band]):
        axes.set_yscale("log")
    style.view(axes, shown, band)
    label = f"fitness ({curves.better} is better)" if curves.better else "fitness"
    for axis in (axes, *below):
        style.dress(axis, x=curves.x, y=label)
    if below:
        axes.set_xlabel("")
        below[0].fill_between(*thin("failed"), step="pre", color=style.VERMILION, alpha=0.6, linewidth=0)
        below[0].set_ylabel("failed")
        below[0].set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize="small", ncols=2)
    else:
        axes.text(0.5, 0.5, "no finite fitness", transform=axes.transAxes, ha="center", color=style.GREY)
    return picture
