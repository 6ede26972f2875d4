"""Options that several commands share, and the conversion of command-line arguments to objectives."""

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from tyro.conf import FlagConversionOff, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from evometa.distributed import rank
from evometa.errors import ConfigurationError

if TYPE_CHECKING:
    from evometa.objectives import Objective

registry = ConstructorRegistry()


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a search, which stops at the first one reached. All are totals over the run, including resumed parts.

    Args:
        generations: number of generations.
        evaluations: number of candidates evaluated.
        total_inner_steps: number of learner updates, over all candidates and tasks.
        seconds: seconds of search.
        target: best fitness at which to stop.
    """

    generations: int | None = None
    evaluations: int | None = None
    total_inner_steps: int | None = None
    seconds: float | None = None
    target: float | None = None

    def as_arguments(self, default: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Return the limits as arguments of ``Search.run``, or ``default`` if no limit is set."""
        limits = dataclasses.asdict(self)
        if default and all(limit is None for limit in limits.values()):
            return dict(default)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workers:
    """Where the calls of a problem in plain Python run.

    Args:
        workers: number of worker processes for a problem in plain Python; one per core by default. With 0 its calls are
            made in this process, for debugging: no time limit ends them, and a crash ends the search. With ray they are
            made on a Ray cluster.
        ray_address: address of a Ray cluster, such as 10.0.0.1:6379 or auto; by default a local one is started.
        ray_workers: number of workers on Ray; by default as many as there is room for.
        ray_cpus: CPU cores that a worker on Ray needs.
        ray_gpus: GPUs that a worker on Ray needs.
        ray_resources: other resources that a worker on Ray needs, as NAME=AMOUNT.
        ray_retries: how often a call may be lost with its worker or node on Ray before the search ends.
    """

    workers: int | Literal["ray"] | None = None
    ray_address: str | None = None
    ray_workers: int | None = None
    ray_cpus: float = 1.0
    ray_gpus: float = 0.0
    ray_resources: tuple[Annotated[str, arg(metavar="NAME=AMOUNT")], ...] = ()
    ray_retries: int = 10

    def chosen(self) -> Any:
        """Return what ``Search(workers=...)`` takes."""
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(Workers)
            if field.name != "workers" and getattr(self, field.name) != field.default
        }
        if self.workers != "ray":
            for name in given:
                raise ConfigurationError(
                    f"--{name.replace('_', '-')} expects --workers ray; give it, or leave both out."
                )
            return self.workers
        from evometa.executors.ray_settings import Ray

        settings = {name.removeprefix("ray_"): value for name, value in given.items()}
        if self.ray_resources:
            settings["resources"] = dict(map(_amount, self.ray_resources))
        return Ray(**settings)


LISTS = ("--environment", "--problem.environment", "--ray-resources", "--label")
"""Options with several values, which people also give several times."""


def joined(args: Sequence[str], options: Collection[str] = LISTS) -> list[str]:
    """Return a command line in which the values of an option that is given again are added to the first ones.

    Args:
        args: the words.
        options: the options of which that holds.
    """
    values: dict[str, list[str]] = {}
    rest: list[str] = []
    taken, again = rest, False
    for word in args:
        name, equals, value = word.partition("=")
        if name in options:
            again |= name in values
            taken = values.setdefault(name, [])
            if equals:  # the words behind it are none of its values
                taken.append(value)
                taken = rest
            continue
        if word.startswith("--") or word == "-h":
            taken = rest
        taken.append(word)
    return [*rest, *(word for name in values for word in (name, *values[name]))] if again else list(args)


