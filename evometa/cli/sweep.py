"""``evometa sweep``: several strategies, settings and seeds on one problem, a run directory each under one folder."""

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from evometa.cli.options import Execution, Limits, joined
from evometa.errors import ConfigurationError, RunDirectoryError, nearest
from evometa.naming.words import kebab

if TYPE_CHECKING:
    from evometa.sharing.sweeps import Plan

OF_THE_SWEEP = {
    "--seed": "say how many with --seeds",
    "--run-directory": "say where all runs go with --directory",
    "--overwrite": "choose another --directory, or remove the sweep that is there",
}
"""Options of 'evometa run' that a sweep gives itself, and what to do instead."""

Command = Callable[[Sequence[str]], int]
"""Runs a command line, given its words after ``evometa``, and returns its exit status."""


@dataclasses.dataclass(kw_only=True)
class Sweep:
    """Run several strategies, settings and seeds on one problem; all other options are those of 'evometa run'.

    Each run has a directory of its own in the sweep's. 'evometa resume' with the sweep's directory, or the same command
    again, continues what is not finished. A ranked table comes at the end; 'evometa report DIR/*' compares the runs.

    Args:
        problem: a name from 'evometa list', or file.py:Class for your own problem.
        strategy: one or more strategies; by default the problem's recommended one.
        seeds: number of seeds for each, 0, 1, 2, ...
        vary: settings of the problem or of the strategies with their values, NAME=VALUE,VALUE; all combinations are
            run. A strategy that has no such setting is run without it.
        directory: the directory of the sweep; by default runs/PROBLEM-sweep-N with the next free N.
    """

    problem: Annotated[Positional[str], arg(metavar="NAME")]
    strategy: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    seeds: int = 3
    vary: Annotated[tuple[str, ...], arg(metavar="NAME=VALUE,... ...")] = ()
    directory: Path | None = None

    others: ClassVar[tuple[str, ...]] = ()
    """The words of the command line that are for every run."""
    commands: ClassVar[tuple[Command, ...]] = ()
    """What runs the command lines of which the sweep consists."""

    def execute(self) -> int:
        """Run what is not finished, and print the ranked table; return the exit status."""
        from evometa.sharing.sweeps import PLAN, read_plan, write_plan

        if self.seeds < 1:
            raise ConfigurationError(f"--seeds expects a whole number above zero, got {self.seeds}.")
        planned = plan(self.problem, self.strategy, self.seeds, self.vary, self.others)
        directory = self.directory or _free(self.problem)
        known = read_plan(directory) if (directory / PLAN).exists() else None
        if known and known != planned and any((directory / name).exists() for name in known):
            raise RunDirectoryError(
                f"{directory} holds another sweep; continue that with 'evometa resume {directory}', or choose another "
                "--directory."
            )
        if known != planned:
            write_plan(directory, planned)
        (command,) = self.commands
        return complete(directory, command)


@dataclasses.dataclass(kw_only=True)
class ContinueSweep:
    """Continue a sweep."""

    directory: Path
    command: Command

    def execute(self) -> int:
        """Run what is not finished, and print the ranked table; return the exit status."""
        return complete(self.directory, self.command)


def sweep_to_resume(args: Sequence[str]) -> Path | None:
    """Return the directory of a sweep that a command line after ``resume`` names, None where it names none.

    Raises:
        ConfigurationError: it says more than that.
    """
    from evometa.sharing.sweeps import PLAN

    directory = next((word for word in args if (Path(word) / PLAN).is_file()), None)
    if directory is None or {"-h", "--help"} & set(args):
        return None
    if len(args) > 1:
        more = " ".join(word for word in args if word != directory)
        raise ConfigurationError(
            f"'evometa resume' with the directory of a sweep expects nothing else, since its runs have the limits of "
            f"the sweep, got {more}; resume a run in it, or make another sweep."
        )
    return Path(directory)


def sweep_with_options(args: Sequence[str], command: Command) -> tuple[type[Sweep], list[str]]:
    """Return Sweep with the words of a command line that are for every run, and the words for itself.

    Args:
        args: the command line after ``sweep``.
        command: runs a command line, and returns its exit status.
    """
    own: list[str] = []
    others: list[str] = []
    flags = {f"--{name}" for name in _fields(Sweep)} | {"-h", "--help"}
    taken = own
    for word in joined(args, ("--strategy", "--vary")):
        if word.startswith("--") or word == "-h":
            taken = own if word.partition("=")[0] in flags else others
        taken.append(word)
    namespace = {"others": tuple(others), "commands": (command,)}
    extended = dataclasses.make_dataclass("Sweep", [], bases=(Sweep,), namespace=namespace, kw_only=True)
    extended.__doc__ = Sweep.__doc__
    return extended, own


