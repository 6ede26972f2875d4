"""``load``: a run by its folder, with all that it was and all that it found."""

import functools
import os
from pathlib import Path
from typing import Any, Literal

from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.problem import BaseProblem
from evometa.search.members import population_of
from evometa.search.resuming import rebuilt
from evometa.settings import checked
from evometa.sharing.summary import progress, settings
from evometa.storage import history
from evometa.storage.data_copies import problem_with_copies, with_kept_classes
from evometa.storage.drift import read_drift
from evometa.storage.files import run_folder
from evometa.storage.manifest import Manifest, read_manifest, warn_of_changed_data
from evometa.storage.notebooks import facts_table
from evometa.storage.result import Archive, Result
from evometa.storage.result_file import load_result
from evometa.storage.trials import read_trials
from evometa.strategy import Strategy
from evometa.types import Omega


@checked
def load(
    run_directory: str | os.PathLike[str],
    *,
    problem: BaseProblem | None = None,
    strategy: Strategy[Any] | None = None,
) -> "Run":
    """Return a run, to read or to use what it found; no search is compiled, and nothing is written.

    Each part is read when it is first asked for. The run may still be going on.

    Args:
        run_directory: the folder of the run.
        problem: the problem, where its class has moved since.
        strategy: the strategy, likewise.

    Raises:
        RunDirectoryError: the folder holds no run.
    """
    folder = run_folder(run_directory)
    return Run(folder, read_manifest(folder), problem, strategy)


class Run:
    """A run that is read: what was searched, with what, and what was found. See :func:`evometa.load`."""

    def __init__(
        self, path: Path, manifest: Manifest, problem: BaseProblem | None, strategy: Strategy[Any] | None
    ) -> None:
        self.path = path
        """The run directory."""
        self.manifest = manifest
        """What was run, as ``manifest.json`` holds it: descriptions, seed, versions."""
        self._problem, self._strategy = problem, strategy

    @functools.cached_property
    def problem(self) -> BaseProblem:
        """The problem, which reads the run's copies of data files that have changed since.

        Raises:
            ConfigurationError: its class cannot be imported; the message says how to name one that has moved.
        """
        if self._problem is not None:
            return self._problem
        manifest = with_kept_classes(self.path, self.manifest)
        described = manifest._replace(problem=problem_with_copies(self.path, manifest))
        problem: BaseProblem = rebuilt(described, "problem")
        warn_of_changed_data(self.manifest, problem)
        return problem

    @functools.cached_property
    def strategy(self) -> Strategy[Any]:
        """The strategy that the run would continue with; errors as of :attr:`problem`."""
        strategy: Strategy[Any] = self._strategy if self._strategy is not None else rebuilt(self.manifest, "strategy")
        return strategy

    @property
    def seed(self) -> int:
        """The seed of the search."""
        return self.manifest.seed

    @functools.cached_property
    def history(self) -> Any:
        """One row a generation: a ``pandas.DataFrame`` where pandas is installed, otherwise a :class:`History`.

        Both give a column by its name, such as ``run.history["held_out"]``; the frame has the seconds as a column too.

        Raises:
            RunDirectoryError: there are no generations yet, or the file cannot be read.
        """
        found = history.read(self.path)
        try:
            return found.to_pandas()
        except ConfigurationError:
            return found

    @property
    def trials(self) -> Any:
        """Every candidate that was evaluated, one row each: ``pandas.read_csv`` of ``trials.csv``; read anew each time.

        Raises:
            RunDirectoryError: the run keeps no such table.
            ConfigurationError: pandas is not installed.
        """
        return read_trials(self.path)

    @property
    def drift(self) -> Any:
        """How weights moved: ``pandas.read_csv`` of ``drift.csv``, some hundreds of rows at most; read anew each time.

        Its columns are ``generation``, ``norm`` and ``distance``, Euclidean, the distance from where the search began,
        and both for each layer, such as ``norm/layers.0.kernel``.

        Raises:
            RunDirectoryError: the run keeps no such table, since ω does not consist of weights.
            ConfigurationError: pandas is not installed.
        """
        return history.as_frame(read_drift(self.path))

    @functools.cached_property
    def result(self) -> Result:
        """What was found, as ``Search.run`` returned it.

        Raises:
            RunDirectoryError: there is none yet.
        """
        return load_result(self.path, problem=self._problem)

    @property
    def best_omega(self) -> Omega:
        """The ω of the best fitness seen."""
        return self.result.best_omega

    @property
    def center_omega(self) -> Omega | None:
        """The ω in the middle of the strategy's distribution, None for strategies without one."""
        return self.result.center_omega

    @property
    def selected_omega(self) -> Omega:
        """The ω to use: the winner of the final selection."""
        return self.result.selected_omega

    @property
    def archive(self) -> Archive | None:
        """The candidates that the strategy keeps as its answer, None where that is one."""
        return self.result.archive

    @functools.cached_property
    def population(self) -> Archive | None:
        """The members that the strategy keeps from one generation to the next, with their fitness.

        None for strategies with a search distribution, whose members are drawn anew in each generation.
        """
        return population_of(self.path, self.manifest, self.problem, self.strategy)

    def export(self) -> Any:
        """Return the selected ω as others use it (:meth:`BaseProblem.export`): an optimizer, a function, a dict, ...

        Raises:
            RunDirectoryError: nothing was found.
            ConfigurationError: the problem cannot be built.
        """
        return self.problem.export(found(self, "selected"))

    def __repr__(self) -> str:
        """Return the folder, problem and strategy."""
        kinds = (described["type"].rpartition(":")[2] for described in (self.manifest.problem, self.manifest.strategy))
        return f"Run({str(self.path)!r}: {', '.join(kinds)}, seed {self.seed})"

    def _repr_html_(self) -> str:
        """Return settings and progress as a table, for notebooks."""
        return facts_table([*settings(self.path), *progress(self.path)])


Which = Literal["selected", "best", "center"]


def found(run: Run, which: Which) -> Omega:
    """Return one of the ω that a run has found.

    Raises:
        RunDirectoryError: there is none.
    """
    omega = getattr(run.result, f"{which}_omega")
    if omega is not None:
        return omega
    why = "its strategy has no center" if which == "center" else "every candidate failed; 'evometa show' says why"
    raise RunDirectoryError(f"{run.path} was expected to hold a {which} ω, and {why}.")
