"""Candidates that a strategy keeps, as users see them: ω beside genotypes, in the problem's own direction."""

from typing import Any

import jax
import numpy as np

from evometa.backend.static_leaves import unpack
from evometa.feasibility import worst_feasible
from evometa.problem import BaseProblem, sign_of
from evometa.storage.result import Archive
from evometa.strategy import ArchiveRecord, Strategy
from evometa.types import Omega


def archive_from(
    record: ArchiveRecord, omegas: Omega, problem: BaseProblem, strategy: Strategy[Any], *, constrained: bool
) -> Archive:
    """Return the candidates in the occupied places of a record.

    Args:
        record: what :meth:`Strategy.archive` or :meth:`Strategy.population` returned; N places.
        omegas: the ω of all places, packed, leaves ``[N, ...]``.
        problem: the problem.
        strategy: the strategy.
        constrained: whether the problem has constraints.
    """
    occupied = np.asarray(record.occupied)
    every = record, omegas
    kept, omegas = jax.tree.map(lambda leaf: np.asarray(leaf)[occupied], every)
    sign, own = sign_of(problem), strategy.objective_names
    if strategy.constraint_handling == "ranked" and constrained:
        # A strategy's number for a candidate that violates constraints is no fitness.
        told = kept.fitness
        kept = kept._replace(fitness=np.where(told > worst_feasible(told.dtype), np.nan, told))
    signs: Any = np.where(np.arange(len(own)) > 0, 1.0, sign) if own else sign
    return Archive(
        omegas=unpack(omegas),
        genotypes=kept.genotypes,
        fitness=sign * kept.fitness,
        objectives=None if kept.objectives is None else signs * kept.objectives,
        constraints=kept.constraints,
        measures=kept.measures,
        objective_names=own or problem.objective_names,
    )
