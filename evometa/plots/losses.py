"""Learned losses beside cross-entropy: what a prediction costs, and which way its gradient points."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evometa.expressions.program import Program
from evometa.plots import style

POINTS, SHOWN = 200, 80


@dataclasses.dataclass(frozen=True)
class LossCurves:
    """A loss over the probability that is predicted, for a right class and for a wrong one."""

    text: str
    """The expression."""
    prediction: NDArray[np.float64]
    """``[N]``, between 0 and 1."""
    loss: NDArray[np.float64]
    """``[2, N]``: where the label is 1, and where it is 0; moved and scaled so that the slope at 1/2 towards the label
    is as large as that of cross-entropy, which no learner with a tuned learning rate notices."""
    cross_entropy: NDArray[np.float64]
    """The same of -log p for the label 1, and of 0, which is all that cross-entropy asks of a wrong class, for 0."""


def loss_curves(loss: Program) -> LossCurves:
    """Compute what :func:`losses` draws.

    Args:
        loss: an expression over a prediction and a label, in this order.
    """
    p = jnp.linspace(0.005, 0.995, POINTS)
    slope = float(jax.grad(lambda q: loss(q, jnp.ones(())))(jnp.asarray(0.5)))
    scale = 2.0 / abs(slope) if slope else 1.0
    found = np.stack([np.asarray(loss(p, jnp.full_like(p, label))) for label in (1.0, 0.0)]).astype(float)
    found = scale * (found - found[:, [POINTS // 2]])
    usual = np.stack([-np.log(np.asarray(p)) + np.log(0.5), np.zeros(POINTS)]).astype(float)
    return LossCurves(str(loss), np.asarray(p, float), found, usual)


def losses(loss: Program) -> Figure:
    """Draw an expression over prediction and label beside cross-entropy.

    Args:
        loss: the expression.
    """
    return draw_losses(loss_curves(loss))


def draw_losses(curves: LossCurves) -> Figure:
    """Draw computed curves: the label 1 on the left, 0 on the right."""
    picture = style.figure(height=3.4)
    picture.suptitle(curves.text if len(curves.text) < SHOWN else f"{curves.text[:SHOWN]}…", fontsize="small")
    for number, axes in enumerate(picture.subplots(1, 2, sharey=True)):
        axes.plot(curves.prediction, curves.cross_entropy[number], color=style.GREY, label="cross-entropy")
        axes.plot(curves.prediction, curves.loss[number], color=style.BLUE, label="found")
        style.dress(axes, x=f"probability of a class with label {1 - number}", y="loss, scaled" if number == 0 else "")
        axes.set_ylim(-3.0, 5.0)
    picture.axes[0].legend(frameon=False)
    return picture
