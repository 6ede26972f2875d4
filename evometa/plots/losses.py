"""Plot of a learned loss beside the usual loss of its task."""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest
from evometa.expressions.program import Program
from evometa.plots import style

Loss = Callable[[jax.Array, jax.Array], jax.Array]
Against = Literal["cross-entropy", "binary cross-entropy", "squared error"]
POINTS = 200
MAX_TITLE = 80
"""Longest title in characters; longer ones are cut."""


class Usual(NamedTuple):
    """A usual loss, and where it is compared."""

    loss: Callable[[NDArray[np.float64], float], NDArray[np.float64]]
    slope: float
    """Its derivative at the prediction 1/2 for the label 1, without the sign."""
    low: float
    high: float
    axis: str
    """The label of the x-axis, with the place of the label's value."""


_PROBABILITY = 0.005, 0.995, "probability of a class with label {}"
USUAL: dict[str, Usual] = {
    "cross-entropy": Usual(lambda p, label: -np.log(p) if label else np.zeros_like(p), 2.0, *_PROBABILITY),
    "binary cross-entropy": Usual(lambda p, label: -np.log(p if label else 1 - p), 2.0, *_PROBABILITY),
    "squared error": Usual(lambda p, label: (p - label) ** 2, 1.0, -1.0, 2.0, "prediction for the label {}"),
}
"""Of the probabilities of a softmax, of which cross-entropy only depends on that of the right class; of the probability
of one class or its absence; of a real number."""


@dataclasses.dataclass(frozen=True)
class LossCurves:
    """A loss over the prediction, for the labels 1 and 0."""

    text: str
    """The title."""
    against: Against
    """The usual loss."""
    prediction: NDArray[np.float64]
    """``[N]``, with 1/2 in the middle."""
    loss: NDArray[np.float64]
    """``[2, N]``, for the labels 1 and 0. It is scaled to the slope of the usual loss at 1/2 for the label 1 and
    shifted to 0 at 1/2, which makes no difference to a learner with a tuned learning rate."""
    usual: NDArray[np.float64]
    """``[2, N]``, the usual loss, shifted to 0 at 1/2."""


def loss_curves(loss: Loss, title: str | None = None, *, against: Against = "cross-entropy") -> LossCurves:
    """Compute the numbers of :func:`losses`.

    Args:
        loss: an expression or a JAX function of two arrays, prediction and label.
        title: the title; None for the text of an expression, or no title for other losses.
        against: the loss that is usual for the task.

    Raises:
        ConfigurationError: an unknown usual loss.
    """
    if against not in USUAL:
        raise ConfigurationError(
            f"losses expects against to be one of {', '.join(get_args(Against))}, got {against!r}. "
            f"{nearest(str(against), USUAL)}"
        )
    usual = USUAL[against]
    p = np.linspace(usual.low, usual.high, POINTS)
    slope = float(jax.grad(lambda q: jnp.sum(loss(q, jnp.ones_like(q))))(jnp.full(1, 0.5))[0])
    scale = usual.slope / abs(slope) if slope else 1.0
    points = jnp.asarray(p, jnp.result_type(float))
    values = np.stack([np.asarray(loss(points, jnp.full_like(points, label))) for label in (1.0, 0.0)]).astype(float)
    values = scale * (values - values[:, [POINTS // 2]])
    known = np.stack([usual.loss(p, label) - usual.loss(np.array(0.5), label) for label in (1.0, 0.0)])
    name = title if title is not None else str(loss) if isinstance(loss, Program) else ""
    return LossCurves(name, against, p, values, known)


def losses(loss: Loss, title: str | None = None, *, against: Against = "cross-entropy") -> Figure:
    """Plot a loss beside the one that is usual for its task, over the prediction.

    Args:
        loss: an expression or a JAX function of two arrays, prediction and label; for a problem with a learned loss,
            ``functools.partial(problem.example_loss, omega)``.
        title: the title; None for the text of an expression, or no title for other losses.
        against: ``"cross-entropy"`` if predictions are the probabilities of a softmax, as in the problems of evometa;
            ``"binary cross-entropy"`` if each is the probability of one class by itself; ``"squared error"`` for
            regression.

    Returns:
        A figure; ``figure.savefig("loss.png")`` writes it.

    Raises:
        ConfigurationError: an unknown usual loss.
    """
    return draw_losses(loss_curves(loss, title, against=against))


def draw_losses(curves: LossCurves) -> Figure:
    """Plot the numbers of :func:`loss_curves`: the label 1 on the left, 0 on the right."""
    picture = style.figure(height=3.4)
    picture.suptitle(curves.text if len(curves.text) < MAX_TITLE else f"{curves.text[:MAX_TITLE]}…", fontsize="small")
    for number, axes in enumerate(picture.subplots(1, 2, sharey=True)):
        axes.plot(curves.prediction, curves.usual[number], color=style.GREY, label=curves.against)
        axes.plot(curves.prediction, curves.loss[number], color=style.BLUE, label="found")
        style.label_axes(axes, x=USUAL[curves.against].axis.format(1 - number), y="loss, scaled" if number == 0 else "")
        axes.set_ylim(-3.0, 5.0)
    picture.axes[0].legend(frameon=False)
    return picture
