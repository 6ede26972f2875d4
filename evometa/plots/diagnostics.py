"""What a strategy says of itself over a run, such as its step size or the size of its expressions."""

import dataclasses

import numpy as np
from matplotlib.figure import Figure

from evometa.errors import ConfigurationError, nearest
from evometa.plots import style
from evometa.plots.curves import Run, X, load, positions
from evometa.plots.style import Curve

PREFIX = "strategy/"
"""Of the columns of the history that hold a strategy's own numbers."""


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """A strategy's own numbers, all arrays ``[G]``."""

    x: X
    """What ``position`` counts."""
    position: Curve
    curves: dict[str, Curve]
    """By name, without the prefix."""


def strategy_diagnostics(run: Run, *names: str, x: X = "generation") -> Diagnostics:
    """Compute what :func:`diagnostics` draws.

    Args:
        run: a run directory, or its history.
        names: which, such as "mean_size"; none: all.
        x: what to count on the x-axis.

    Raises:
        ConfigurationError: a name that the history does not have, nothing to draw, or an x-axis that does not exist.
        RunDirectoryError: there is no history there.
    """
    run = load(run)
    known = [column.removeprefix(PREFIX) for column in run.columns if column.startswith(PREFIX)]
    strangers = [name for name in names if name not in known]
    if strangers or not known:
        wrong = f"got {strangers[0]!r}. {nearest(strangers[0], known)}" if strangers else "and this one says none."
        raise ConfigurationError(f"diagnostics expects numbers that the run's strategy says of itself, {wrong}")
    curves = {name: np.asarray(run[PREFIX + name], np.float64) for name in names or known}
    return Diagnostics(x, positions(run, x), curves)


def diagnostics(run: Run, *names: str, x: X = "generation") -> Figure:
    """Draw a strategy's own numbers over a run, a panel for each: σ, or how large expressions are.

    Args:
        run: a run directory, or its history.
        names: which, such as "mean_size"; none: all.
        x: what to count on the x-axis.

    Returns:
        A figure; ``figure.savefig("strategy.png")`` writes it.

    Raises:
        ConfigurationError: a name that the history does not have, nothing to draw, or an x-axis that does not exist.
        RunDirectoryError: there is no history there.
    """
    return draw_diagnostics(strategy_diagnostics(run, *names, x=x))


def draw_diagnostics(numbers: Diagnostics, *, points: int = 600) -> Figure:
    """Draw computed numbers, each by at most ``points`` points."""
    count = len(numbers.curves)
    picture = style.figure(height=0.6 + 1.8 * count)
    panels = picture.subplots(count, sharex=True, squeeze=False)[:, 0]
    for axes, (name, curve) in zip(panels, numbers.curves.items(), strict=True):
        axes.plot(*style.thinned(numbers.position, curve, points), color=style.BLUE, linewidth=1.2)
        if style.log_helps([curve]):
            axes.set_yscale("log")
        style.dress(axes, x=numbers.x, y=style.words(name))
        if axes is not panels[-1]:
            axes.set_xlabel("")
    return picture
