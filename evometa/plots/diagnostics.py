"""Plot of the numbers that a strategy records, such as its step size or the size of its expressions."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from evometa.errors import ConfigurationError, nearest
from evometa.plots import style
from evometa.plots.curves import X, load, positions
from evometa.plots.facts import Run, facts
from evometa.plots.style import Curve

PREFIX = "strategy/"
"""Prefix of the history's columns that hold the strategy's numbers."""


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """The numbers that a strategy records; all arrays are ``[G]``."""

    x: X
    """The quantity of ``position``."""
    position: Curve
    curves: dict[str, Curve]
    """By name, without the prefix."""
    title: str = ""


def strategy_diagnostics(run: Run, *names: str, x: X = "generation") -> Diagnostics:
    """Compute the numbers of :func:`diagnostics`.

    Args:
        run: a run directory, or its history.
        names: the numbers to plot, such as "mean_size"; none for all that change.
        x: the quantity on the x-axis.

    Raises:
        ConfigurationError: a name that the history does not have, a strategy without numbers, or an unknown x-axis.
        RunDirectoryError: the folder holds no history.
    """
    title, run = facts(run).title, load(run)
    known = [column.removeprefix(PREFIX) for column in run.columns if column.startswith(PREFIX)]
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        reason = f"got {unknown[0]!r}. {nearest(unknown[0], known)}" if unknown else "and this one records none."
        raise ConfigurationError(f"diagnostics expects numbers that the run's strategy records, {reason}")
    curves = {name: np.asarray(run[PREFIX + name], np.float64) for name in names or known}
    changing = {name: curve for name, curve in curves.items() if len(np.unique(curve[np.isfinite(curve)])) > 1}
    return Diagnostics(x, positions(run, x), curves if names else changing or curves, title)


def diagnostics(run: Run, *names: str, x: X = "generation") -> Figure:
    """Plot the numbers that a strategy records, such as σ or the size of expressions, each in a panel.

    Args:
        run: a run directory, or its history.
        names: the numbers to plot, such as "mean_size"; none for all that change.
        x: the quantity on the x-axis.

    Returns:
        A figure; ``figure.savefig("strategy.png")`` writes it.

    Raises:
        ConfigurationError: a name that the history does not have, a strategy without numbers, or an unknown x-axis.
        RunDirectoryError: the folder holds no history.
    """
    return draw_diagnostics(strategy_diagnostics(run, *names, x=x))


def draw_diagnostics(numbers: Diagnostics, *, points: int = 600) -> Figure:
    """Plot the numbers of :func:`strategy_diagnostics`, with at most ``points`` points per curve."""
    count = len(numbers.curves)
    picture = style.figure(height=0.6 + 1.8 * count)
    panels = picture.subplots(count, sharex=True, squeeze=False)[:, 0]
    for axes, (name, curve) in zip(panels, numbers.curves.items(), strict=True):
        axes.plot(*style.downsample(numbers.position, curve, points), color=style.BLUE, linewidth=1.2)
        if style.log_scale_fits([curve]):
            axes.set_yscale("log")
        style.label_axes(axes, x=numbers.x, y=style.readable(name))
        if axes is not panels[-1]:
            axes.set_xlabel("")
    panels[0].set_title(numbers.title, fontsize="small", loc="left")
    picture.align_ylabels()
    return picture
