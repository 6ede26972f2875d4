"""``evometa plot``, ``compare``, ``generalize``, ``list`` and ``show``: look at runs, and at what there is to run."""

import dataclasses
import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from evometa.errors import RunDirectoryError
from evometa.naming import without_modules
from evometa.progress import duration, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from evometa.run_directory import Manifest

# As in evometa.plots, whose import takes longer than most commands.
X = Literal["generation", "evaluations", "inner_steps", "seconds"]


@dataclasses.dataclass(kw_only=True)
class Plot:
    """Draw the fitness curves of a run, its strategy's own numbers, and the Pareto front or the archive that it keeps.

    Args:
        run_directory: the folder of the run.
        output: the picture to write; DIR/fitness.png by default. Its ending decides the format (png, svg, pdf). The
            others go beside it, to DIR/strategy.png, DIR/front.png and DIR/archive.png by default.
        x: what to count on the x-axis.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    output: Path | None = None
    x: X = "generation"

    def execute(self) -> int:
        """Draw; return the exit status."""
        from evometa import archive_file, history, plots
        from evometa.plots.diagnostics import PREFIX

        run = history.read(self.run_directory)
        save(plots.fitness(run, x=self.x), self.output or self.run_directory / "fitness.png")
        if any(column.startswith(PREFIX) for column in run.columns):
            save(plots.diagnostics(run, x=self.x), self._beside("strategy"))
        if (self.run_directory / archive_file.ARCHIVE).exists():
            kept = archive_file.read(self.run_directory)
            if kept.objectives is not None:
                save(plots.pareto(kept), self._beside("front"))
            if kept.measures is not None:
                save(plots.archive(self.run_directory), self._beside("archive"))
        return 0

    def _beside(self, name: str) -> Path:
        if self.output is None:
            return self.run_directory / f"{name}.png"
        return self.output.with_stem(f"{self.output.stem}-{name}")


@dataclasses.dataclass(kw_only=True)
class Compare:
    """Draw several runs in one picture; runs that differ by their seeds alone become a mean with a confidence band.

    Args:
        run_directories: the folders of the runs.
        output: the picture to write. Its ending decides the format (png, svg, pdf).
        quantity: a column of the history; by default held_out when every run has it, otherwise best_so_far.
        x: what to count on the x-axis.
    """

    run_directories: Annotated[Positional[tuple[Path, ...]], arg(metavar="DIR ...")]
    output: Path = Path("comparison.png")
    quantity: str | None = None
    x: X = "generation"

    def execute(self) -> int:
        """Draw; return the exit status."""
        from evometa import plots

        save(plots.compare(groups(self.run_directories), quantity=self.quantity, x=self.x), self.output)
        return 0


@dataclasses.dataclass(kw_only=True)
class List:
    """List the problems and strategies that come with evometa."""

    def execute(self) -> int:
        """Print two tables; return the exit status."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from evometa.cli_names import table

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
    """Show what a run is and how far it has come.

    Args:
        run_directory: the folder of the run.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]

    def execute(self) -> int:
        """Print a table; return the exit status."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        shown = Table.grid(padding=(0, 2))
        for name, value in [*described(self.run_directory), *reached(self.run_directory)]:
            shown.add_row(Text(name, style="bold"), Text(value))
        Console().print(shown)
        return 0


@dataclasses.dataclass(kw_only=True)
class Generalize:
    """Judge what a run has found on fresh tasks of training, held-out ones, and other distributions of tasks.

    Args:
        run_directory: the folder of the run.
        tasks: tasks of each distribution.
        seed: which tasks.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    tasks: int = 1000
    seed: int = 0

    def execute(self) -> int:
        """Print a table; return the exit status."""
        from rich.console import Console
        from rich.table import Table

        from evometa import checkpoint
        from evometa.generalization import generalization
        from evometa.search import Search

        search = Search.resume(self.run_directory, progress=False)
        done = checkpoint.progress(self.run_directory)
        if not done:
            raise RunDirectoryError(
                f"'evometa generalize' expects a run with a checkpoint, and {self.run_directory} "
                "has none; continue it with 'evometa resume'."
            )
        found = search.run(generations=int(done["generation"]))
        shown = Table("tasks", "fitness", "standard error", title=f"{self.tasks:,} of each")
        for score in generalization(search.problem, found.selected_omega, tasks=self.tasks, seed=self.seed):
            shown.add_row(score.distribution, f"{score.fitness:.6g}", f"{score.standard_error:.2g}")
        Console().print(shown)
        return 0


def save(figure: "Figure", path: Path) -> None:
    """Write a picture and say where it is."""
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise RunDirectoryError(
            f"The picture could not be written to {path}: {error}; give --output a file in a folder that exists, "
            "with an ending such as .png, .svg or .pdf."
        ) from None
    print(path)


def first_line(cls: type[Any]) -> str:
    """Return the first sentence of a class's docstring without markup."""
    line = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", r"\1\2", line)


