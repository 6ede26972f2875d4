"""``evometa run`` and ``evometa resume``: options that follow the fields of the problem and of the strategy."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagConversionOff, OmitArgPrefixes, Positional, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from evometa.cli_names import Role, find, kebab
from evometa.errors import ConfigurationError
from evometa.objectives import At, Final, Mean, Objective
from evometa.progress import duration, short

if TYPE_CHECKING:
    from evometa.search import Result

registry = ConstructorRegistry()


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to stop, whichever comes first. All are totals over the life of the run, resumed or not.

    Args:
        generations: generations.
        evaluations: evaluations of candidates.
        total_inner_steps: updates of learners, of all candidates and tasks.
        seconds: seconds of search.
        target: a best fitness that is good enough.
    """

    generations: int | None = None
    evaluations: int | None = None
    total_inner_steps: int | None = None
    seconds: float | None = None
    target: float | None = None

    def as_arguments(self) -> dict[str, Any]:
        """Return the limits as ``Search.run`` names them."""
        limits = dataclasses.asdict(self)
        if all(limit is None for limit in limits.values()):
            raise ConfigurationError(
                "A search from the command line expects a limit to stop at; give --generations, --evaluations, "
                "--total-inner-steps, --seconds or --target."
            )
        for name, limit in limits.items():
            if limit is not None and name != "target" and not limit > 0:
                raise ConfigurationError(f"--{name.replace('_', '-')} expects a number above zero, got {limit}.")
        limits["inner_steps"] = limits.pop("total_inner_steps")
        return limits


@dataclasses.dataclass(frozen=True)
class Execution:
    """How to run; none of these changes the result.

    Args:
        memory_budget: bytes one generation may take.
        devices: how many devices to use; all local ones by default.
        workers: processes for a problem in plain Python; one a core by default.
        checkpoint_seconds: seconds between checkpoints.
        keep_checkpoints: how many of the newest checkpoints to keep.
        progress: show a progress bar; by default when on a terminal.
    """

    memory_budget: int = 2**31
    devices: int | None = None
    workers: int | None = None
    checkpoint_seconds: float = 30.0
    keep_checkpoints: int = 3
    progress: FlagConversionOff[bool | None] = None


@dataclasses.dataclass(kw_only=True)
class Run:
    """Start a search; 'evometa run NAME --strategy NAME --help' shows the options of that problem and strategy.

    Args:
        problem: the problem: a name that 'evometa list' shows, or file.py:Class for your own.
        strategy: the strategy: a name that 'evometa list' shows, or file.py:Class for your own.
        run_directory: the folder to make for the run; by default runs/PROBLEM-STRATEGY-N with the next free N.
        overwrite: remove the run that is in the run directory already.
        seed: the seed of all randomness.
        population_chunk: candidates that a device judges at a time; auto finds a fast number within the memory budget.
        validate_every: generations between validations on held-out tasks.
        validation_tasks: held-out tasks in a validation.
    """

    problem: Annotated[Positional[str], arg(metavar="NAME")]
    strategy: Annotated[str, arg(metavar="NAME")]
    run_directory: Path | None = None
    overwrite: bool = False
    seed: int = 0
    population_chunk: int | Literal["auto"] = "auto"
    validate_every: int = 100
    validation_tasks: int = 256
    limits: OmitArgPrefixes[Limits] = Limits()
    execution: OmitArgPrefixes[Execution] = Execution()

    def execute(self) -> int:
        """Run the search and print what came of it; return the exit status."""
        from evometa.search import Search

        limits = self.limits.as_arguments()
        problem, strategy = getattr(self, PROBLEM), getattr(self, STRATEGY)
        directory = self.run_directory or free_directory(type(problem), type(strategy))
        search = Search(
            problem,
            strategy,
            seed=self.seed,
            run_directory=directory,
            overwrite=self.overwrite,
            population_chunk=self.population_chunk,
            validate_every=self.validate_every,
            validation_tasks=self.validation_tasks,
            **dataclasses.asdict(self.execution),
        )
        return report(search.run(**limits), directory)


