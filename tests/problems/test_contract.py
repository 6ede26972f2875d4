"""Every problem that the package exports keeps the contract."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.animation import Animation

from evometa import At, HostProblem, InnerTraining, Problem, problems
from evometa.problem import BaseProblem, precision_of
from evometa.testing import check_problem_contract

EXPORTED = [getattr(problems, name) for name in problems.__all__]
CLASSES = [value for value in EXPORTED if isinstance(value, type) and issubclass(value, BaseProblem)]
SMALL = {"num_tasks": 2, "inner_steps": 2, "folds": 2, "nodes": 3, "optimizer_hidden": (4,)}
SMALL |= {"ways": 3, "channels": (2, 2), "characters": "glyphs", "classes": 2, "functions": 2}
SMALL |= {"environments": ("navigation",), "copies": 2, "rollout": 2}
"""The smallest sizes at which a problem is itself, for the fields of these types it has."""


NEEDED: dict[str, dict[str, Any]] = {
    "CommandProblem": {"command": "echo loss = {x}", "parameters": {"x": {"type": "float", "low": 0}}, "metric": "loss"}
}
"""Arguments without a default."""


def small(cls: Any) -> Any:
    """Return a problem at its smallest size."""
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    # A name may mean a number in one problem, and a tuple of names in another.
    sizes = {name: size for name, size in SMALL.items() if type(defaults.get(name)) is type(size)}
    return cls(**sizes, **NEEDED.get(cls.__name__, {}))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_keeps_the_contract(cls: Any) -> None:
    with jax.numpy_rank_promotion("raise"):  # so that users can debug a problem derived from it with that switch
        check_problem_contract(small(cls))


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if cls.pictures is not BaseProblem.pictures], ids=lambda cls: cls.__name__
)
def test_draws_what_one_omega_does(cls: Any) -> None:
    problem = small(cls)
    with precision_of(problem):
        space, key = problem.space, jax.random.key(0)
        omega = space.present(jax.device_get(jax.jit(lambda key: space.decode(space.start(key)))(key)))
        pictures = problem.pictures(np.random.default_rng(0) if isinstance(problem, HostProblem) else key, omega)
    assert pictures
    for name, picture in pictures.items():
        assert name.isidentifier()
        if isinstance(picture, Animation):
            picture._draw_was_started = True  # type: ignore[attr-defined]  # not shown: no warning about that
        else:
            assert any(axes.has_data() for axes in picture.axes)


def test_shifts_are_there_also_where_only_the_last_step_counts() -> None:
    for cls in CLASSES:
        if issubclass(cls, InnerTraining):
            problem = small(cls)
            shifted = dataclasses.replace(problem, objective=At((problem.inner_steps,))).shifted()
            assert shifted.keys() == problem.shifted().keys()
            for other in shifted.values():
                assert 0 < max(other.objective.steps(other.inner_steps)) <= other.inner_steps


def test_every_kind_of_problem_is_among_them() -> None:
    for kind in (Problem, InnerTraining, HostProblem):
        assert any(issubclass(cls, kind) for cls in CLASSES)
