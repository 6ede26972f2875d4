"""Stagnation: has the fitness of a search stopped getting better, noise aside?

The history of best and median fitness is thinned out as it grows, so that its size is fixed: when the rows
are full, every second one is dropped, and from then on half as many are written. The newest tenth of the history is
compared with the tenth before it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Scalar

ROWS = 128
USUAL = 1e-11
"""The largest of the field's usual tolerances, which are made for fitness and steps around 1."""
RESOLVED = 1e-9
"""Differences of fitness that are this part of the largest one are followed under the usual tolerances."""


class Progress(NamedTuple):
    """A history of fixed size."""

    best: jax.Array
    """Best fitness of the recorded generations, ``[ROWS]``."""
    median: jax.Array
    """Median fitness, likewise."""
    rows: Scalar
    """How many are recorded, int32."""
    stride: Scalar
    """Generations from one row to the next, int32."""
    record: Scalar
    """Best fitness so far."""
    since: Scalar
    """Generations since that, int32."""


def no_progress() -> Progress:
    """Return the history before the first generation."""
    empty = jnp.full((ROWS,), jnp.inf)
    zero = jnp.int32(0)
    return Progress(empty, empty, zero, jnp.int32(1), jnp.asarray(jnp.inf, empty.dtype), zero)


def record(progress: Progress, generation: Scalar, fitness: jax.Array, size: int | Scalar) -> Progress:
    """Return the history with one more generation.

    Args:
        progress: the history.
        generation: its number, int32, counted from 1.
        fitness: ``[P]``; candidates that are not part of the population are +inf.
        size: how many are.
    """
    best = jnp.min(fitness).astype(progress.best.dtype)
    better = best < progress.record
    since = jnp.where(better, 0, progress.since + 1)

    def written() -> Progress:
        median = jnp.sort(fitness)[(size - 1) // 2].astype(progress.best.dtype)
        full = progress.rows == ROWS
        half = [jnp.concatenate([rows[1::2], rows[1::2]]) for rows in (progress.best, progress.median)]
        rows = jnp.where(full, ROWS // 2, progress.rows)
        put = [
            jnp.where(full, thinned, kept).at[rows].set(new)
            for thinned, kept, new in zip(half, (progress.best, progress.median), (best, median), strict=True)
        ]
        return Progress(put[0], put[1], rows + 1, progress.stride * jnp.where(full, 2, 1), progress.record, since)

    due = generation % progress.stride == 0
    progress = jax.lax.cond(due, written, lambda: progress._replace(since=since))
    return progress._replace(record=jnp.where(better, best, progress.record))


def spread(fitness: jax.Array) -> Scalar:
    """Return the largest minus the smallest finite fitness of a generation ``[P]``; -inf where there is none."""
    largest: Scalar = jnp.max(jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf))
    return largest - jnp.min(fitness)


def extent(before: Scalar, generation: Scalar, now: Scalar) -> Scalar:
    """Return the largest :func:`spread` of a generation so far, the scale of the fitness.

    Args:
        before: that of the generations before; +inf: unknown, in states of versions that did not record it.
        generation: the number of the newest, int32, counted from 1.
        now: its spread.
    """
    widest: Scalar = jnp.where(generation == 1, now, jnp.maximum(before, now)).astype(before.dtype)
    return widest


def tolerance(absolute: float, scale: Scalar) -> Scalar:
    """Return the difference in fitness below which a search stops.

    The field's usual tolerances are absolute, made for a fitness around 1. So a tolerance up to ``USUAL`` is lowered to
    ``RESOLVED`` times the largest difference so far, where that is less. A larger one was set for the scale of the
    problem and is kept; so is that of a fitness that has never differed.
    """
    if absolute > USUAL:
        return jnp.asarray(absolute, scale.dtype)
    least: Scalar = jnp.where(scale > 0, jnp.minimum(absolute, RESOLVED * scale), absolute)
    return least


def narrowest(tolx: float, sigma: float) -> float:
    """Return the width below which a search stops: ``tolx``; up to ``USUAL`` it is at most 1e-8 ``sigma``."""
    return tolx if tolx > USUAL else min(tolx, 1e-8 * sigma)


def patience(population_size: int | Scalar, dimension: int) -> Scalar:
    """Return the least number of generations without progress that count as stagnation (pycma's ``tolstagnation``)."""
    return jnp.asarray(100 + 100 * float(dimension) ** 1.5 / population_size)


def stagnates(progress: Progress, generation: Scalar, population_size: int | Scalar, dimension: int) -> Scalar:
    """Return whether neither best nor median fitness has improved for long; bool scalar."""
    least = patience(population_size, dimension)
    span = jnp.maximum(least / 2, generation / 5) / 2  # generations on each side of the comparison
    rows = jnp.maximum(1, jnp.floor(span / progress.stride)).astype(jnp.int32)
    late = (generation > dimension * (5 + 100 / population_size)) & (progress.since > least / 2)

    def worse(values: jax.Array) -> Scalar:
        number = jnp.arange(ROWS)

        def median(first: Scalar) -> Scalar:
            inside = (number >= first) & (number < first + rows)
            worst: Scalar = jnp.sort(jnp.where(inside, values, jnp.inf))[(rows - 1) // 2]
            return worst

        no_better: Scalar = median(progress.rows - rows) >= median(progress.rows - 2 * rows)
        return no_better

    def tested() -> Scalar:
        return (2 * rows < progress.rows) & worse(progress.median) & worse(progress.best)

    # Sorting costs more than a light generation: once in a while is often enough.
    due = late & (generation % 16 == 0)
    stagnant: Scalar = jax.lax.cond(due, tested, lambda: jnp.asarray(False))
    return stagnant


def most_generations(population_size: int | Scalar, dimension: int) -> Scalar:
    """Return after how many generations a run is not worth continuing (pycma's ``maxiter``)."""
    return jnp.asarray(100 + 150 * (dimension + 3) ** 2 / population_size**0.5)


def window(population_size: int, dimension: int) -> int:
    """Return after how many generations of unchanged best fitness a search stops."""
    return 10 + math.ceil(30 * dimension / population_size)


CELLS = 1024
"""The largest number of parts in which the best fitness of very many generations is kept."""


def empty_cells(generations: int) -> jax.Array:
    """Return the largest and the smallest best fitness of the parts of a window ``[2, N]``: there is none yet."""
    return jnp.full((2, 1 + math.ceil(generations / cell_length(generations))), jnp.inf)


def cell_length(generations: int) -> int:
    """Return how many generations a part of a window has; all parts but the one being filled span the window."""
    return math.ceil(generations / (CELLS - 1))


def record_in_cells(cells: jax.Array, generation: Scalar, fitness: jax.Array, generations: int) -> jax.Array:
    """Return the parts ``[2, N]`` of a window with the best of this generation's fitness ``[P]``.

    The largest minus the smallest number in all of them is that of the best fitness of the last ``generations``, and
    of up to two parts more; +inf or NaN before there are as many.
    """
    number, inside = jnp.divmod(generation - 1, cell_length(generations))
    at = number % cells.shape[1]
    best = jnp.min(fitness).astype(cells.dtype)
    both = jnp.stack([jnp.maximum(cells[0, at], best), jnp.minimum(cells[1, at], best)])
    return cells.at[:, at].set(jnp.where(inside == 0, best, both))
