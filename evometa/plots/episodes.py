"""An episode of few-shot classification: examples, queries, and what the learner took each query for."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.plots import style


def episode(support: ArrayLike, query: ArrayLike, predicted: ArrayLike, *, most: int = 20) -> Figure:
    """Draw a column for each class: an example of it above, its queries below, framed by whether they were recognised.

    A query that was taken for another class has a red frame, and beside it the example of that class, small.

    Args:
        support: ``[ways, shots, H, W]`` examples, dark where large; the first one of each class is shown.
        query: ``[ways, queries, H, W]`` queries, in the order of their true classes.
        predicted: ``[ways, queries]`` the class that each was taken for, from 0 to ways - 1.
        most: the most classes to draw.

    Returns:
        A figure; ``figure.savefig("episode.png")`` writes it.

    Raises:
        ConfigurationError: shapes that do not fit together, or a class that there is not.
    """
    examples, queries, found = np.asarray(support), np.asarray(query), np.asarray(predicted)
    if (
        examples.ndim != 4
        or queries.ndim != 4
        or len(examples) != len(queries)
        or found.shape != queries.shape[:2]
        or not ((found >= 0) & (found < len(examples))).all()
    ):
        raise ConfigurationError(
            "episode expects support [ways, shots, H, W], query [ways, queries, H, W] and predicted [ways, queries], "
            f"each a class from 0 to ways - 1, got shapes {examples.shape}, {queries.shape} and {found.shape}, and "
            f"classes up to {found.max(initial=0)}."
        )
    columns, rows = min(len(examples), most), queries.shape[1]
    right = found == np.arange(len(examples))[:, None]
    picture = style.figure(width=max(0.62 * columns, 4.0), height=0.75 * (rows + 1) + 0.4)
    picture.suptitle(f"examples above; {right.sum()} of {right.size} queries below are recognised", fontsize="small")
    grid = picture.subplots(rows + 1, columns, squeeze=False)
    for column in range(columns):
        grid[0, column].imshow(examples[column, 0], cmap="Greys", vmin=0)
        for row in range(rows):
            axes = grid[row + 1, column]
            axes.imshow(queries[column, row], cmap="Greys", vmin=0)
            axes.spines[:].set(color=style.GREEN if right[column, row] else style.VERMILION, linewidth=2.0)
            if not right[column, row]:
                taken = axes.inset_axes((0.6, -0.05, 0.45, 0.45))
                taken.imshow(examples[found[column, row], 0], cmap="Oranges", vmin=0)
                taken.set(xticks=[], yticks=[])
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
    for axes in grid[0]:
        axes.spines[:].set_visible(False)
    return picture
