"""``evometa plot``, ``compare``, ``generalize``, ``show`` and ``list``: inspect runs; list problems and strategies."""

import dataclasses
import inspect
import json
import math
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.naming import without_modules
from evometa.search.progress import duration, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from evometa.problem import BaseProblem
    from evometa.storage.manifest import Manifest
    from evometa.storage.result import Result

# As in evometa.plots, which is not imported here since that takes longer than most commands.
X = Literal["generation", "evaluations", "inner_steps", "seconds"]


@dataclasses.dataclass(kw_only=True)
class Plot:
    """Plot the fitness of a run, the diagnostics of its strategy, and its Pareto front or archive if it has one.

    Args:
        run_directory: the run directory.
        output: the picture of the fitness; DIR/fitness.png by default. Its suffix decides the format (png, svg, pdf).
            The other pictures are written beside it, by default DIR/strategy.png, DIR/front.png and DIR/archive.png.
        x: the quantity on the x-axis.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    output: Path | None = None
    x: X = "generation"

    def execute(self) -> int:
        """Write the pictures; return the exit status."""
        from evometa import plots
        from evometa.plots.diagnostics import PREFIX
        from evometa.storage import archive_file, history

        save(plots.fitness(self.run_directory, x=self.x), self.output or self.run_directory / "fitness.png")
        if any(column.startswith(PREFIX) for column in history.read(self.run_directory).columns):
            save(plots.diagnostics(self.run_directory, x=self.x), self._beside("strategy"))
        if (self.run_directory / archive_file.ARCHIVE).exists():
            archive = archive_file.read(self.run_directory)
            if archive.objectives is not None:
                save(plots.pareto(self.run_directory), self._beside("front"))
            if archive.measures is not None:
                save(plots.archive(self.run_directory), self._beside("archive"))
        return 0

    def _beside(self, name: str) -> Path:
        if self.output is None:
            return self.run_directory / f"{name}.png"
        return self.output.with_stem(f"{self.output.stem}-{name}")


@dataclasses.dataclass(kw_only=True)
class Compare:
    """Plot several runs together; runs that differ only in their seeds become a mean with a confidence band.

    Args:
        run_directories: the run directories.
        output: the picture to write. Its suffix decides the format (png, svg, pdf).
        quantity: a column of the history; by default held_out if every run has it, otherwise the center of noisy
            problems, or best_so_far.
        x: the quantity on the x-axis.
        label: the label of each run directory, in their order; runs of one label become one curve. By default the
            strategy, with the settings in which runs of it differ.
    """

    run_directories: Annotated[Positional[tuple[Path, ...]], arg(metavar="DIR ...")]
    output: Path = Path("comparison.png")
    quantity: str | None = None
    x: X = "generation"
    label: tuple[str, ...] = ()

    def execute(self) -> int:
        """Write the picture; return the exit status."""
        from evometa import plots

        compared = groups(self.run_directories, self.label)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            picture = plots.compare(compared, quantity=self.quantity, x=self.x)
        for warning in caught:
            print(f"evometa: {warning.message}", file=sys.stderr)
        save(picture, self.output)
        return 0


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

        from evometa.cli.run import moved_to
        from evometa.search.generalization import generalization
        from evometa.search.resuming import rebuilt
        from evometa.storage.manifest import read_manifest

        if self.problem is None:
            problem = rebuilt(read_manifest(self.run_directory), "problem")
        else:
            problem = moved_to(self.problem, "problem", self.run_directory)
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


def save(figure: "Figure", path: Path) -> None:
    """Write a picture and print its path."""
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise RunDirectoryError(
            f"The picture could not be written to {path}: {error}; give --output a file in a folder that exists, "
            "with a suffix such as .png, .svg or .pdf."
        ) from None
    print(path)


def first_line(cls: type[Any]) -> str:
    """Return the first sentence of a class's docstring without markup."""
    line = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", r"\1\2", line)


def settings(directory: Path) -> list[tuple[str, str]]:
    """Return the settings of a run as names and values, from its manifest."""
    from evometa.storage.manifest import read_manifest

    manifest = read_manifest(directory)
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    rows = [("problem", _call(manifest.problem)), ("strategy", _call(manifest.strategy)), ("seed", f"{manifest.seed}")]
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
    for name, label in (("best_so_far", "best"), ("median", "median"), ("center", "center"), ("held_out", "held-out")):
        known = np.flatnonzero(np.isfinite(run[name]))
        if known.size:
            at = known[-1]
            if name == "best_so_far":  # the generation in which it was found
                at = np.flatnonzero(run[name] == run[name][at])[0]
            rows.append((label, f"{run[name][at]:.6g} (generation {run['generation'][at]:,})"))
    rows += selected(directory)
    saved = checkpoint.progress(directory)
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
    known = {"on fresh tasks": numbers["selected_fitness"], "held-out": numbers["selected_held_out"]}
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


def groups(directories: Sequence[Path], labels: Sequence[str] = ()) -> dict[str, list[Path]]:
    """Group runs under labels: given ones, or names of their strategies with the settings in which runs differ.

    A setting that another strategy lacks is no difference: only runs of the same class are compared in its settings.

    Raises:
        ConfigurationError: labels were given, and not one for each directory.
    """
    from evometa.storage.manifest import read_manifest

    if labels and len(labels) != len(directories):
        raise ConfigurationError(
            f"--label expects a label for each of the {len(directories)} run directories, got {len(labels)}."
        )
    settings = {path: _flat_settings(read_manifest(path)) for path in directories}
    differing = set()
    for key in {key for flat in settings.values() for key in flat}:
        if len({json.dumps(flat[key]) for flat in settings.values() if key in flat}) > 1:
            differing.add(key)
    labelled: dict[str, list[Path]] = {}
    for number, (path, flat) in enumerate(settings.items()):
        label = labels[number] if labels else _label(flat, differing)
        labelled.setdefault(label, []).append(path)
    return labelled


def _flat_settings(manifest: "Manifest") -> dict[tuple[str, ...], Any]:
    """Return the settings of a run, each under a key with the class that it belongs to."""
    flat: dict[tuple[str, ...], Any] = {}
    for role, description in (("problem", manifest.problem), ("strategy", manifest.strategy)):
        thing = without_modules(description)
        flat[role,] = thing["type"]
        flat |= {(role, thing["type"], name): value for name, value in thing["fields"].items()}
    return flat | {("option", flat["problem",], name): value for name, value in manifest.options.items()}


def _label(settings: dict[tuple[str, ...], Any], differing: set[tuple[str, ...]]) -> str:
    from evometa.cli.names import short_name

    names = [
        short_name(settings[role,]) for role in ("problem", "strategy") if role == "strategy" or (role,) in differing
    ]
    fields = [f"{key[-1]}={_value(value)}" for key, value in settings.items() if key in differing and len(key) > 1]
    return " ".join([*names, *fields])


def _former(change: dict[str, Any]) -> str:
    before = change["before"]
    if change["part"] in ("problem", "strategy"):
        return _call(before)
    return str(change.get("file", before))


def _call(description: dict[str, Any]) -> str:
    fields = ", ".join(f"{name}={_value(value)}" for name, value in description["fields"].items())
    return f"{description['type']}({fields})"


def _value(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"type", "fields"}:
        return _call(value).rpartition(":")[2]
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
