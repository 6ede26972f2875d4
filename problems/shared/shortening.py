"""A problem with less training, for shifted distributions."""

import dataclasses
from typing import TypeVar

from evometa.objectives import At, Final
from evometa.problem import InnerTraining

P = TypeVar("P", bound=InnerTraining)


def shortened(problem: P, inner_steps: int) -> P:
    """Return a problem with fewer inner steps, at least one.

    Of the steps that an objective ``At`` names those count that are left, and the last one where none is left.
    """
    steps, objective = max(inner_steps, 1), problem.objective
    if isinstance(objective, At):
        left = tuple(step for step in objective.after if step <= steps)
        objective = At(left) if left else Final()
    return dataclasses.replace(problem, inner_steps=steps, objective=objective)
