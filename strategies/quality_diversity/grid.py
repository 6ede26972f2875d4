"""A grid over behaviour space that keeps the best candidate of each cell, and the base of strategies that fill it.

Everything that happens in a generation costs O(P), whatever the number of cells: occupied cells are listed in the
order of their discovery, so that elites can be drawn without a pass over the whole grid. Letters: C cells, K measures.
"""

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evometa.errors import ConfigurationError
from evometa.feasibility import ConstraintHandling, feasible
from evometa.problem import BaseProblem
from evometa.settings import Count, Finite
from evometa.strategies.shared.vectors import refuse_unless_length, require_length
from evometa.strategy import ArchiveRecord, Feedback, Strategy
from evometa.types import Genotype, Key, Scalar

State = TypeVar("State")

REJECTED, IMPROVED, DISCOVERED = 0, 1, 2


class Elites(NamedTuple):
    """The best candidate of each cell."""

    genotypes: Genotype
    """``[C, ...]``."""
    fitness: jax.Array
    """``[C]``, to be minimised; +inf where a cell is empty."""
    measures: jax.Array
    """``[C, K]``."""
    occupied: jax.Array
    """``[C]``, int32: the cells that hold a candidate, in the order of their discovery, then anything."""
    filled: Scalar
    """How many cells hold one, int32."""


class Entry(NamedTuple):
    """The outcome of adding candidates to the archive, relative to the elites before."""

    status: jax.Array
    """``[P]``, int32: ``REJECTED``, ``IMPROVED`` (the cell's elite) or ``DISCOVERED`` (a cell)."""
    improvement: jax.Array
    """``[P]``: what it is better than the elite by, in an empty cell than ``worst_fitness``; -inf for failed ones."""


def no_elites(genotype: Genotype, cells: int, measures: int) -> Elites:
    """Return an empty archive for genotypes of the form of a given one."""
    dtype = jnp.result_type(float)
    return Elites(
        genotypes=jax.tree.map(lambda leaf: jnp.zeros((cells, *leaf.shape), leaf.dtype), genotype),
        fitness=jnp.full(cells, jnp.inf, dtype),
        measures=jnp.zeros((cells, measures), dtype),
        occupied=jnp.zeros(cells, jnp.int32),
        filled=jnp.int32(0),
    )


def pick(key: Key, elites: Elites, count: int) -> Genotype:
    """Return ``count`` elites, drawn with replacement from an archive that is not empty."""
    cell = elites.occupied[jax.random.randint(key, (count,), 0, jnp.maximum(elites.filled, 1))]
    return jax.tree.map(lambda leaf: leaf[cell], elites.genotypes)


def enter(
    elites: Elites, cell: jax.Array, genotypes: Genotype, fitness: jax.Array, measures: jax.Array, worst: float
) -> tuple[Elites, Entry]:
    """Add candidates to their cells ``[P]``: the best of each cell, and the first of equals."""
    cells, number = len(elites.fitness), lax.iota(jnp.int32, len(cell))
    before = elites.fitness[cell]
    accepted = fitness < before
    empty = jnp.isinf(before)
    status = jnp.where(accepted, jnp.where(empty, DISCOVERED, IMPROVED), REJECTED)
    improvement = jnp.where(jnp.isfinite(fitness), jnp.where(empty, worst, before) - fitness, -jnp.inf)

    now = elites.fitness.at[cell].min(fitness)
    best = accepted & (fitness == now[cell])
    first = jnp.full(cells, len(cell), jnp.int32).at[cell].min(jnp.where(best, number, len(cell)))
    wins = best & (first[cell] == number)
    to = jnp.where(wins, cell, cells)  # beyond the last cell: nowhere
    opens = wins & empty
    place = elites.filled + jnp.cumsum(opens, dtype=jnp.int32) - 1

    def put(old: jax.Array, at: jax.Array, new: jax.Array) -> jax.Array:
        return old.at[at].set(new.astype(old.dtype), mode="drop")

    kept = Elites(
        genotypes=jax.tree.map(lambda old, new: put(old, to, new), elites.genotypes, genotypes),
        fitness=now,
        measures=put(elites.measures, to, measures),
        occupied=put(elites.occupied, jnp.where(opens, place, cells), cell),
        filled=elites.filled + jnp.sum(opens, dtype=jnp.int32),
    )
    return kept, Entry(status.astype(jnp.int32), improvement)


