"""What a learner still knows along a stream of parts that it learns one after the other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.backend.static_leaves import unpack
from evometa.inner_training import begin, train
from evometa.problem import InnerTraining
from evometa.types import Key, Learner, Omega, Scalar, Task


def along_stream(
    problem: InnerTraining, key: Key, omega: Omega, task: Task, parts: int, measure: Callable[[Learner], jax.Array]
) -> jax.Array:
    """Train a learner, and measure something of it after each of ``parts`` equal runs of steps, ``[parts, ...]``."""
    each = problem.inner_steps // parts

    def learn(learner: Learner, number: Scalar) -> tuple[Learner, jax.Array]:
        learner = train(problem, key, omega, task, learner, number * each, each)
        return learner, measure(unpack(learner))

    return jax.lax.scan(learn, begin(problem, key, omega, task), jnp.arange(parts))[1]


def so_far(found: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over the parts learned so far, ``[..., K]``, of a figure of each after each, ``[..., K, K]``."""
    learned = np.tri(found.shape[-1], dtype=bool)
    return np.asarray(np.mean(found, axis=-1, where=learned), np.float32)


def forgetting_curves(found: NDArray[np.float32], *, x: str, y: str) -> Any:
    """Draw what is known of all parts so far, and of the first, after each part of a stream.

    Args:
        found: ``[streams, K, K]``, a figure of each part (last axis) after each part that was learned.
        x: what the parts are.
        y: what the figure is.
    """
    from matplotlib.ticker import MaxNLocator

    from evometa.plots import style

    picture = style.figure(width=6.0, height=3.2)
    axes, learned = picture.subplots(), np.arange(1, found.shape[-1] + 1)
    axes.plot(learned, so_far(found).mean(axis=0), color=style.BLUE, marker=".", label="all so far")
    axes.plot(learned, found[:, :, 0].mean(axis=0), color=style.ORANGE, label="the first")
    style.label_axes(axes, x=x, y=y)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")
    return picture
