"""Plot of a learned loss beside cross-entropy."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evometa.expressions.program import Program
from evometa.plots import style

Loss = Callable[[jax.Array, jax.Array], jax.Array]
POINTS = 200
MAX_TITLE = 80
"""Longest title in characters; longer ones are cut."""


@dataclasses.dataclass(frozen=True)
class LossCurves:
    """A loss over the predicted probability, for the right class (label 1) and a wrong one (label 0)."""

    text: str
    """The title."""
    prediction: NDArray[np.float64]
    """``[N]``, between 0 and 1."""
    loss: NDArray[np.float64]
    """``[2, N]``, for the labels 1 and 0. It is scaled to the slope of cross-entropy at 1/2 for the label 1 and shifted
    to 0 at 1/2, which makes no difference to a learner with a tuned learning rate."""
    cross_entropy: NDArray[np.float64]
    """``[2, N]``, cross-entropy, shifted to 0 at 1/2: -log p for the label 1, and 0 for the label 0, on which
    cross-entropy does not depend."""


def loss_curves(loss: Loss, title: str | None = None) -> LossCurves:
    """Compute the numbers of :func:`losses`.

    Args:
        loss: an expression or a JAX function of two arrays, prediction and label.
        title: the title; None for the text of an expression, or no title for other losses.
    """
    p = jnp.linspace(0.005, 0.995, POINTS)
    slope = float(jax.grad(lambda q: jnp.sum(loss(q, jnp.ones_like(q))))(jnp.full(1, 0.5))[0])
    scale = 2.0 / abs(slope) if slope else 1.0
    values = np.stack([np.asarray(loss(p, jnp.full_like(p, label))) for label in (1.0, 0.0)]).astype(float)
    values = scale * (values - values[:, [POINTS // 2]])
    cross_entropy = np.stack([-np.log(np.asarray(p)) + np.log(0.5), np.zeros(POINTS)]).astype(float)
    name = title if title is not None else str(loss) if isinstance(loss, Program) else ""
    return LossCurves(name, np.asarray(p, float), values, cross_entropy)


def losses(loss: Loss, title: str | None = None) -> Figure:
    """Plot a loss beside cross-entropy, over the predicted probability.

    Args:
        loss: an expression or a JAX function of two arrays, prediction and label; for a problem with a learned loss,
            ``functools.partial(problem.example_loss, omega)``.
        title: the title; None for the text of an expression, or no title for other losses.

    Returns:
        A figure; ``figure.savefig("loss.png")`` writes it.
    """
    return draw_losses(loss_curves(loss, title))


def draw_losses(curves: LossCurves) -> Figure:
    """Plot the numbers of :func:`loss_curves`: the label 1 on the left, 0 on the right."""
    picture = style.figure(height=3.4)
    picture.suptitle(curves.text if len(curves.text) < MAX_TITLE else f"{curves.text[:MAX_TITLE]}…", fontsize="small")
    for number, axes in enumerate(picture.subplots(1, 2, sharey=True)):
        axes.plot(curves.prediction, curves.cross_entropy[number], color=style.GREY, label="cross-entropy")
        axes.plot(curves.prediction, curves.loss[number], color=style.BLUE, label="found")
        style.label_axes(
            axes, x=f"probability of a class with label {1 - number}", y="loss, scaled" if number == 0 else ""
        )
        axes.set_ylim(-3.0, 5.0)
    picture.axes[0].legend(frameon=False)
    return picture