@dataclasses.dataclass(frozen=True)
class GridStrategy(Strategy[State]):
    """What strategies that fill a grid of behaviour have in common; their state has a field ``elites``."""

    population_size: Count = 540
    """Candidates in a generation, P."""
    cells: tuple[Count, ...] = (100, 100)
    """Into how many cells the range of each measure is cut; a number for each of the K measures."""
    low: tuple[Finite, ...] = (0.0, 0.0)
    """Lower end of each measure's range; what is below counts to the first cell."""
    high: tuple[Finite, ...] = (1.0, 1.0)
    """Upper end of each measure's range; what is above counts to the last cell."""
    worst_fitness: Finite = 0.0
    """The fitness, as it is to be minimised, from which the QD score of a candidate is counted: choose it so that
    hardly any is worse. (For a problem that maximises: minus its fitness.)"""

    required_feedback: ClassVar[tuple[str, ...]] = ("measures",)
    constraint_handling: ClassVar[ConstraintHandling] = "own"

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not len(self.cells) == len(self.low) == len(self.high) > 0:
            raise ConfigurationError(
                f"{name} expects cells, low and high to have a number for each measure, got {self.cells}, {self.low} "
                f"and {self.high}."
            )
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ConfigurationError(f"{name} expects low < high for each measure, got {self.low} and {self.high}.")
        if math.prod(self.cells) >= 2**31:
            raise ConfigurationError(
                f"{name} expects fewer than 2³¹ cells, got {self.cells}, {math.prod(self.cells):,} in all; lower cells."
            )

    def problem_incompatibility(self, problem: BaseProblem) -> str | None:
        """Refuse problems with another number of measures."""
        return refuse_unless_length(self, problem, "measures", len(self.cells), "cells, low and high")

    def _empty(self, genotype: Genotype) -> Elites:
        return no_elites(genotype, math.prod(self.cells), len(self.cells))

    def _cell(self, measures: jax.Array) -> jax.Array:
        """Return the cell of each of the measures ``[P, K]``, int32 ``[P]``; the last measure varies fastest."""
        low = np.array([self.low])
        extent = np.array([self.high]) - low
        share = (measures - jnp.asarray(low, measures.dtype)) / jnp.asarray(extent, measures.dtype)
        cells = np.array([self.cells], np.int32)
        along = jnp.clip(jnp.floor(share * cells.astype(measures.dtype)), 0, cells - 1).astype(jnp.int32)
        stride = np.append(np.cumprod(cells[0, :0:-1])[::-1], 1).astype(np.int32)
        return jnp.sum(along * stride[None], axis=1, dtype=jnp.int32)

    def _enter(self, elites: Elites, genotypes: Genotype, feedback: Feedback) -> tuple[Elites, Entry]:
        """Add a population to the archive; a candidate that violates a constraint counts as failed."""
        measures = require_length(self, "measures", feedback.measures, len(self.cells), "cells, low and high")
        fitness = feedback.fitness.astype(elites.fitness.dtype)
        if feedback.constraints is not None:
            fitness = jnp.where(feasible(feedback.constraints), fitness, jnp.inf)
        # The compiler must not compute the fitness twice: what is compared below has to be the same number.
        fitness, cell = lax.optimization_barrier((fitness, self._cell(measures)))
        return enter(elites, cell, genotypes, fitness, measures, self.worst_fitness)

    def archive(self, state: Any) -> ArchiveRecord:
        """Return the elites of all cells; ``occupied`` says which hold one."""
        elites: Elites = state.elites
        occupied = jnp.isfinite(elites.fitness)
        return ArchiveRecord(elites.genotypes, elites.fitness, occupied, measures=elites.measures)

    def diagnostics(self, state: Any) -> dict[str, Scalar]:
        """Return the coverage (share of occupied cells), and the QD score (Pugh et al. 2015).

        The QD score is the sum over occupied cells of ``worst_fitness`` minus the fitness.
        """
        fitness = state.elites.fitness
        score = jnp.sum(jnp.where(jnp.isfinite(fitness), self.worst_fitness - fitness, 0.0))
        return {"coverage": state.elites.filled / np.float32(len(fitness)), "qd_score": score}