def described(directory: Path) -> list[tuple[str, str]]:
    """Return what a run is, as names and values, from its manifest."""
    from evometa.run_directory import read_manifest

    manifest = read_manifest(directory)
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    rows = [("problem", _call(manifest.problem)), ("strategy", _call(manifest.strategy)), ("seed", f"{manifest.seed}")]
    rows += [(name.replace("_", " "), f"{value}") for name, value in manifest.options.items()]
    rows += [("created", manifest.created), ("git commit", manifest.git_commit or "none"), ("versions", versions)]
    return rows


def reached(directory: Path) -> list[tuple[str, str]]:
    """Return how far a run has come, as names and values, from its history and newest checkpoint."""
    import numpy as np

    from evometa import checkpoint, history

    try:
        run = history.read(directory)
    except RunDirectoryError:
        return [("generations", "none yet")]
    if not len(run):
        return [("generations", "none yet")]
    rows = [("generations", f"{run['generation'][-1]:,}"), ("evaluations", short(run["evaluations"][-1]))]
    rows += [("inner steps", short(run["inner_steps"][-1]))] if run["inner_steps"][-1] else []
    rows += [("seconds", duration(run.seconds[-1])), ("failed", f"{run['failed'].sum():,} candidates")]
    for name, label in (("best_so_far", "best"), ("median", "median"), ("center", "center"), ("held_out", "held-out")):
        known = np.flatnonzero(np.isfinite(run[name]))
        if known.size:
            rows.append((label, f"{run[name][known[-1]]:.6g} (generation {run['generation'][known[-1]]:,})"))
    saved = checkpoint.progress(directory)
    rows.append(("checkpoint", f"generation {saved['generation']:,}" if saved else "none"))
    if saved and saved.get("stop_reason"):
        rows.append(("stopped", str(saved["stop_reason"])))
    return rows


def groups(directories: Sequence[Path]) -> dict[str, list[Path]]:
    """Group runs that differ by their seeds alone, under labels that say how the groups differ."""
    from evometa.run_directory import read_manifest

    manifests = {path: read_manifest(path) for path in directories}
    keys = {path: _settings(manifest) for path, manifest in manifests.items()}
    differing = {
        name for key in keys.values() for name in key if len({json.dumps(k.get(name)) for k in keys.values()}) > 1
    }
    labelled: dict[str, list[Path]] = {}
    for path, key in keys.items():
        labelled.setdefault(_label(manifests[path], key, differing), []).append(path)
    return labelled


def _settings(manifest: "Manifest") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for role, description in (("problem", manifest.problem), ("strategy", manifest.strategy)):
        thing = without_modules(description)
        found[role] = thing["type"]
        found |= {f"{role}.{name}": value for name, value in thing["fields"].items()}
    return found | manifest.options


def _label(manifest: "Manifest", settings: dict[str, Any], differing: set[str]) -> str:
    from evometa.cli_names import short_name

    names = [short_name(settings[role]) for role in ("problem", "strategy") if role == "strategy" or role in differing]
    fields = [
        f"{name.rpartition('.')[2]}={_value(value)}"
        for name, value in settings.items()
        if name in differing and name not in ("problem", "strategy")
    ]
    return " ".join([*names, *fields])


def _call(description: dict[str, Any]) -> str:
    fields = ", ".join(f"{name}={_value(value)}" for name, value in description["fields"].items())
    return f"{description['type']}({fields})"


def _value(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"type", "fields"}:
        return _call(value).rpartition(":")[2]
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
