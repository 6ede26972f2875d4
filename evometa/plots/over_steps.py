"""Plot of values over inner steps, such as schedules or the losses of learners."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.plots import style

DASHES = ("-", "--", "-.", ":")


def over_steps(
    curves: Mapping[str, ArrayLike], *, y: str, steps: Sequence[int] | None = None, title: str = ""
) -> Figure:
    """Plot named values over inner steps, on a logarithmic scale if they are positive and span more than 1.5 decades.

    ::

        losses = {"Adam": adam, "learned": learned}  # [S] each, or [R, S] of R repetitions
        em.plots.over_steps(losses, y="validation loss").savefig("losses.png")

    Args:
        curves: name -> values ``[S]`` of each inner step, or ``[R, S]`` of R repetitions, which are drawn as their
            median and a band from the smallest to the largest value.
        y: the label of the y-axis.
        steps: the inner steps of the values, ``[S]``; None for every step from 1 on.
        title: the title.

    Returns:
        A figure; ``figure.savefig("losses.png")`` writes it.

    Raises:
        ConfigurationError: no curves, values of another shape, or not as many steps as values.
    """
    tables = {name: np.atleast_2d(np.asarray(values, np.float64)) for name, values in curves.items()}
    shapes = {name: table.shape for name, table in tables.items()}
    if not tables or any(table.ndim != 2 or not table.size for table in tables.values()):
        raise ConfigurationError(f"over_steps expects values [S] or [R, S] for each of its curves, got {shapes}.")
    if steps is not None and any(shape[1] != len(steps) for shape in shapes.values()):
        raise ConfigurationError(
            f"over_steps expects as many values in each curve as there are steps, got {len(steps)} and {shapes}."
        )
    picture = style.figure()
    axes = picture.subplots()
    if style.log_scale_fits(tables.values()):
        axes.set_yscale("log")
    medians = {name: np.median(table, axis=0) for name, table in tables.items()}
    for number, (name, table) in enumerate(tables.items()):
        at = np.arange(1, table.shape[1] + 1) if steps is None else np.asarray(steps)
        colour = style.PALETTE[number % len(style.PALETTE)]
        axes.plot(at, medians[name], color=colour, linestyle=DASHES[number % len(DASHES)], label=name)
        if len(table) > 1:
            axes.fill_between(at, table.min(axis=0), table.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    style.limit_y_axis(axes, list(medians.values()))
    style.label_axes(axes, x="inner step", y=y)
    if title:
        axes.set_title(title, fontsize="small")
    axes.legend(frameon=False, fontsize="small")
    return picture
