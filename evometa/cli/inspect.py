"""``evometa generalize`` and ``show``: inspect runs."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from evometa.cli.options import Workers
from evometa.errors import RunDirectoryError
from evometa.storage import seeds_file

if TYPE_CHECKING:
    from evometa.problem import BaseProblem
    from evometa.storage.result import Result


@dataclasses.dataclass(kw_only=True)
class Show:
    """Show the settings of a run and its progress, or a table of the runs of several seeds.

    Args:
        run_directory: the run directory, or the folder of several seeds.
        json: print manifest, counters and result as JSON, for scripts.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    json: bool = False

    def execute(self) -> int:
        """Print a table, or JSON; return the exit status."""
        several = (self.run_directory / seeds_file.SEEDS).is_file()
        if self.json:
            runs = {folder.name: _as_json(folder) for folder in seeds_file.expanded([self.run_directory])}
            print(json.dumps(runs if several else runs[self.run_directory.name], indent=2))
            return 0
        if several:
            print_seeds(self.run_directory)
            return 0
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from evometa.sharing.summary import progress, settings

        shown = Table.grid(padding=(0, 2))
        for name, value in [*settings(self.run_directory), *progress(self.run_directory)]:
            shown.add_row(Text(name, style="bold"), Text(value))
        Console().print(shown)
        return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generalize(Workers):
    """Evaluate the selected ω of a run on fresh training tasks, held-out tasks and shifted task distributions.

    Args:
        run_directory: the run directory.
        problem: the problem's class, file.py:Class or module:Class, if it has moved; its settings are those of the run.
        tasks: number of tasks of each distribution.
        seed: the seed of the tasks.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    problem: Annotated[str | None, arg(metavar="NAME")] = None
    tasks: int = 1000
    seed: int = 0

    def execute(self) -> int:
        """Print a table; return the exit status."""
        from rich.console import Console
        from rich.table import Table

        from evometa.search.generalization import generalization

        problem = problem_of(self.run_directory, self.problem)
        omega = found(self.run_directory, problem).selected_omega
        if omega is None:
            raise RunDirectoryError(
                f"{self.run_directory} was expected to hold a run that found something, and every candidate failed; "
                "'evometa show' says why."
            )
        scores = generalization(problem, omega, tasks=self.tasks, seed=self.seed, workers=self.chosen())
        columns = ["tasks", "fitness", "standard error", *(["failed"] if any(score.failed for score in scores) else [])]
        shown = Table(*columns, title=f"{self.tasks:,} of each")
        for score in scores:
            row = score.distribution, f"{score.fitness:.6g}", f"{score.standard_error:.2g}", f"{score.failed:,}"
            shown.add_row(*row[: len(columns)])
        reasons = [f"{score.distribution}: {score.failure}" for score in scores if score.failure]
        Console().print(shown)
        for reason in reasons:
            Console().print(reason, markup=False, highlight=False, soft_wrap=True)
        return 0


def print_seeds(directory: Path) -> None:
    """Print a table of the runs of a folder of several seeds."""
    from rich.console import Console
    from rich.table import Table

    from evometa.sharing.seeds import seeds_table

    headers, rows = seeds_table(directory)
    shown = Table(*headers, title=f"{directory}")
    for number, row in enumerate(rows):
        shown.add_row(*row, end_section=number == len(rows) - 3)
    Console().print(shown)


def problem_of(directory: Path, name: str | None) -> "BaseProblem":
    """Return the problem of a run: from its manifest, or with its settings from a class, by name, that has moved."""
    from evometa.cli.names import moved_to
    from evometa.sharing.run import load

    if name is not None:
        problem: BaseProblem = moved_to(name, "problem", directory)
        return problem
    return load(directory).problem


def found(directory: Path, problem: "BaseProblem") -> "Result":
    """Return the result of a run from its file, or for a run of an older version without one from its checkpoint."""
    from evometa.search.search import Search
    from evometa.storage import checkpoint, result_file

    if (directory / result_file.RESULT).exists():
        return result_file.load_result(directory, problem=problem)
    if not checkpoint.progress(directory):
        raise RunDirectoryError(
            f"'evometa generalize' expects a run with a checkpoint, and {directory} has none; continue it with "
            "'evometa resume'."
        )
    return Search.resume(directory, problem=problem, progress=False).result()


def _as_json(directory: Path) -> dict[str, Any]:
    """Return what is known of a run for scripts; numbers that are not finite are text."""
    from evometa.storage import checkpoint, result_file
    from evometa.storage.manifest import read_manifest
    from evometa.storage.omega_values import plain

    manifest = read_manifest(directory)._asdict()
    result = result_file.numbers(directory)
    found: dict[str, Any] = plain({"manifest": manifest, "progress": checkpoint.progress(directory), "result": result})
    return found
