"""The population of a run, from its newest checkpoint, and the ω at which it began, without compiling a search."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from evometa.backend.precision import precision
from evometa.backend.static_leaves import packing, unpack
from evometa.problem import BaseProblem
from evometa.search.archives import archive_from
from evometa.search.generation import first_center, root_keys
from evometa.search.resizing import maker
from evometa.search.starting import from_lists, index_of_start
from evometa.spaces import Space
from evometa.storage import checkpoint, result_file
from evometa.storage.manifest import Manifest
from evometa.storage.result import Archive
from evometa.strategy import Strategy
from evometa.types import Key, Omega


def population_of(folder: Path, manifest: Manifest, problem: BaseProblem, strategy: Strategy[Any]) -> Archive | None:
    """Return the members that the strategy of a run keeps; None where it keeps none, or before the first generation.

    Args:
        folder: the run directory.
        manifest: its manifest.
        problem: the problem.
        strategy: the strategy that the run would continue with.

    Raises:
        RunDirectoryError: every checkpoint is damaged, or of another problem or strategy.
    """
    progress = checkpoint.progress(folder)
    if progress is None:
        return None
    strategy = maker(list(manifest.changes), progress["generation"], strategy)
    with precision(double=progress.get("double", False)):
        space = space_of(manifest, problem)
        initial = jax.jit(lambda key: strategy.init(key, space))(root_keys(manifest.seed).start)
        if strategy.population(initial) is None:
            return None
        saved = checkpoint.load(folder, initial, "strategy")
        record = strategy.population(saved.state) if saved else None
        if record is None:
            return None
        omegas = jax.vmap(packing(lambda genotype: space.decode(space.repair(genotype))))(record.genotypes)
        numbers = result_file.numbers(folder) or {}
        constrained = numbers.get("best_feasible") is not None
        return archive_from(record, omegas, problem, strategy, constrained=constrained)


def first_omega(folder: Path, manifest: Manifest, problem: BaseProblem, strategy: Strategy[Any]) -> Omega | None:
    """Return the ω at which a run began: the center of the strategy's first distribution, or the start itself.

    None where that is not known: of runs of older versions that began at the best of several points.

    Args:
        folder: the run directory.
        manifest: its manifest.
        problem: the problem.
        strategy: the strategy.
    """
    progress = checkpoint.progress(folder) or {}
    with precision(double=progress.get("double", False)):
        space = space_of(manifest, problem)
        first = index_of_start(space, progress.get("start"))
        if first is None:
            return None

        def begin(key: Key) -> Omega:
            return space.decode(space.repair(first_center(strategy, space, key, jnp.int32(first))))

        return unpack(jax.device_get(jax.jit(packing(begin))(root_keys(manifest.seed).start)))


def space_of(manifest: Manifest, problem: BaseProblem) -> Space:
    """Return the space of a problem, which begins where the run of a manifest did."""
    space = problem.space
    if manifest.initial is None:
        return space
    return space.starting_at(from_lists(space, manifest.initial), ordered=manifest.start is not None)
