"""Plot of an episode of few-shot classification: examples, queries and predictions."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from evometa.errors import ConfigurationError
from evometa.plots import style


def episode(support: ArrayLike, query: ArrayLike, predicted: ArrayLike, *, most: int = 20) -> Figure:
    """Plot a column for each class: an example at the top and below it the queries of that class.

    Correctly classified queries have a green frame. A wrongly classified query has a red frame, with a small example of
    the predicted class beside it.

    Args:
        support: ``[ways, shots, H, W]`` examples, large values are dark; the first one of each class is shown.
        query: ``[ways, queries, H, W]`` queries, by their true class.
        predicted: ``[ways, queries]`` predicted classes, from 0 to ways - 1.
        most: the largest number of classes to draw.

    Returns:
        A figure; ``figure.savefig("episode.png")`` writes it.

    Raises:
        ConfigurationError: shapes that do not fit together, or a class that does not exist.
    """
    examples, queries, classes = np.asarray(support), np.asarray(query), np.asarray(predicted)
    if (
        examples.ndim != 4
        or queries.ndim != 4
        or len(examples) != len(queries)
        or classes.shape != queries.shape[:2]
        or not ((classes >= 0) & (classes < len(examples))).all()
    ):
        raise ConfigurationError(
            "episode expects support [ways, shots, H, W], query [ways, queries, H, W] and predicted [ways, queries], "
            f"each a class from 0 to ways - 1, got shapes {examples.shape}, {queries.shape} and {classes.shape}, and "
            f"classes up to {classes.max(initial=0)}."
        )
    columns, rows = min(len(examples), most), queries.shape[1]
    correct = classes == np.arange(len(examples))[:, None]
    picture = style.figure(width=max(0.62 * columns, 4.0), height=0.75 * (rows + 1) + 0.4)
    picture.suptitle(
        f"examples above; {correct.sum()} of {correct.size} queries below are recognised", fontsize="small"
    )
    grid = picture.subplots(rows + 1, columns, squeeze=False)
    for column in range(columns):
        grid[0, column].imshow(examples[column, 0], cmap="Greys", vmin=0)
        for row in range(rows):
            axes = grid[row + 1, column]
            axes.imshow(queries[column, row], cmap="Greys", vmin=0)
            axes.spines[:].set(color=style.GREEN if correct[column, row] else style.VERMILION, linewidth=2.0)
            if not correct[column, row]:
                inset = axes.inset_axes((0.6, -0.05, 0.45, 0.45))
                inset.imshow(examples[classes[column, row], 0], cmap="Oranges", vmin=0)
                inset.set(xticks=[], yticks=[])
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
    for axes in grid[0]:
        axes.spines[:].set_visible(False)
    return picture
