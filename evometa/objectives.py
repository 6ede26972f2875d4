"""Objectives: which validation losses of a learning curve are averaged to a candidate's fitness.

An objective names inner steps, and the fitness is the mean of the validation losses after these steps. So it decides
what is meta-learned: good final performance, fast adaptation, or good performance after chosen steps.
"""

import abc
import dataclasses
from typing import Annotated

from evometa.errors import ConfigurationError
from evometa.settings import Checked, Items, Natural


class Objective(metaclass=Checked):
    """Chooses the inner steps after which the validation loss counts."""

    @abc.abstractmethod
    def steps(self, inner_steps: int) -> tuple[int, ...]:
        """Return the steps that count, ascending, each from 0 (before any update) to ``inner_steps``."""


@dataclasses.dataclass(frozen=True)
class Final(Objective):
    """The loss after the last inner step: asymptotic performance."""

    def steps(self, inner_steps: int) -> tuple[int, ...]:
        """Return only the last step."""
        return (inner_steps,)


@dataclasses.dataclass(frozen=True)
class Mean(Objective):
    """The mean of the losses after every inner step, the area under the learning curve: fast adaptation."""

    def steps(self, inner_steps: int) -> tuple[int, ...]:
        """Return every step from 1 on; step 0 if there are no inner steps."""
        return tuple(range(1, inner_steps + 1)) or (0,)


@dataclasses.dataclass(frozen=True)
class At(Objective):
    """The mean of the losses after chosen inner steps.

    Args:
        after: the steps, each from 0 (before any update) to the problem's ``inner_steps``.
    """

    after: Annotated[tuple[Natural, ...], Items()] = (1,)

    def steps(self, inner_steps: int) -> tuple[int, ...]:
        """Return the chosen steps, ascending."""
        if not self.after or not all(0 <= step <= inner_steps for step in self.after):
            raise ConfigurationError(
                f"At expects one or more steps between 0 and inner_steps={inner_steps}, got {self.after}."
            )
        return tuple(sorted(set(self.after)))


def read_objective(text: str) -> Objective:
    """Return the objective that a word such as ``at:1,5`` stands for."""
    kind, _, steps = text.partition(":")
    if kind in ("final", "mean") and not steps:
        return Final() if kind == "final" else Mean()
    if kind == "at" and all(step.isdecimal() for step in steps.split(",")):
        return At(tuple(int(step) for step in steps.split(",")))
    raise ValueError(f"expected final, mean or at:1,5 (the inner steps that count), got {text}")


def write_objective(objective: Objective) -> str:
    """Return an objective as a word, such as ``at:1,5``."""
    steps = ":" + ",".join(map(str, objective.after)) if isinstance(objective, At) else ""
    return type(objective).__name__.lower() + steps
