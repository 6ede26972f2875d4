"""``evometa generalize``, ``show`` and ``list``: inspect runs; list problems and strategies."""

import dataclasses
import inspect
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from evometa.errors import RunDirectoryError
from evometa.search.progress import duration, short

MOST = 32
"""Values of a setting that are written out."""

if TYPE_CHECKING:
    from evometa.problem import BaseProblem
    from evometa.storage.result import Result


@dataclasses.dataclass(kw_only=True)
class List:
    """List the problems and strategies that come with evometa."""

    def execute(self) -> int:
        """Print two tables; return the exit status."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from evometa.cli.names import table

        problems = Table("name", "branch of meta-learning", "ω: what is learned", "learner", "paper", title="problems")
        for name, cls in table("problem").items():
            card = cls.card
            problems.add_row(*map(Text, (name, card.branch, card.omega, card.learner, card.paper)))
        strategies = Table("name", "what it is", title="strategies")
        for name, cls in table("strategy").items():
            strategies.add_row(*map(Text, (name, first_line(cls))))
        for shown in (problems, strategies):
            shown.columns[0].no_wrap = True
            Console().print(shown)
        return 0


@dataclasses.dataclass(kw_only=True)
class Show:
    """Show the settings of a run and its progress.

    Args:
        run_directory: the run directory.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]

    def execute(self) -> int:
        """Print a table; return the exit status."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        shown = Table.grid(padding=(0, 2))
        for name, value in [*settings(self.run_directory), *progress(self.run_directory)]:
            shown.add_row(Text(name, style="bold"), Text(value))
        Console().print(shown)
        return 0


@dataclasses.dataclass(kw_only=True)
class Generalize:
    """Evaluate the selected ω of a run on fresh training tasks, held-out tasks and shifted task distributions.

    Args:
        run_directory: the run directory.
        problem: the problem's class, file.py:Class or module:Class, if it has moved; its settings are those of the run.
        tasks: number of tasks of each distribution.
        seed: the seed of the tasks.
        workers: number of worker processes for a problem in plain Python; one per core by default.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    problem: Annotated[str | None, arg(metavar="NAME")] = None
    tasks: int = 1000
    seed: int = 0
    workers: int | None = None

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
        scores = generalization(problem, omega, tasks=self.tasks, seed=self.seed, workers=self.workers)
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


def problem_of(directory: Path, name: str | None) -> "BaseProblem":
    """Return the problem of a run: from its manifest, or with its settings from a class, by name, that has moved."""
    from evometa.cli.names import moved_to
    from evometa.search.resuming import rebuilt
    from evometa.storage.data_copies import problem_with_copies
    from evometa.storage.manifest import read_manifest

    if name is not None:
        problem: BaseProblem = moved_to(name, "problem", directory)
        return problem
    manifest = read_manifest(directory)
    problem = rebuilt(manifest._replace(problem=problem_with_copies(directory, manifest)), "problem")
    return problem


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


def first_line(cls: type[Any]) -> str:
    """Return the first sentence of a class's docstring without markup."""
    line = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", r"\1\2", line)


def settings(directory: Path) -> list[tuple[str, str]]:
    """Return the settings of a run as names and values, from its manifest."""
    from evometa.storage.manifest import read_manifest

    manifest = read_manifest(directory)
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    rows = [
        ("problem", call_in_words(manifest.problem)),
        ("strategy", call_in_words(manifest.strategy)),
        ("seed", f"{manifest.seed}"),
    ]
    rows += [(name.replace("_", " "), f"{value}") for name, value in manifest.options.items()]
    rows += [
        ("changed", f"at generation {change['generation']:,}: {change['part']}, before {_former(change)}")
        for change in manifest.changes
    ]
    rows += [("created", manifest.created), ("git commit", manifest.git_commit or "none"), ("versions", versions)]
    return rows


