"""``evometa run`` and ``evometa resume``, whose options are the fields of the problem and of the strategy."""

import contextlib
import dataclasses
import itertools
import math
import operator
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from evometa.card import Recipe
from evometa.cli.options import Distribution, Execution, Limits
from evometa.errors import ConfigurationError, EvometaError, RunDirectoryError
from evometa.naming.words import Role, kebab

if TYPE_CHECKING:
    from evometa.problem import BaseProblem
    from evometa.storage.result import Result


@dataclasses.dataclass(kw_only=True)
class Run:
    """Start a search; 'evometa run NAME --strategy NAME --help' shows the options of that problem and strategy.

    Without --strategy, the problem's recommended strategy, settings and limit are used.
    The prefix of an option, problem or strategy, can be omitted if no other option has its name.

    Args:
        problem: a name from 'evometa list', or file.py:Class for your own problem.
        strategy: a name from 'evometa list', or file.py:Class for your own strategy.
        run_directory: the run directory to create; by default runs/PROBLEM-STRATEGY-N with the next free N.
        overwrite: replace the run that is already in the run directory.
        seed: the seed of all randomness.
        seeds: number of seeds to search with at once, from --seed on; each has a run directory in the run directory.
        population_chunk: candidates that a device evaluates at once; auto finds a fast number within the memory budget.
        validate_every: generations between validations on held-out tasks.
        finalists: best candidates evaluated again at the end; by default 8 for problems with tasks, otherwise none.
        validation_tasks: tasks of each kind that a validation averages, at most; by default what suits the problem.
        validation_share: what validations and the final selection may cost, as a share of the search's own cost; by
            default 0.25, or no bound with --validation-tasks; with 0 there are none.
        halving: train only the better candidates of each generation further: the reduction, such as 3, or reduction and
            rungs, such as 3:4; for problems with inner training.
        pruning: stop calls of a plain-Python problem that report bad values: median or asha, also with settings, such
            as asha:reduction=4.
        start: a run directory from whose candidates the search begins, also of another strategy or another space.
        start_part: what is taken of that run: best, center, population, archive or trials; auto takes what suits.
        asynchronous: for a problem in plain Python whose calls take very different times: no worker waits for a
            generation. The results then depend on the order in which calls return.
        debug: evaluate the candidates of a JAX problem one by one, uncompiled, and stop at the first value that is not
            finite, naming its candidate, task and inner step; slow.
    """

    problem: Annotated[Positional[str], arg(metavar="NAME")]
    strategy: Annotated[str, arg(metavar="NAME")]
    run_directory: Path | None = None
    overwrite: bool = False
    seed: int = 0
    seeds: int | None = None
    population_chunk: int | Literal["auto"] = "auto"
    validate_every: int = 100
    finalists: int | None = None
    validation_tasks: int | None = None
    validation_share: float | None = None
    start: Path | None = None
    start_part: Literal["auto", "best", "center", "population", "archive", "trials"] = "auto"
    halving: str | None = None
    pruning: str | None = None
    asynchronous: bool = False
    debug: bool = False
    limits: OmitArgPrefixes[Limits] = dataclasses.field(default_factory=Limits)
    execution: OmitArgPrefixes[Execution] = dataclasses.field(default_factory=Execution)
    distribution: OmitArgPrefixes[Distribution] = dataclasses.field(default_factory=Distribution)

    recipe: ClassVar[Recipe | None] = None
    """The recipe of the problem, if no strategy was named."""

    def execute(self) -> int:
        """Run the search and print a summary; return the exit status."""
        from evometa.backend import ranks
        from evometa.search.search import Search
        from evometa.search.several_seeds import MOST_SEEDS, SeveralSeeds

        limits = self.limits.as_arguments(self.recipe.limits if self.recipe else {})
        if self.seeds is not None and not 1 <= self.seeds <= MOST_SEEDS:
            raise ConfigurationError(f"--seeds expects a number of seeds from 1 to {MOST_SEEDS:,}, got {self.seeds}.")
        problem, strategy, options = getattr(self, PROBLEM), getattr(self, STRATEGY), self._arguments()
        directory = self.run_directory
        if directory is None:
            directory = Path(ranks.from_first(lambda: str(claim_directory(type(problem), type(strategy)))))
        if self.recipe and ranks.is_first():
            given = ", ".join(f"{name} {value:g}" for name, value in limits.items() if value is not None)
            print(f"searching  {strategy}, {given}", flush=True)
        options |= {"run_directory": directory, "callbacks": self.distribution.callbacks(directory, limits)}
        with _unclaimed_after_errors(directory):
            if self.seeds is not None:
                seeds = range(self.seed, self.seed + self.seeds)
                several = SeveralSeeds(problem, strategy, seeds=seeds, **options)
                return report_seeds(several.run(**limits), directory)
            search = Search(problem, strategy, seed=self.seed, **options)
            if search.beginning and ranks.is_first():
                print(f"start      {search.beginning}", flush=True)
            return report(search.problem, search.run(**limits), directory)

    def _arguments(self) -> dict[str, Any]:
        """Return the options of a search, other than its run directory and its seed."""
        from evometa.halving import Halving
        from evometa.pruning import Pruning
        from evometa.search.start import Start

        if self.start is None and self.start_part != "auto":
            raise ConfigurationError(f"--start-part {self.start_part} expects --start, the run of which it is a part.")
        return {
            "start": None if self.start is None else Start(self.start, self.start_part),
            "overwrite": self.overwrite,
            "population_chunk": self.population_chunk,
            "validate_every": self.validate_every,
            "finalists": self.finalists,
            "validation_tasks": self.validation_tasks,
            "validation_share": self.validation_share,
            "halving": None if self.halving is None else Halving.from_word(self.halving),
            "pruning": None if self.pruning is None else Pruning.from_word(self.pruning),
            "asynchronous": self.asynchronous,
            "debug": self.debug,
            **self.execution.as_arguments(),
        }


