"""Plot of the predictions of a regression learner before and after a few inner steps."""

from collections.abc import Sequence
from typing import Any, Protocol

from matplotlib.figure import Figure
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.plots import style

# Stronger colours for later steps, and different dashes.
LINES = ((style.GREY, ":"), (style.ORANGE, "--"), (style.BLUE, "-"), (style.GREEN, "-."), (style.PURPLE, "-"))


class Adaptation(Protocol):
    """The numbers of one task, as computed by :func:`evometa.problems.adaptation_curves`."""

    @property
    def x(self) -> NDArray[Any]:
        """Inputs ``[N]``, ascending."""

    @property
    def truth(self) -> NDArray[Any]:
        """The true curve ``[N]``."""

    @property
    def support_x(self) -> NDArray[Any]:
        """Inputs of the training points ``[shots]``."""

    @property
    def support_y(self) -> NDArray[Any]:
        """Outputs of the training points ``[shots]``."""

    @property
    def steps(self) -> tuple[int, ...]:
        """The number of inner steps before each prediction, ascending."""

    @property
    def predictions(self) -> NDArray[Any]:
        """Predictions ``[len(steps), N]``."""

    @property
    def errors(self) -> NDArray[Any]:
        """Mean squared error of each prediction ``[len(steps)]``."""


def adaptation(curves: Adaptation | Sequence[Adaptation]) -> Figure:
    """Plot the predictions of a learner before and after a few inner steps, beside the true curve.

    ::

        keys = jax.random.split(jax.random.key(0), 3)
        curves = [em.problems.adaptation_curves(problem, result.center_omega, key) for key in keys]
        em.plots.adaptation(curves).savefig("adaptation.png")

    Args:
        curves: the numbers of one task, or of several; each has a panel, three in a row.

    Returns:
        A figure; ``figure.savefig("adaptation.png")`` writes it.

    Raises:
        ConfigurationError: an empty list.
    """
    # The numbers of one task may be a named tuple, so a sequence is recognised by its missing attribute.
    panels: list[Any] = [curves] if hasattr(curves, "predictions") else list(curves)
    if not panels:
        raise ConfigurationError("adaptation expects the curves of one or more tasks, got none.")
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    picture = style.figure(width=max(4.0 * columns, 5.5), height=3.6 * rows)
    grid = picture.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, panels, strict=False):
        axes.plot(panel.x, panel.truth, color="black", linewidth=1.6, label="truth")
        for i, (step, prediction, error) in enumerate(zip(panel.steps, panel.predictions, panel.errors, strict=True)):
            colour, dash = LINES[i % len(LINES)]
            label = f"{_label(step)} (error {error:.2g})"
            axes.plot(panel.x, prediction, color=colour, linestyle=dash, linewidth=1.6, label=label)
        axes.plot(
            panel.support_x, panel.support_y, "o", color="black", markeredgecolor="white", label="training points"
        )
        style.label_axes(axes, x="x", y="y")
        axes.label_outer()
        axes.legend(frameon=False, fontsize="x-small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return picture


def _label(step: int) -> str:
    return "before" if step == 0 else f"after {step} step{'s' if step > 1 else ''}"
