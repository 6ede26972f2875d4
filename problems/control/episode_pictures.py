"""Pictures of episodes: frames and an animation where the environment can be drawn, curves otherwise."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from evometa.environments import Environment, Trajectory

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from evometa.plots.moving import Draw

FRAMES = 60
"""Frames of an animation, at most."""


def episode_pictures(
    environment: Environment, episodes: Mapping[str, Trajectory]
) -> "dict[str, Figure | FuncAnimation]":
    """Draw episodes beside each other.

    Args:
        environment: where they were played.
        episodes: episodes of numpy arrays, by their names, such as "before" and "after".

    Returns:
        "episode", frames or curves; and "playing", an animation, where the environment can be drawn.
    """
    if type(environment).draw is Environment.draw:
        return {"episode": _curves(episodes)}
    from evometa.plots import animation, filmstrip

    draws = {_title(name, episode): _frame_of(environment, episode) for name, episode in episodes.items()}
    longest = max(int(np.sum(episode.running)) for episode in episodes.values())
    few, many = (np.unique(np.linspace(0, longest - 1, count).astype(int)).tolist() for count in (7, FRAMES))
    return {"episode": filmstrip(draws, few), "playing": animation(draws, many)}


def _title(name: str, episode: Trajectory) -> str:
    return f"{name}: {float(np.sum(episode.rewards)):.4g}"


def _frame_of(environment: Environment, episode: Trajectory) -> "Draw":
    last = int(np.sum(episode.running)) - 1

    def draw(axes: "Axes", frame: int) -> None:
        environment.draw(axes, jax.tree.map(lambda leaf: leaf[min(frame, last)], episode.states))

    return draw


def _curves(episodes: Mapping[str, Trajectory]) -> "Figure":
    """Plot what was observed and done in each step."""
    from evometa.plots import style

    picture = style.figure(width=7.0, height=2.2 * len(episodes) + 0.4)
    for axes, (name, episode) in zip(
        picture.subplots(len(episodes), 1, squeeze=False)[:, 0], episodes.items(), strict=True
    ):
        count = int(np.sum(episode.running))
        lines = np.concatenate([_columns(episode.observations[:count]), _columns(episode.actions[:count])], axis=1)
        width = _columns(episode.observations).shape[1]
        for number, line in enumerate(lines.T):
            observed = number < width
            chosen = not observed and np.issubdtype(np.asarray(episode.actions).dtype, np.integer)
            axes.plot(
                line,
                "." if chosen else "-",  # choices that change in each step would fill the space between them
                color=style.PALETTE[1] if not observed else style.GREY,
                markersize=3,
                linewidth=0.9 if observed else 1.2,
                alpha=0.5 if observed else 1.0,
                label={0: "observations", width: "actions"}.get(number),
            )
        axes.set_title(_title(name, episode), fontsize="small")
        style.label_axes(axes, x="step", y="")
        axes.legend(fontsize="x-small", loc="upper right")
    return picture


def _columns(values: Any) -> Any:
    return np.reshape(np.asarray(values, np.float64), (len(values), -1))