@dataclasses.dataclass(kw_only=True)
class Resume:
    """Continue a run where its newest checkpoint left off.

    Args:
        run_directory: the folder of the run.
    """

    run_directory: Annotated[Positional[Path], arg(metavar="DIR")]
    limits: OmitArgPrefixes[Limits] = Limits()
    execution: OmitArgPrefixes[Execution] = Execution()

    def execute(self) -> int:
        """Continue the search and print what came of it; return the exit status."""
        from evometa.search import Search

        limits = self.limits.as_arguments()
        search = Search.resume(self.run_directory, **dataclasses.asdict(self.execution))
        return report(search.run(**limits), self.run_directory)


PROBLEM, STRATEGY = "problem_fields", "strategy_fields"
"""The members of a Run with options that hold the problem and the strategy themselves."""


def run_with_options(args: Sequence[str]) -> type[Run]:
    """Return Run with the fields of the problem and strategy that the command line names as further options.

    A class that has a field in common with the options before it gets its own with a prefix, such as
    ``--problem.seed``.

    Args:
        args: the command line after ``run``.
    """
    taken = set(_flags(Run))
    fields: list[tuple[str, Any]] = []
    for role, member, name in (("problem", PROBLEM, _positional(args)), ("strategy", STRATEGY, _option(args))):
        if name is None:
            continue
        cls = find(name, role)
        own = set(_flags(cls))
        clash = bool(own & taken)
        options = Annotated[cls, arg(name=role if clash else cls.__name__)]
        fields.append((member, options if clash else OmitArgPrefixes[options]))
        taken |= own
    made = dataclasses.make_dataclass("Run", fields, bases=(Run,), kw_only=True)
    made.__doc__ = Run.__doc__
    return made


def _flags(cls: type[Any]) -> Iterable[str]:
    for field in dataclasses.fields(cls):
        group = {"limits": Limits, "execution": Execution}.get(field.name) if cls is Run else None
        yield from _flags(group) if group else (field.name,)


def _positional(args: Sequence[str]) -> str | None:
    return args[0] if args and not args[0].startswith("-") else None


def _option(args: Sequence[str]) -> str | None:
    for i, word in enumerate(args):
        if word == "--strategy" and i + 1 < len(args):
            return args[i + 1]
        if word.startswith("--strategy="):
            return word.partition("=")[2]
    return None


@registry.primitive_rule
def _objective(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Objective] | None:
    """Objectives are written final, mean or at:1,5."""
    if not (isinstance(info.type, type) and issubclass(info.type, Objective)):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="final|mean|at:STEP,...",
        instance_from_str=lambda words: _read_objective(words[0]),
        is_instance=lambda value: isinstance(value, Objective),
        str_from_instance=lambda value: [_write_objective(value)],
    )


def _read_objective(word: str) -> Objective:
    kind, _, steps = word.partition(":")
    if kind in ("final", "mean") and not steps:
        return Final() if kind == "final" else Mean()
    if kind == "at" and all(step.isdecimal() for step in steps.split(",")):
        return At(tuple(int(step) for step in steps.split(",")))
    raise ValueError(f"expected final, mean or at:1,5 (inner steps that count), got {word}")


def _write_objective(objective: Objective) -> str:
    steps = ":" + ",".join(map(str, objective.after)) if isinstance(objective, At) else ""
    return kebab(type(objective).__name__) + steps


def free_directory(problem: type[Any], strategy: type[Any]) -> Path:
    """Return the first of ``runs/problem-strategy-1``, ``-2``, ... that does not exist."""
    stem = f"{kebab(problem.__name__)}-{kebab(strategy.__name__)}"
    return next(path for n in itertools.count(1) if not (path := Path("runs") / f"{stem}-{n}").exists())


def report(result: "Result", directory: Path) -> int:
    """Print the result of a search in a few lines, and how to go on; return the exit status."""
    figures = {"best": result.best_fitness, "center": result.center_fitness, "held-out": result.held_out}
    known = [f"{name} {value:.6g}" for name, value in figures.items() if math.isfinite(value)]
    work = [f"{result.generations:,} generations", f"{short(result.evaluations)} evaluations"]
    work += [f"{short(result.inner_steps)} inner steps"] if result.inner_steps else []
    print(f"stopped    {result.stop_reason}")
    print(f"fitness    {', '.join(known) or 'every candidate failed'}")
    print(f"work       {', '.join(work)}, {duration(result.seconds)}")
    print(f"look       evometa plot {directory}")
    print(f"go on      evometa resume {directory} --generations {max(2 * result.generations, 1)}")
    return 130 if result.stop_reason == "interrupted" else 0