def progress(directory: Path) -> list[tuple[str, str]]:
    """Return the progress of a run as names and values, from its history and newest checkpoint."""
    import numpy as np

    from evometa.storage import checkpoint, failures, history

    kinds = failures.counts(failures.read(directory))
    shown = "; ".join(f"{count:,} x {kind}" for kind, count in list(kinds.items())[:3])
    more = f"; {len(kinds) - 3} more kinds" if len(kinds) > 3 else ""
    failing = [("failures", f"{shown}{more} (tracebacks in {failures.FAILURES})")] if kinds else []
    try:
        run = history.read(directory)
    except RunDirectoryError:
        return [("generations", "none yet"), *failing]
    if not len(run):
        return [("generations", "none yet"), *failing]
    rows = [("generations", f"{run['generation'][-1]:,}"), ("evaluations", short(run["evaluations"][-1]))]
    rows += [("inner steps", short(run["inner_steps"][-1]))] if run["inner_steps"][-1] else []
    rows += [("seconds", duration(run.seconds[-1])), ("failed", f"{run['failed'].sum():,} candidates")]
    rows += failing
    saved = checkpoint.progress(directory)
    averaged = saved.get("center_tasks", 0) if saved else 0
    for name, label in (("best_so_far", "best"), ("median", "median"), ("center", "center"), ("held_out", "held-out")):
        known = np.flatnonzero(np.isfinite(run[name]))
        if known.size:
            at = known[-1]
            if name == "best_so_far":  # the generation in which it was found
                at = np.flatnonzero(run[name] == run[name][at])[0]
            of = f", {averaged:,} task{'s' * (averaged > 1)}" if averaged and name in ("center", "held_out") else ""
            rows.append((label, f"{run[name][at]:.6g} (generation {run['generation'][at]:,}{of})"))
    rows += selected(directory)
    rows.append(("checkpoint", f"generation {saved['generation']:,}" if saved else "none"))
    if saved and saved.get("stop_reason"):
        rows.append(("stopped", str(saved["stop_reason"])))
    return rows


def selected(directory: Path) -> list[tuple[str, str]]:
    """Return the direction of a run and the fitness of its selected candidate, as names and values, where known."""
    from evometa.storage import result_file

    numbers = result_file.numbers(directory)
    if numbers is None:
        return []
    tasks = numbers["selection_tasks"]
    of = f"{tasks:,} " if tasks else ""
    known = {
        f"on {of}fresh task{'s' * (tasks != 1)}": numbers["selected_fitness"],
        "held-out": numbers["selected_held_out"],
    }
    words = [f"{value:.6g} {name}" for name, value in known.items() if math.isfinite(value)]
    rows = [("selected", f"{', '.join(words)} (generation {numbers['generations']:,})")] if words else []
    text = result_file.found_text(directory)
    rows += [("found", text)] if text else []
    spent = f"{short(numbers['validation_evaluations'])} evaluations"
    if numbers["best_feasible"] is not None:
        rows.append(("constraints", constraints_in_words(numbers["best_feasible"])))
    return [("direction", numbers["direction"]), *rows, ("validation", spent)]


def constraints_in_words(feasible: bool) -> str:
    """Return whether the best of a search keeps the constraints, in words."""
    return "kept by the best" if feasible else "violated by every candidate; best_omega violates them least"


def _former(change: dict[str, Any]) -> str:
    before = change["before"]
    if change["part"] in ("problem", "strategy"):
        return call_in_words(before)
    return str(change.get("file", before))


def call_in_words(description: dict[str, Any]) -> str:
    """Return a problem or strategy of a manifest with its settings, as Python writes it."""
    fields = ", ".join(f"{name}={value_in_words(value)}" for name, value in description["fields"].items())
    return f"{description['type']}({fields})"


def value_in_words(value: Any) -> str:
    """Return a setting of a manifest as Python writes it."""
    if isinstance(value, dict) and set(value) == {"type", "fields"}:
        return call_in_words(value).rpartition(":")[2]
    if isinstance(value, list) and len(value) > MOST:
        return f"[{len(value)} values]"
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
