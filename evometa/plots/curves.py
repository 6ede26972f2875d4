"""Plot of the fitness over a run."""

import dataclasses
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from matplotlib.figure import Figure

from evometa.errors import ConfigurationError, RunDirectoryError, nearest
from evometa.plots import style
from evometa.plots.facts import NOTHING, Facts, Run, facts
from evometa.plots.style import Curve
from evometa.storage import history
from evometa.storage.history import History
from evometa.storage.manifest import MANIFEST

X = Literal["generation", "evaluations", "inner_steps", "seconds"]


@dataclasses.dataclass(frozen=True)
class FitnessCurves:
    """The fitness of each generation; all arrays are ``[G]``, with NaN for missing values."""

    x: X
    """The quantity of ``position``."""
    position: Curve
    best: Curve
    """The fitness of the generation's best candidate."""
    lower_quartile: Curve
    median: Curve
    upper_quartile: Curve
    best_so_far: Curve
    center: Curve
    """The fitness of the center of the strategy's distribution."""
    held_out: Curve
    """The fitness of the validated ω on held-out tasks."""
    failed: Curve
    """The number of candidates whose fitness was not finite."""
    known: Facts = NOTHING
    """What was run, as far as it is known."""

    @property
    def better(self) -> str:
        """Which fitness is better, "smaller" or "larger".

        Where the run does not say, it is inferred from best and median, and is "" if they do not differ.
        """
        if self.known.better:
            return self.known.better
        gap = self.best - self.median
        total = float(np.sum(gap[np.isfinite(gap)]))
        return "smaller" if total < 0 else "larger" if total > 0 else ""


def load(run: Run) -> History:
    """Return the history of a run, read from its directory if necessary.

    Raises:
        RunDirectoryError: the folder holds no history, or one without a generation.
    """
    if isinstance(run, History):
        return run
    begun = (Path(run) / MANIFEST).exists() and not (Path(run) / history.HISTORY).exists()
    found = None if begun else history.read(run)
    if found is None or not len(found):
        raise RunDirectoryError(
            f"A plot expects a run with at least one generation, and {run} has none yet; wait for its first dispatch, "
            "or continue the run with 'evometa resume'."
        )
    return found


def positions(run: History, x: X) -> Curve:
    """Return the position of each generation on the x-axis, ``[G]``.

    Raises:
        ConfigurationError: an x-axis that does not exist.
    """
    if x not in get_args(X):
        raise ConfigurationError(
            f"x expects one of {', '.join(get_args(X))}, got {x!r}. {nearest(str(x), get_args(X))}"
        )
    return np.asarray(run.seconds if x == "seconds" else run[x], np.float64)


def fitness_curves(run: Run, *, x: X = "generation") -> FitnessCurves:
    """Compute the numbers of :func:`fitness`.

    Args:
        run: a run directory, or its history.
        x: the quantity on the x-axis.

    Raises:
        ConfigurationError: an x-axis that does not exist.
        RunDirectoryError: the folder holds no history.
    """
    known, run = facts(run), load(run)
    names = ("best", "lower_quartile", "median", "upper_quartile", "best_so_far", "center", "held_out", "failed")
    missing = np.full(len(run), np.nan)
    columns = {name: np.asarray(run[name], np.float64) if name in run else missing for name in names}
    return FitnessCurves(x=x, position=positions(run, x), **columns, known=known)


def fitness(run: Run, *, x: X = "generation") -> Figure:
    """Plot the fitness of a run: best, median and quartiles of each generation, best so far, center and held-out.

    The y-axis is logarithmic if all values are positive and span more than a decade and a half. Long runs are
    downsampled by medians of equally many consecutive generations. The number of failed candidates, if any, has a panel
    below. The picture of a run directory has a title, and where its problem is noisy it lacks the best so far, which
    would be the luckiest evaluation.

    Args:
        run: a run directory, or its history.
        x: the quantity on the x-axis.

    Returns:
        A figure; ``figure.savefig("fitness.png")`` writes it.

    Raises:
        ConfigurationError: an x-axis that does not exist.
        RunDirectoryError: the folder holds no history.
    """
    return draw_fitness(fitness_curves(run, x=x))


def draw_fitness(curves: FitnessCurves, *, points: int = 600) -> Figure:
    """Plot the numbers of :func:`fitness_curves`, with at most ``points`` points per curve."""
    failures = bool(np.any(curves.failed > 0))
    picture = style.figure(height=5.2 if failures else 4.2)
    ratios = [5, 1] if failures else [1]
    axes, *below = picture.subplots(len(ratios), sharex=True, squeeze=False, height_ratios=ratios)[:, 0]

    def downsample(name: str) -> tuple[Curve, Curve]:
        # A few failures among many generations must stay visible; a median would hide them.
        reduce = {"best_so_far": style.last, "failed": style.mean}.get(name)
        return style.downsample(curves.position, getattr(curves, name), points, reduce)

    (x, lower), (_, upper) = downsample("lower_quartile"), downsample("upper_quartile")
    if np.isfinite(lower).any():
        axes.fill_between(x, lower, upper, color=style.SKY, alpha=0.3, linewidth=0, label="quartiles")
    title = curves.known.title
    if title:
        axes.set_title(title, fontsize="small", loc="left")
    hidden = ("best_so_far",) if curves.known.noisy else ()
    for name, colour, width, dash in (
        ("median", style.BLUE, 1.2, "-"),
        ("best", style.ORANGE, 1.0, "-"),
        ("best_so_far", style.GREY, 1.4, "--"),
        ("center", style.GREEN, 1.6, "-"),
        ("held_out", style.VERMILION, 1.6, "-"),
    ):
        if name in hidden:
            continue
        x, y = downsample(name)
        if name in ("center", "held_out"):  # only known in some generations: connect these
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
            label=style.readable(name),
        )

    shown = [curves.best, curves.center, curves.held_out, *([] if hidden else [curves.best_so_far])]
    band = [curves.lower_quartile, curves.median, curves.upper_quartile]
    if style.log_scale_fits([*shown, *band]):
        axes.set_yscale("log")
    style.limit_y_axis(axes, shown, band)
    label = f"fitness ({curves.better} is better)" if curves.better else "fitness"
    for axis in (axes, *below):
        style.label_axes(axis, x=curves.x, y=label)
    if below:
        axes.set_xlabel("")
        below[0].fill_between(*downsample("failed"), step="pre", color=style.VERMILION, alpha=0.6, linewidth=0)
        below[0].set_ylabel("failed")
        below[0].set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(framealpha=0.8, edgecolor="none", fontsize="small", ncols=2)  # readable above curves
    else:
        axes.text(0.5, 0.5, "no finite fitness", transform=axes.transAxes, ha="center", color=style.GREY)
    return picture
