"""Options that several commands share, and how words of the command line become values."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from tyro.conf import FlagConversionOff
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from evometa.cli_names import kebab
from evometa.errors import ConfigurationError
from evometa.objectives import At, Final, Mean, Objective

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

    def as_arguments(self, otherwise: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
        """Return the limits as ``Search.run`` names them; where none is given, those in ``otherwise``."""
        limits = dataclasses.asdict(self)
        if otherwise and all(limit is None for limit in limits.values()):
            return dict(otherwise)
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


@registry.primitive_rule
def _objective(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Objective] | None:
    """Objectives are written final, mean or at:1,5."""
    if not (isinstance(info.type, type) and issubclass(info.type, Objective)):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="final|mean|at:STEP,...",
        instance_from_str=lambda words: read_objective(words[0]),
        is_instance=lambda value: isinstance(value, Objective),
        str_from_instance=lambda value: [write_objective(value)],
    )


@registry.primitive_rule
def _one_word(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Types with the methods ``from_word`` and ``as_word`` are written as one word, a union of them with str too."""
    kinds = get_args(info.type) or (info.type,)
    kind = next((kind for kind in kinds if hasattr(kind, "from_word")), None)
    if kind is None or not set(kinds) <= {kind, str}:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME[:SETTING=VALUE,...]",
        instance_from_str=lambda words: kind.from_word(words[0]),
        is_instance=lambda value: isinstance(value, kind | str),
        str_from_instance=lambda value: [value if isinstance(value, str) else value.as_word()],
    )


def read_objective(word: str) -> Objective:
    """Return the objective that a word of the command line means."""
    kind, _, steps = word.partition(":")
    if kind in ("final", "mean") and not steps:
        return Final() if kind == "final" else Mean()
    if kind == "at" and all(step.isdecimal() for step in steps.split(",")):
        return At(tuple(int(step) for step in steps.split(",")))
    raise ValueError(f"expected final, mean or at:1,5 (inner steps that count), got {word}")


def write_objective(objective: Objective) -> str:
    """Return an objective as a word of the command line."""
    steps = ":" + ",".join(map(str, objective.after)) if isinstance(objective, At) else ""
    return kebab(type(objective).__name__) + steps