def plan(
    problem: str, strategies: Sequence[str], seeds: int, vary: Sequence[str], others: Sequence[str] = ()
) -> "Plan":
    """Return the runs of a sweep.

    Args:
        problem: the problem's name.
        strategies: names of strategies; empty for the recommended one.
        seeds: how many seeds.
        vary: settings and their values, as on the command line.
        others: words for every run.

    Raises:
        ConfigurationError: an unknown name, a setting that neither the problem nor a strategy has or that has values
            twice, or words that only one run can have.
    """
    from evometa.cli.names import find

    axes = [_axis(text) for text in vary]
    _require_one_value(axes, others)
    owner = find(problem, "problem")
    recipe = owner.card.recipe if owner.card else None
    if not strategies and recipe is None:
        raise ConfigurationError(f"{problem} recommends no strategy; name one or more with --strategy.")
    named = strategies or ([kebab(recipe.strategy)] if recipe else [])
    chosen = {name: find(name, "strategy") for name in named}
    for name, _ in axes:
        known = [*_fields(owner), *(field for cls in chosen.values() for field in _fields(cls))]
        if _field(name) not in known:
            raise ConfigurationError(
                f"--vary expects settings of {problem} or of the strategies, got {name}. {nearest(_field(name), known)}"
            )
    planned: Plan = {}
    for strategy, cls in chosen.items():
        own = [(name, values) for name, values in axes if _field(name) in (*_fields(owner), *_fields(cls))]
        for setting in itertools.product(*(values for _, values in own)):
            pairs = [(name, value) for (name, _), value in zip(own, setting, strict=True)]
            words = [word for name, value in pairs for word in (f"--{name.replace('_', '-')}", value)]
            stem = "-".join([strategy.rpartition(":")[2], *(f"{_field(name)}={value}" for name, value in pairs)])
            for seed in range(seeds):
                flag = ["--strategy", strategy] if strategies else []
                begin = [problem, *flag, *words, "--seed", str(seed), *others]
                folder, run = f"{stem}-seed{seed}".replace("/", "_"), {"run": begin, "resume": _shared(others)}
                if planned.setdefault(folder, run) != run:
                    raise ConfigurationError(
                        f"'evometa sweep' expects names and values from which each run has a folder of its own, and "
                        f"two have {folder}; rename one, or make two sweeps."
                    )
    return planned


def _require_one_value(axes: Sequence[tuple[str, Sequence[str]]], others: Sequence[str]) -> None:
    """Raise ConfigurationError where a run of the sweep would be given two values of one option."""
    given = {word.partition("=")[0] for word in others}
    for option, advice in OF_THE_SWEEP.items():
        if option in given:
            raise ConfigurationError(f"'evometa sweep' expects no {option}, which it gives each run itself; {advice}.")
    names = [_option(name) for name, _ in axes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"--vary expects all values of a setting together, got {name} twice; join them.")
        if {f"--{name}", f"--problem.{name}", f"--strategy.{name}"} & given:
            raise ConfigurationError(
                f"--vary gives each run a value of {name}, and --{name} another one; leave out one of them."
            )


def _axis(text: str) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    parts = [value for value in values.split(",") if value]
    if not name or not equals or not parts:
        raise ConfigurationError(f"--vary expects NAME=VALUE,VALUE, such as sigma=0.1,0.3, got {text!r}.")
    return name.lstrip("-"), parts


def _field(name: str) -> str:
    return name.removeprefix("problem.").removeprefix("strategy.").replace("-", "_")


def _option(name: str) -> str:
    return _field(name).replace("_", "-")


def _fields(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _shared(words: Sequence[str]) -> list[str]:
    """Return the words that 'evometa resume' takes too: limits and how to execute."""
    known = {f"--{field.replace('_', '-')}" for field in (*_fields(Limits), *_fields(Execution))}
    kept, take = [], False
    for word in words:
        if word.startswith("--"):
            take = word.partition("=")[0] in known
        if take:
            kept.append(word)
    return kept


def complete(directory: Path, command: Command) -> int:
    """Run or resume what a sweep has not finished, and print its ranked table; return the exit status.

    Args:
        directory: the sweep's directory.
        command: runs a command line, and returns its exit status.
    """
    from evometa.sharing.sweeps import finished, read_plan
    from evometa.storage import checkpoint, result_file
    from evometa.storage.manifest import MANIFEST

    planned, failed = read_plan(directory), 0
    for number, (name, words) in enumerate(planned.items(), 1):
        folder = directory / name
        if finished(folder):
            continue
        print(f"run {number} of {len(planned)}: {name}", flush=True)
        begun = (folder / MANIFEST).exists() and checkpoint.progress(folder) is not None
        overwrite = ["--overwrite"] if (folder / MANIFEST).exists() else []
        again = ["resume", str(folder), *words["resume"]]
        status = command(again if begun else ["run", *words["run"], "--run-directory", str(folder), *overwrite])
        if status > 128 or not (folder / MANIFEST).exists():  # interrupted, or told to end
            return status
        failed += status != 0
        print()
    _print_table([directory / name for name in planned if result_file.numbers(directory / name)])
    runs, page = f"{shlex.quote(str(directory))}/*/", shlex.quote(str(directory / "report.html"))
    print(f"report     evometa report {runs} --output {page}")
    return 1 if failed else 0


def _print_table(folders: list[Path]) -> None:
    from rich.console import Console
    from rich.table import Table

    from evometa.report.comparison import ranked_table
    from evometa.sharing.grouping import groups

    if not folders:
        return
    ranked = ranked_table(groups(folders))
    shown = Table(*ranked.headers, caption=ranked.caption, caption_justify="left")
    for row in ranked.rows:
        shown.add_row(*row)
    Console().print(shown)


def _free(problem: str) -> Path:
    stem = problem.rpartition(":")[2].rpartition("/")[2]
    return next(path for n in itertools.count(1) if not (path := Path("runs") / f"{stem}-sweep-{n}").exists())
