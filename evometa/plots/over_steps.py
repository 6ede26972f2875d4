"""What changes from inner step to inner step: schedules, or losses of learners, side by side."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.plots import style

DASHES = ("-", "--", "-.", ":")


def over_steps(curves: Mapping[str, ArrayLike], *, y: str, title: str = "") -> Figure:
    """Draw named values over inner steps, on a logarithmic scale where that helps.

    ::

        losses = {"Adam": adam, "learned": learned}  # [S] each, or [R, S] of R repetitions
        em.plots.over_steps(losses, y="validation loss").savefig("losses.png")

    Args:
        curves: by name the values ``[S]`` after (or in) each inner step from 1 on, or of several repetitions
            ``[R, S]``, of which the median is drawn over a band from the least to the largest. Not all need be as long.
        y: what the values are.
        title: above the picture.

    Returns:
        A figure; ``figure.savefig("losses.png")`` writes it.

    Raises:
        ConfigurationError: nothing to draw, or values of another shape.
    """
    tables = {name: np.atleast_2d(np.asarray(values, np.float64)) for name, values in curves.items()}
    if not tables or any(table.ndim != 2 or not table.size for table in tables.values()):
        shapes = {name: table.shape for name, table in tables.items()}
        raise ConfigurationError(f"over_steps expects values [S] or [R, S] for each of its curves, got {shapes}.")
    picture = style.figure()
    axes = picture.subplots()
    if style.log_helps(tables.values()):
        axes.set_yscale("log")
    middles = {name: np.median(table, axis=0) for name, table in tables.items()}
    for number, (name, table) in enumerate(tables.items()):
        steps = np.arange(1, table.shape[1] + 1)
        colour = style.PALETTE[number % len(style.PALETTE)]
        axes.plot(steps, middles[name], color=colour, linestyle=DASHES[number % len(DASHES)], label=name)
        if len(table) > 1:
            axes.fill_between(steps, table.min(axis=0), table.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    style.view(axes, list(middles.values()))
    style.dress(axes, x="inner step", y=y)
    if title:
        axes.set_title(title, fontsize="small")
    axes.legend(frameon=False, fontsize="small")
    return picture
