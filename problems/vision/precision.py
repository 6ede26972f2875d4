"""Average precision of detections of squares."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from evometa.types import Scalar


def overlap(first: ArrayLike, second: ArrayLike, side: int) -> jax.Array:
    """Return the intersection over union of squares, from their corners ``[W, 2]`` and ``[N, C, 2]``, ``[N, C, W]``."""
    apart = jnp.abs(jnp.asarray(second)[:, :, None] - jnp.asarray(first)[None, None]).astype(jnp.float32)
    shared: jax.Array = jnp.prod(jnp.maximum(side - apart, 0), axis=-1)
    return shared / (2 * side**2 - shared)


def average_precision(
    scores: jax.Array, found: jax.Array, overlaps: jax.Array, wanted: jax.Array, least: float
) -> Scalar:
    """Return the mean, over what is wanted, of the precision at the score with which it is found; 0 where it is not.

    A detection belongs to the wanted square that it overlaps most, if at all by ``least``; the one with the highest
    score finds it, and any other counts against the precision.

    Args:
        scores: ``[N, W]``, of windows of N images.
        found: ``[N, W]``, which of them are detections, bool.
        overlaps: ``[N, C, W]``, intersection over union of windows and squares, 0 for squares that are not wanted.
        wanted: ``[N, C]``, bool.
        least: least overlap of a detection and what it finds.
    """
    owned = jnp.arange(overlaps.shape[1])[None, :, None] == jnp.argmax(overlaps, axis=1)[:, None]
    finds = found[:, None] & owned & (overlaps >= least)
    best = jnp.where(wanted, jnp.max(jnp.where(finds, scores[:, None], -jnp.inf), axis=2), -jnp.inf).ravel()
    hits = jnp.sum(best[None] >= best[:, None], axis=1)
    detections = jnp.sum(found.reshape(1, -1) & (scores.reshape(1, -1) >= best[:, None]), axis=1)
    precision = jnp.where(jnp.isfinite(best), hits / jnp.maximum(detections, 1), 0.0)
    return (jnp.sum(precision) / jnp.sum(wanted)).astype(jnp.float32)
