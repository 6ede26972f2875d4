"""Every problem that the package exports keeps the contract."""

import dataclasses
from typing import Any

import pytest

from evometa import HostProblem, InnerTraining, Problem, problems
from evometa.problem import BaseProblem
from evometa.testing import check_problem_contract

EXPORTED = [getattr(problems, name) for name in problems.__all__]
CLASSES = [value for value in EXPORTED if isinstance(value, type) and issubclass(value, BaseProblem)]
SMALL = {"num_tasks": 2, "inner_steps": 2, "folds": 2, "nodes": 3, "optimizer_hidden": (4,)}
SMALL |= {"ways": 3, "channels": (2, 2), "characters": "glyphs"}
"""The smallest sizes at which a problem is itself, for the fields it has."""


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_keeps_the_contract(cls: Any) -> None:
    fields = {field.name for field in dataclasses.fields(cls)}
    check_problem_contract(cls(**{name: size for name, size in SMALL.items() if name in fields}))


def test_every_kind_of_problem_is_among_them() -> None:
    for kind in (Problem, InnerTraining, HostProblem):
        assert any(issubclass(cls, kind) for cls in CLASSES)
