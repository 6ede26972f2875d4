"""Learned losses beside cross-entropy: what a prediction costs, and which way its gradient points."""

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
POINTS, SHOWN = 200, 80


@dataclasses.dataclass(frozen=True)
class LossCurves:
    """A loss over the probability that is predicted, for a right class and for a wrong one."""

    text: str
    """What the loss is called."""
    prediction: NDArray[np.float64]
    """``[N]``, between 0 and 1."""
    loss: NDArray[np.float64]
    """``[2, N]``: where the label is 1, and where it is 0; moved and scaled so that the slope at 1/2 towards the label
    is as large as that of cross-entropy, which no learner with a tuned learning rate notices."""
    cross_entropy: NDArray[np.float64]
    """The same of -log p for the label 1, and of 0, which is all that cross-entropy asks of a wrong class, for 0."""


def loss_curves(loss: Loss, title: str | None = None) -> LossCurves:
    """Compute what :func:`losses` draws.

    Args:
        loss: from a prediction and a label, in this order, to a loss: an expression, or any JAX function of two arrays.
        title: what it is called; None: the text of an expression, nothing for others.
    """
    p = jnp.linspace(0.005, 0.995, POINTS)
    slope = float(jax.grad(lambda q: jnp.sum(loss(q, jnp.ones_like(q))))(jnp.full(1, 0.5))[0])
    scale = 2.0 / abs(slope) if slope else 1.0
    found = np.stack([np.asarray(loss(p, jnp.full_like(p, label))) for label in (1.0, 0.0)]).astype(float)
    found = scale * (found - found[:, [POINTS // 2]])
    usual = np.stack([-np.log(np.asarray(p)) + np.log(0.5), np.zeros(POINTS)]).astype(float)
    name = title if title is not None else str(loss) if isinstance(loss, Program) else ""
    return LossCurves(name, np.asarray(p, float), found, usual)


def losses(loss: Loss, title: str | None = None) -> Figure:
    """Draw a loss of prediction and label beside cross-entropy.

    Args:
        loss: an expression, or any JAX function of two arrays: for a problem with a learned loss,
            ``functools.partial(problem.example_loss, omega)``.
        title: what it is called; None: the text of an expression, nothing for others.
    """
    return draw_losses(loss_curves(loss, title))


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
