"""The population of a run, from its newest checkpoint, without compiling a search."""

from pathlib import Path
from typing import Any

import jax

from evometa.backend.precision import precision
from evometa.backend.static_leaves import packing
from evometa.problem import BaseProblem
from evometa.search.archives import archive_from
from evometa.search.generation import root_keys
from evometa.search.resizing import maker
from evometa.search.starting import from_lists
from evometa.storage import checkpoint, result_file
from evometa.storage.manifest import Manifest
from evometa.storage.result import Archive
from evometa.strategy import Strategy


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
        space = problem.space
        if manifest.initial is not None:
            space = space.starting_at(from_lists(space, manifest.initial))
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
