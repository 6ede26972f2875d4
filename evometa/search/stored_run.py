"""The run directory of a search between its runs, and continuing at the newest checkpoint in it.

What is found there is restored into the state of the run. If the run continues with another population size, the state
is brought into its form (:mod:`evometa.search.resizing`); other changes are recorded (:mod:`evometa.search.resuming`).
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from evometa.backend import ranks
from evometa.search.drift import columns_of
from evometa.search.driver import Driver
from evometa.search.generation import SearchState
from evometa.search.resizing import form_of, maker, resized
from evometa.search.resuming import Change, concerns_fitness, evaluated_again, recorded
from evometa.search.run_state import RunState
from evometa.storage import checkpoint, failures, result_file
from evometa.storage.checkpoint import Checkpoint
from evometa.storage.manifest import Manifest
from evometa.storage.result import Counters
from evometa.storage.run_directory import RunDirectory
from evometa.storage.tables import Columns
from evometa.strategy import Strategy


class StoredRun:
    """Where a search keeps its run.

    Args:
        path: the folder.
        manifest: the manifest that the folder is to have.
        known: the manifest that it has, as far as this search knows; None for a new run.
        changes: what differs from the run as it was, not recorded yet.
        overwrite: whether a new run may replace one that is there.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        *,
        known: Manifest | None = None,
        changes: list[Change] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = path
        self._manifest, self._known, self._changes, self._overwrite = manifest, known, changes or [], overwrite
        self._folder: RunDirectory | None = None

    @property
    def known(self) -> Manifest | None:
        """The manifest that the folder has from this run; None while there is none."""
        return self._known if self._folder is None else self._folder.known

    def open(self) -> RunDirectory | None:
        """Return the folder opened for writing; None on ranks that do not write.

        Raises:
            RunDirectoryError: it holds something else, another process writes to it, or it cannot be written to.
        """
        self._folder = ranks.on_first(
            lambda: RunDirectory(self.path, self._manifest, known=self.known, overwrite=self._overwrite)
        )
        return self._folder

    def restore(self, folder: RunDirectory | None, driver: Driver, run: RunState) -> None:
        """Restore the newest checkpoint of the opened folder, and have changes recorded with the next rows."""
        former = self.former_strategy(driver.strategy)
        form, columns = _form(driver, former), Columns(driver.columns, driver.trial_columns, columns_of(driver))
        _take(
            _of_first(lambda: folder.restore(form, columns) if folder is not None else None, form),
            driver,
            former,
            run,
        )
        self._read_failures(run)
        if run.calls is not None and folder is not None:
            begun = folder.known is not None
            run.calls.begin(folder, driver.initial().best_genotype, after=run.counters.candidates if begun else None)
        # The final selection comes after the last checkpoint; what it took stands in the result.
        generation = run.counters.generation
        spent = ranks.from_first(lambda: result_file.tasks_after(self.path, generation))
        run.counters.validation_tasks = max(run.counters.validation_tasks, spent)
        self._take_changes(folder, driver, run)

    def load(self, driver: Driver, run: RunState) -> None:
        """Restore the newest checkpoint; nothing is written, and no lock is needed.

        Raises:
            RunDirectoryError: there is no whole checkpoint.
        """
        former = self.former_strategy(driver.strategy)
        form = _form(driver, former)
        _take(_of_first(lambda: checkpoint.load(self.path, form), form), driver, former, run)
        self._read_failures(run)

    def former_strategy(self, strategy: Strategy[Any]) -> Strategy[Any]:
        """Return the strategy that made the newest checkpoint, which may have had another population size.

        Args:
            strategy: the strategy that the run continues with.
        """
        pending = [{"generation": math.inf, **change} for change in self._changes]
        made = [*self._manifest.changes, *pending]
        progress = None
        if any(change["part"] == "strategy" for change in made):
            progress = ranks.from_first(lambda: checkpoint.progress(self.path))
        return strategy if progress is None else maker(made, progress["generation"], strategy)

    def _read_failures(self, run: RunState) -> None:
        if run.state is not None and not run.failures and ranks.is_first():
            run.failures.update(failures.read(self.path))

    def _take_changes(self, folder: RunDirectory | None, driver: Driver, run: RunState) -> None:
        """Have changes recorded with the next rows; where they concern the fitness, evaluate the best so far again."""
        if self.known is None:
            return
        generation = run.counters.generation
        if self._changes:
            self._manifest = recorded(self._manifest, self._manifest, self._changes, generation)
            self._changes = []
            if folder is not None:
                folder.record(self._manifest)
        # Those of a process that was killed before its next checkpoint too.
        new = [change for change in self._manifest.changes if change["generation"] >= generation]
        if run.state is not None and concerns_fitness(new):
            run.state, tasks = evaluated_again(driver, run.state)
            run.counters.validation_tasks += tasks
            run.counters.center = run.counters.held_out = math.nan
            run.counters.reports = {}


def _of_first(read: Callable[[], Checkpoint | None], like: SearchState) -> Checkpoint | None:
    """Return the checkpoint that rank 0 reads, on every rank; only rank 0 needs to see the folder.

    Args:
        read: reads it.
        like: a state of its form.
    """
    found = ranks.on_first(read)
    if ranks.count() == 1:
        return found
    progress = ranks.from_first(lambda: None if found is None else found.progress)
    if progress is None:
        return None
    leaves, structure = jax.tree.flatten(like)
    own = [np.asarray(leaf) for leaf in jax.tree.leaves(found.state)] if found is not None else []
    content = ranks.broadcast(b"".join(leaf.tobytes() for leaf in own))
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in leaves]
    ends = np.cumsum([0, *sizes])
    arrays = [
        np.frombuffer(content[start:end], leaf.dtype).reshape(leaf.shape)
        for leaf, start, end in zip(leaves, ends[:-1], ends[1:], strict=True)
    ]
    return Checkpoint(jax.tree.unflatten(structure, arrays), progress)


def _form(driver: Driver, former: Strategy[Any]) -> SearchState:
    """Return a state of the form that the checkpoints of a strategy have."""
    same = former.population_size == driver.strategy.population_size
    return driver.initial() if same else form_of(driver, former)


def _take(found: Checkpoint | None, driver: Driver, former: Strategy[Any], run: RunState) -> None:
    """Take state and counters from a checkpoint of a strategy; those of the beginning where there is none."""
    state = found.state if found else None
    if found and former.population_size != driver.strategy.population_size:
        state = resized(driver, former, found.state, found.progress["generation"])
    run.state = driver.restored(state) if state is not None else None
    chunk, double = run.counters.chunk, run.counters.double
    run.counters = dataclasses.replace(Counters(**(found.progress if found else {})), chunk=chunk, double=double)
