"""Pictures of what moves: filmstrips, and animations of the same panels."""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evometa.plots import style

Draw = Callable[[Axes, int], None]
"""Draws one frame, by its number, on empty axes."""


def filmstrip(rows: Mapping[str, Draw], frames: Sequence[int], *, label: str = "step", side: float = 1.4) -> Figure:
    """Plot frames side by side, in a row for each name.

    Args:
        rows: what draws a frame, by the name of the row, such as "before" and "after".
        frames: which frames, such as steps of an episode.
        label: what the number of a frame counts.
        side: width of a frame in inches.

    Returns:
        A figure; ``figure.savefig("strip.png")`` writes it.
    """
    picture = style.figure(width=max(side * len(frames), 3.0))
    grid = picture.subplots(len(rows), len(frames), squeeze=False)
    for line, (name, draw) in zip(grid, rows.items(), strict=True):
        for axes, frame in zip(line, frames, strict=True):
            draw(axes, frame)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize="small", rotation="horizontal", ha="right", va="center")
    picture.set_figheight(side * len(rows) * _height(grid[0, 0]) + 0.4)
    for axes, frame in zip(grid[0], frames, strict=True):
        axes.set_title(f"{label} {frame:,}", fontsize="small")
    return picture


def _height(axes: Axes) -> float:
    """Return the height of a frame in widths; that of its data where both axes have one scale."""
    if axes.get_aspect() == "auto":
        return 1.0
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return min(abs(high - low) / abs(right - left), 2.0)


def animation(
    panels: Mapping[str, Draw], frames: Sequence[int], *, label: str = "step", frames_per_second: float = 20.0
) -> FuncAnimation:
    """Animate panels side by side.

    Args:
        panels: what draws a frame, by the title of the panel, such as "before" and "after".
        frames: which frames, in their order.
        label: what the number of a frame counts.
        frames_per_second: how fast they follow each other.

    Returns:
        An animation; ``animation.save("moving.gif", writer="pillow")`` writes it.
    """
    picture = style.figure(width=3.0 * len(panels), height=2.4)
    picture.set_dpi(80)
    grid = picture.subplots(1, len(panels), squeeze=False)[0]

    def show(frame: int) -> list[Axes]:
        for axes, (title, draw) in zip(grid, panels.items(), strict=True):
            axes.clear()
            draw(axes, frame)
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize="small")
        picture.supxlabel(f"{label} {frame:,}", fontsize="small")
        return list(grid)

    # Without a drawing function of its own for the first frame, matplotlib would draw that twice.
    return FuncAnimation(
        picture, show, frames=list(frames), init_func=lambda: list(grid), interval=1000 / frames_per_second
    )
