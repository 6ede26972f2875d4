"""Objects that cannot be rebuilt from their fields are refused by searches that need that, and only by these."""

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, HostProblem, Problem, Search, Space
from evometa.strategies import RandomSearch


class Compiled(Problem):
    data = 0.0

    @property
    def space(self) -> Space:
        return Box((2,))

    def evaluate(self, key: jax.Array, omega: jax.Array) -> jax.Array:
        return jnp.sum((omega - self.data) ** 2)


class Plain(Compiled):
    def __init__(self, data: float) -> None:
        object.__setattr__(self, "data", data)


class Default(Compiled):
    def __init__(self, data: Any = 3.0) -> None:
        object.__setattr__(self, "data", data)


@dataclasses.dataclass(frozen=True)
class Counts(Compiled):
    extra: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", self.extra + 1)


@dataclasses.dataclass(frozen=True)
class Held(Compiled):
    function: Callable[[Any], Any] = lambda value: value


class Hosted(HostProblem):
    def __init__(self, data: float) -> None:
        object.__setattr__(self, "data", data)

    @property
    def space(self) -> Space:
        return Box((2,))

    def evaluate(self, rng: np.random.Generator, omega: Any) -> float:
        return float(np.sum(omega))


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Plain(1.0), "Plain expects to be built again from its fields, so that the run can be resumed, and that fails"),
        (Default(1.0), "data then has another value; make it a frozen dataclass that holds all its settings as fields"),
        (Default(np.ones(2)), "data then has another value"),
        (Counts(), "do not change fields after they are set"),
        (Held(), "function"),
    ],
    ids=["argument", "default", "array", "changed", "lambda"],
)
def test_a_run_directory_needs_what_can_be_built_again(problem: Problem, words: str, tmp_path: Path) -> None:
    Search(problem, RandomSearch(2))
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Search(problem, RandomSearch(2), run_directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_workers_need_what_can_be_built_again() -> None:
    with pytest.raises(ConfigurationError, match=r"Hosted expects .* so that worker processes can evaluate it"):
        Search(Hosted(1.0), RandomSearch(2))


def test_the_default_value_is_what_an_own_init_makes(tmp_path: Path) -> None:
    Search(Default(), RandomSearch(2), run_directory=tmp_path / "run")


@dataclasses.dataclass(frozen=True)
class Tabled(Compiled):
    @functools.cached_property
    def data(self) -> Any:  # type: ignore[override]
        return np.arange(2.0), "read from a file when it is needed"

    def evaluate(self, key: jax.Array, omega: jax.Array) -> jax.Array:
        return jnp.sum((omega - self.data[0]) ** 2)


def test_what_is_computed_from_the_fields_may_be_there_or_not(tmp_path: Path) -> None:
    problem = Tabled()
    assert len(problem.data) == 2
    Search(problem, RandomSearch(2), run_directory=tmp_path / "run")
