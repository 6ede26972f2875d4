"""Every field of every public class accepts valid values, also of numpy, and refuses others in one clear sentence."""

import dataclasses
import inspect
import math
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, expressions, naming, objectives, problems, spaces, strategies, topology
from evometa.expressions import Primitive, PrimitiveSet
from evometa.settings import Checked

NEEDED: dict[str, dict[str, Any]] = {
    "Categorical": {"choices": ["a", "b"]},
    "CommandProblem": {"command": "true {x}", "parameters": {"x": {"choices": ["a", "b"]}}, "metric": "loss"},
    "CommandSpace": {"content": '{"x": {"choices": ["a", "b"]}}'},
    "Dict": {"a": Box()},
    "Expression": {"primitives": PrimitiveSet(("x",))},
    "Fixed": {"value": 1.0},
    "Integer": {"low": 0, "high": 5},
    "Like": {"template": np.ones(2, np.float32)},
    "Permutation": {"items": 4},
    "Primitive": {"name": "add", "function": jnp.add},
    "Subset": {"items": 4, "chosen": 2},
    "Topology": {"inputs": 2, "outputs": 1},
    "When": {"name": "a", "values": 1, "space": Box()},
}
"""Arguments without a default."""
ANYTHING = {("Categorical", "choices"), ("Fixed", "value"), ("Like", "template"), ("When", "values")}
"""Choices may be anything, templates and constants any arrays."""


def _classes() -> list[type]:
    found = {Primitive, PrimitiveSet}
    for module in (strategies, problems, spaces, objectives, expressions.space, topology.space):
        found |= {value for value in vars(module).values() if isinstance(value, Checked)}
    whole = [cls for cls in found if not inspect.isabstract(cls) and not cls.__name__.startswith("_")]
    return sorted(whole, key=lambda cls: cls.__name__)


def _fields(cls: type) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(cls).parameters
    return {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


@pytest.mark.parametrize("cls", _classes(), ids=lambda cls: cls.__name__)
def test_what_does_not_fit_is_refused_in_a_sentence(cls: Any) -> None:
    needed = NEEDED.get(cls.__name__, {})
    for name, parameter in _fields(cls).items():
        hint = str(parameter.annotation)
        text = isinstance(parameter.default, str) or "str" in hint or "Path" in hint
        given = {
            "NaN": (math.nan, False),
            "None": (None, "None" in str(parameter.annotation) or parameter.default in (None, inspect.Parameter.empty)),
            "a string": ("text", text or parameter.default is parameter.empty),
            "an array": (np.zeros((2, 3)), False),
            "an array of numpy's NaN": (np.float32("nan"), False),
            "a ragged list": ([[1], [1, 2]], False),
            "a huge number": (10**400, False),
        }
        for what, (value, may_fit) in given.items():
            answer = _answer(cls, {**needed, name: value})
            assert may_fit or (cls.__name__, name) in ANYTHING or "expects" in answer, f"{name}={what}: {answer}"


def _answer(cls: Any, arguments: dict[str, Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f"accepted as {cls(**arguments)}"
        except ConfigurationError as error:
            return str(error)


@pytest.mark.parametrize("cls", _classes(), ids=lambda cls: cls.__name__)
def test_numbers_of_numpy_are_pythons_own_in_memory_and_in_the_manifest(cls: Any) -> None:
    needed = NEEDED.get(cls.__name__, {})
    numbers = {name: p.default for name, p in _fields(cls).items() if type(p.default) in (int, float)}
    given = {name: (np.int64 if type(value) is int else np.float64)(value) for name, value in numbers.items()}
    made = cls(**needed, **given)
    if not dataclasses.is_dataclass(made) or needed:
        return
    assert {name: (type(getattr(made, name)), getattr(made, name)) for name in numbers} == {
        name: (type(value), value) for name, value in numbers.items()
    }
    assert naming.rebuild(naming.describe(made)) == made