def _amount(word: str) -> tuple[str, float]:
    name, _, amount = word.partition("=")
    with contextlib.suppress(ValueError):
        if name and float(amount) > 0:
            return name, float(amount)
    raise ConfigurationError(f"--ray-resources expects NAME=AMOUNT, such as simulator=1, got {word}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution(Workers):
    """How to execute a search; none of these options changes the result, but for the workers of an asynchronous one.

    Args:
        memory_budget: bytes of memory that one generation may use.
        devices: number of JAX devices; all local ones by default.
        worker_calls: number of calls after which a worker process is replaced; no limit by default.
        worker_memory: bytes that a worker process may hold before it is replaced; by default a share of the memory.
        trials: keep a table of all candidates, trials.csv; by default for a problem in plain Python.
        checkpoint_seconds: seconds between checkpoints.
        keep_checkpoints: number of newest checkpoints to keep.
        progress: show a progress bar; by default only on a terminal.
    """

    memory_budget: int = 2**31
    devices: int | None = None
    worker_calls: int | None = None
    worker_memory: int | None = None
    trials: FlagConversionOff[bool | None] = None
    checkpoint_seconds: float = 30.0
    keep_checkpoints: int = 3
    progress: FlagConversionOff[bool | None] = None

    def as_arguments(self) -> dict[str, Any]:
        """Return the options as arguments of ``Search``."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for field in dataclasses.fields(Workers):
            del own[field.name]
        return own | {"workers": self.chosen()}


@dataclasses.dataclass(frozen=True)
class Distribution:
    """How a search is spread over several processes (docs/distributed.md); none of these options changes the result.

    Args:
        distributed: search in several processes: with --processes alone all on this machine; with the three options
            that follow, or in SLURM, Open MPI or Kubernetes without them, this is one of them.
        coordinator: address and port of process 0, HOST:PORT; the port after it is used too.
        processes: number of processes.
        process_id: number of this process, from 0.
        join_seconds: seconds that the processes wait for each other to start.
        stall_seconds: end the search when no generation was completed for so many seconds, longer than compiling, the
            slowest generation and the final selection take; no limit by default.
    """

    distributed: bool = False
    coordinator: str | None = None
    processes: int | None = None
    process_id: int | None = None
    join_seconds: int = 300
    stall_seconds: float | None = None

    def __post_init__(self) -> None:
        given = [self.coordinator, self.processes, self.process_id]
        if not self.distributed and given != [None] * 3:
            raise ConfigurationError("--coordinator, --processes and --process-id expect --distributed before them.")

    def callbacks(self, run_directory: Path, limits: Mapping[str, Any]) -> list[Callable[[Any], None]]:
        """Return what tells the supervisor of each dispatch; before the first one a new run has nothing to continue."""
        return [lambda report: self.announce(run_directory, limits)] if self.distributed else []

    def announce(self, run_directory: Path, limits: Mapping[str, Any]) -> None:
        """Tell the supervisor the command that continues the run in case a rank is lost, and so that it moves on."""
        options = {"total_inner_steps" if name == "inner_steps" else name: limit for name, limit in limits.items()}
        words = [f"--{name.replace('_', '-')} {limit}" for name, limit in options.items() if limit is not None]
        if self.coordinator is None and self.process_id is None and self.processes is not None:
            words.insert(0, f"--processes {self.processes}")
        if self.stall_seconds is not None:
            words.append(f"--stall-seconds {self.stall_seconds:g}")
        rank.tell(resume=" ".join(["evometa resume", shlex.quote(str(run_directory)), "--distributed", *words]))


@registry.primitive_rule
def _objective(info: PrimitiveTypeInfo) -> "PrimitiveConstructorSpec[Objective] | None":
    """Let tyro read and show objectives as final, mean or at:1,5."""
    if "evometa.objectives" not in sys.modules:  # no problem was imported, so this is no field of one
        return None
    from evometa.objectives import Objective, read_objective, write_objective

    if not (isinstance(info.type, type) and issubclass(info.type, Objective)):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="final|mean|at:STEP,...",
        instance_from_str=lambda arguments: read_objective(arguments[0]),
        is_instance=lambda value: isinstance(value, Objective),
        str_from_instance=lambda value: [write_objective(value)],
    )


@registry.primitive_rule
def _whole_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int | None] | None:
    """Let 1e3 for a whole number, or None where there may be none, be answered by what to write."""
    optional = set(get_args(info.type)) == {int, type(None)}
    if info.type is not int and not optional:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{None}|INT" if optional else "INT",
        instance_from_str=lambda words: None if optional and words[0] == "None" else read_whole_number(words[0]),
        is_instance=lambda value: (optional and value is None) or type(value) is int,
        str_from_instance=lambda value: [str(value)],
    )


def read_whole_number(text: str) -> int:
    """Return the whole number that a command-line argument stands for."""
    try:
        return int(text)
    except ValueError:
        advice = ""
        with contextlib.suppress(ValueError):
            advice = f"; write {int(float(text))}" if float(text).is_integer() else ""
        raise ValueError(f"expected a whole number, got {text}{advice}") from None


@registry.primitive_rule
def _one_word(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Types with the methods ``from_word`` and ``as_word`` are written as one word, a union of them with others too."""
    kinds = get_args(info.type) or (info.type,)
    kind = next((kind for kind in kinds if hasattr(kind, "from_word")), None)
    if kind is None or not {get_origin(each) or each for each in kinds} <= {kind, str, Mapping}:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME[:SETTING=VALUE,...]",
        instance_from_str=lambda words: kind.from_word(words[0]),
        is_instance=lambda value: isinstance(value, kind | str),
        str_from_instance=lambda value: [value if isinstance(value, str) else value.as_word()],
    )