@dataclasses.dataclass(kw_only=True)
class Resume:
    """Continue a run from its newest checkpoint; 'evometa resume DIR --help' shows the settings of its strategy too.

    Settings of the strategy that are given, such as --population-size, hold from here on; the manifest records that.
    With the directory of a sweep, or of several seeds, continue all its runs.

    Args:
        run_directory: the run directory.
        problem: the problem's class, file.py:Class or module:Class, if it has moved; its settings are those of the run.
        strategy: the strategy's class, likewise.
        debug: evaluate the candidates of a JAX problem one by one, as for 'evometa run'.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    problem: Annotated[str | None, arg(metavar="NAME")] = None
    strategy: Annotated[str | None, arg(metavar="NAME")] = None
    debug: bool = False
    limits: OmitArgPrefixes[Limits] = dataclasses.field(default_factory=Limits)
    execution: OmitArgPrefixes[Execution] = dataclasses.field(default_factory=Execution)
    distribution: OmitArgPrefixes[Distribution] = dataclasses.field(default_factory=Distribution)

    def execute(self) -> int:
        """Continue the search and print a summary; return the exit status."""
        from evometa.cli.names import moved_to
        from evometa.search.search import Search
        from evometa.search.several_seeds import SeveralSeeds
        from evometa.storage import seeds_file
        from evometa.storage.seeds_file import SEEDS

        limits = self.limits.as_arguments()
        if (self.run_directory / SEEDS).is_file():
            if self.problem or self.strategy or hasattr(self, STRATEGY) or self.debug:
                raise ConfigurationError(
                    "'evometa resume' with a folder of several seeds expects limits and how to execute, nothing else; "
                    f"resume one of its runs, such as {seeds_file.expanded([self.run_directory])[0]}."
                )
            several = SeveralSeeds.resume(self.run_directory, **self.execution.as_arguments())
            return report_seeds(several.run(**limits), self.run_directory)
        roles: tuple[tuple[Role, str | None], ...] = (("problem", self.problem), ("strategy", self.strategy))
        moved = {role: moved_to(name, role, self.run_directory) for role, name in roles if name is not None}
        if hasattr(self, STRATEGY):
            moved["strategy"] = getattr(self, STRATEGY)
        told = self.distribution.callbacks(self.run_directory, limits)
        options = moved | self.execution.as_arguments() | {"callbacks": told}
        search = Search.resume(self.run_directory, debug=self.debug, **options)
        self.distribution.announce(self.run_directory, limits)
        return report(search.problem, search.run(**limits), self.run_directory)


STATUS = {"interrupted": 130, "all_failed": 1, "not_written": 1}
"""The exit status of searches that stopped with a code; 0 for others."""
PROBLEM, STRATEGY = "problem_fields", "strategy_fields"
"""The fields of the extended Run that hold the problem and the strategy."""


def run_with_options(args: Sequence[str]) -> tuple[type[Run], list[str]]:
    """Extend Run by the fields of the problem and strategy that the command line names.

    These options have a prefix, as in ``--strategy.sigma``. Users can omit the prefix if no other option has that name;
    it is added here.

    Args:
        args: the command line after ``run``.

    Returns:
        The extended class, and the command line with all prefixes.

    Raises:
        ConfigurationError: the command line does not begin with the problem, names a problem or strategy that does not
            exist, or omits a prefix that is needed.
    """
    if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
        raise ConfigurationError(
            f"'evometa run' expects the problem first, as in 'evometa run sinusoid --strategy cmaes', got {args[0]}."
        )
    from evometa.cli.names import find

    classes: dict[Role, type[Any]] = {}
    fields: list[Any] = []
    strategy, recipe = _strategy_of(args), None
    if args and not args[0].startswith("-"):
        classes["problem"] = find(args[0], "problem")
        fields.append((PROBLEM, _options(classes["problem"], "problem")))
        card = classes["problem"].card
        recipe = card.recipe if card and strategy is None else None
    if strategy:
        classes["strategy"] = find(strategy, "strategy")
        fields.append((STRATEGY, _options(classes["strategy"], "strategy")))
    elif recipe:
        classes["strategy"] = find(recipe.strategy, "strategy")
        recommended = dataclasses.field(default=classes["strategy"](**recipe.settings))
        fields.append((STRATEGY, _options(classes["strategy"], "strategy"), recommended))
        name = Annotated[str, arg(metavar="NAME")]
        fields.append(("strategy", name, dataclasses.field(default=kebab(recipe.strategy))))
    extended = dataclasses.make_dataclass("Run", fields, bases=(Run,), namespace={"recipe": recipe}, kw_only=True)
    extended.__doc__ = Run.__doc__
    return extended, [_with_prefix(word, classes) for word in args]


def resume_with_options(args: Sequence[str]) -> tuple[type[Resume], list[str]]:
    """Extend Resume by the settings of the run's strategy, as :func:`run_with_options` does; its own are the default.

    Without such an option, and where the run or its strategy cannot be read, Resume stays as it is.

    Args:
        args: the command line after ``resume``.

    Returns:
        The extended class, and the command line with all prefixes.
    """
    from evometa import naming
    from evometa.cli.names import moved_to
    from evometa.storage.manifest import MANIFEST, read_manifest

    directory = next((Path(word) for word in args if (Path(word) / MANIFEST).is_file()), None)
    if directory is None:
        return Resume, list(args)
    try:
        named = _strategy_of(args)
        strategy = (
            moved_to(named, "strategy", directory) if named else naming.rebuild(read_manifest(directory).strategy)
        )
    except EvometaError:
        return Resume, list(args)
    cls: type[Any] = type(strategy)
    prefixed = [_with_prefix(word, {"strategy": cls}) for word in args]
    if not any(word.startswith("--strategy.") or word in ("-h", "--help") for word in prefixed):
        return Resume, list(args)
    field = (STRATEGY, _options(cls, "strategy"), dataclasses.field(default=strategy))
    extended = dataclasses.make_dataclass("Resume", [field], bases=(Resume,), kw_only=True)
    extended.__doc__ = Resume.__doc__
    return extended, prefixed


def _options(cls: type[Any], role: Role) -> Any:
    return operator.getitem(Annotated, (cls, arg(name=role)))


def _strategy_of(args: Sequence[str]) -> str | None:
    for i, word in enumerate(args):
        if word == "--strategy" and i + 1 < len(args):
            return args[i + 1]
        if word.startswith("--strategy="):
            return word.partition("=")[2]
    return None


def _with_prefix(word: str, classes: Mapping[Role, type[Any]]) -> str:
    option = re.fullmatch(r"--(no-)?([A-Za-z][\w-]*)([.=].*)?", word, re.DOTALL)
    if not option:
        return word
    no, name, rest = option.group(1) or "", option.group(2), option.group(3) or ""
    owners = [role for role, cls in classes.items() if name.replace("-", "_") in _fields(cls)]
    if not owners or name.replace("-", "_") in (
        *_fields(Run),
        *_fields(Limits),
        *_fields(Execution),
        *_fields(Distribution),
    ):
        return word
    if len(owners) > 1:
        raise ConfigurationError(
            f"Both {' and '.join(cls.__name__ for cls in classes.values())} have an option --{name}; "
            f"use --problem.{name} or --strategy.{name}."
        )
    return f"--{owners[0]}.{no}{name}{rest}"


def _fields(cls: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def claim_directory(problem: type[Any], strategy: type[Any]) -> Path:
    """Make the first of ``runs/problem-strategy-1``, ``-2``, ... that is not there; no other process gets the same."""
    stem = f"{kebab(problem.__name__)}-{kebab(strategy.__name__)}"
    for n in itertools.count(1):
        path = Path("runs") / f"{stem}-{n}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunDirectoryError(
                f"{path} was expected to become a new folder in the working directory: {error.strerror}; give "
                "--run-directory a folder that can be written to."
            ) from None
        break
    return path


@contextlib.contextmanager
def _unclaimed_after_errors(directory: Path) -> Iterator[None]:
    """Remove a run directory that is still empty where a search cannot be made."""
    try:
        yield
    except EvometaError:
        with contextlib.suppress(OSError):  # it is not empty, or not there
            directory.rmdir()
        raise


def report(problem: "BaseProblem", result: "Result", directory: Path) -> int:
    """Print a short summary of a search, and the commands to plot and to resume it; return the exit status."""
    from evometa.backend import ranks
    from evometa.search.progress import duration, short
    from evometa.sharing.summary import constraints_in_words

    status = STATUS.get(result.stop_code, 0)
    if not ranks.is_first():
        return status
    figures = {"best": result.best_fitness, "center": result.center_fitness, "held-out": result.held_out}
    known = [f"{name} {value:.6g}" for name, value in figures.items() if math.isfinite(value)]
    better = "smaller" if problem.direction == "minimize" else "larger"
    selected = {"on fresh tasks": result.selected_fitness, "held-out": result.selected_held_out}
    chosen = [f"{value:.6g} {name}" for name, value in selected.items() if math.isfinite(value)]
    cost = [f"{result.generations:,} generations", f"{short(result.evaluations)} evaluations"]
    cost += [f"{short(result.inner_steps)} inner steps"] if result.inner_steps else []
    if problem.card:
        print(f"omega      {problem.card.omega}")
    print(f"stopped    {result.stop_reason}")
    print(f"fitness    {', '.join(known) or result.lack} ({better} is better)")
    if result.best_feasible is not None:
        print(f"feasible   {constraints_in_words(result.best_feasible)}")
    if result.selected_fitness != result.center_fitness and chosen:
        print(f"selected   {', '.join(chosen)}")
    if result.found and result.evaluations:
        print(f"found      {result.found}")
    if result.archive is not None:
        print(f"archive    {len(result.archive.fitness)} candidates")
    if result.validation_tasks > 2:
        extra = f"{short(result.validation_inner_steps)} inner steps" if result.validation_inner_steps else ""
        cost += [f"validation and final selection {extra or f'{short(result.validation_evaluations)} evaluations'}"]
    print(f"cost       {', '.join(cost)}, {duration(result.seconds)}")
    _print_what_comes_next(directory, result.generations)
    return status


def report_seeds(results: "Mapping[int, Result]", directory: Path) -> int:
    """Print what the searches with several seeds have found, and what comes next; return the exit status."""
    from evometa.cli.inspect import print_seeds

    print_seeds(directory)
    _print_what_comes_next(directory, max((result.generations for result in results.values()), default=0))
    return max((STATUS.get(result.stop_code, 0) for result in results.values()), default=130)


def _print_what_comes_next(directory: Path, generations: int) -> None:
    from evometa.report.commands import resume_command

    print(f"plot       evometa plot {shlex.quote(str(directory))}")
    print(f"resume     {resume_command(directory, generations)}")
