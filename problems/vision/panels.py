"""Pictures of tasks: a row each, the examples on the left and the queries on the right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def panels(support: NDArray[Any], query: NDArray[Any], *, side: float = 1.1) -> tuple[Any, Any, Any]:
    """Draw images of examples and queries.

    Args:
        support: ``[tasks, shots, H, W]``, large values are dark.
        query: ``[tasks, queries, H', W']``
        side: of an image of a query, in inches.

    Returns:
        The figure, and the axes of the examples ``[tasks, shots]`` and of the queries ``[tasks, queries]``.
    """
    from evometa.plots import style

    rows, shots, queries = len(support), support.shape[1], query.shape[1]
    picture = style.figure(width=side * (shots + queries) + 0.4, height=side * rows + 0.3)
    grid = picture.subplots(
        rows, shots + 1 + queries, squeeze=False, gridspec_kw={"width_ratios": [1] * shots + [0.1] + [1] * queries}
    )
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
    for axes in grid[:, shots]:
        axes.set_visible(False)
    for part, images in ((grid[:, :shots], support), (grid[:, shots + 1 :], query)):
        for axes, image in zip(part.ravel(), images.reshape(-1, *images.shape[2:]), strict=True):
            axes.imshow(image, cmap="Greys", vmin=np.min(images), vmax=np.max(images))
    return picture, grid[:, :shots], grid[:, shots + 1 :]
