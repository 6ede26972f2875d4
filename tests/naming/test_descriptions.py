"""Descriptions of objects, written by one process and read by another."""

import dataclasses
import enum
import functools
import json
import math
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evometa import ConfigurationError, naming, problems, strategies
from evometa.objectives import At, Final, Mean
from evometa.problem import HostProblem
from evometa.spaces import Box


@dataclasses.dataclass(frozen=True)
class Holder:
    """Holds any value."""

    value: Any = None
    other: Any = 1
    derived: int = dataclasses.field(default=0, init=False)


def own_function(x: float) -> float:
    """A function of a user's file."""
    return x


class Shade(enum.Enum):
    """Choices of a user's file."""

    DARK = "dark"


class Changeable:
    """Not a dataclass."""


OLD = {
    "problem": {
        "type": "evometa.problems.influence_balancing:InfluenceBalancing",
        "fields": {
            "num_tasks": 1,
            "inner_steps": 1000,
            "objective": {"type": "evometa.objectives:At", "fields": {"after": [1, 1000]}},
            "units": 23,
            "positive": 10,
        },
    },
    "strategy": {
        "type": "evometa.strategies.restarts:Restarts",
        "fields": {
            "strategy": {
                "type": "evometa.strategies.snes:SNES",
                "fields": {"population_size": 64, "sigma": 0.3, "learning_rate": 1.0, "sigma_learning_rate": None},
            },
            "patience": 5,
        },
    },
}
"""What a manifest held when it named classes by their files."""


def test_an_old_manifest_is_read_and_written_anew_with_public_names() -> None:
    expected = {
        "problem": problems.InfluenceBalancing(objective=At((1, 1000))),
        "strategy": strategies.Restarts(strategies.SNES(), patience=5),
    }
    for role, description in OLD.items():
        built = naming.rebuild(description)
        assert built == expected[role]
        written = naming.describe(built)
        assert naming.rebuild(json.loads(json.dumps(written))) == built
        assert naming.without_modules(written) == naming.without_modules(description)
        assert (
            re.findall(r'"type": "([^"]*)', json.dumps(written))
            == {
                "problem": ["evometa.problems:InfluenceBalancing", "evometa:At"],
                "strategy": ["evometa.strategies:Restarts", "evometa.strategies:SNES"],
            }[role]
        )


def test_the_name_of_a_users_class_is_part_of_what_is_compared() -> None:
    description = {
        "type": "/home/ada/study.py:Study",
        "fields": {"inner": OLD["strategy"], "several": [OLD["problem"]]},
    }
    bare = naming.without_modules(description)
    assert bare["type"] == "/home/ada/study.py:Study"
    assert (bare["fields"]["inner"]["type"], bare["fields"]["several"][0]["type"]) == ("Restarts", "InfluenceBalancing")


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.builds(Path, st.just("a/b"))
objectives = st.just(Final()) | st.just(Mean()) | st.builds(At, st.lists(st.integers(0, 9), min_size=1).map(tuple))
values = st.recursive(
    leaves | objectives,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Holder, inner)
    ),
    max_leaves=8,
)


@given(values)
def test_an_object_is_rebuilt_from_json(value: Any) -> None:
    holder = Holder(value, other=math.pi)
    text = json.dumps(naming.describe(holder), allow_nan=False)
    # repr tells types apart, and 0.0 from -0.0, and takes two nans for the same.
    assert repr(naming.rebuild(json.loads(text))) == repr(holder)


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (np.dtype("float32"), {"dtype": "float32"}),
        (jnp.dtype("bfloat16"), {"dtype": "bfloat16"}),
        (jnp.float32, {"name": "jax.numpy:float32"}),
        (jnp.tanh, {"name": "jax.numpy:tanh"}),
        (jax.nn.relu, {"name": "jax.nn:relu"}),
        (np.sin, {"name": "numpy:sin"}),
        (math.sqrt, {"name": "math:sqrt"}),
        (At, {"name": "evometa:At"}),
        (own_function, {"name": naming.reference(own_function)}),
        (Shade.DARK, {"enum": [naming.reference(Shade), "DARK"]}),
    ],
)
def test_types_functions_and_enums_are_described_by_name(value: Any, described: Any) -> None:
    assert naming.describe(Holder(value))["fields"]["value"] == described
    rebuilt = naming.rebuild(json.loads(json.dumps(naming.describe(Holder(value))))).value
    assert (rebuilt, type(rebuilt)) == (value, type(value))


def test_partial_functions_and_numbers_of_numpy_are_described() -> None:
    function = naming.rebuild(naming.describe(Holder(functools.partial(max, 3, key=abs)))).value
    assert function(-4) == -4
    found = naming.rebuild(naming.describe(Holder((np.float32(0.5), np.int64(3), np.bool_(True), np.str_("a"))))).value
    assert repr(found) == repr((0.5, 3, True, "a"))


def test_a_function_that_is_gone_is_named() -> None:
    with pytest.raises(ConfigurationError, match="math expects to hold sqroot, which a setting names"):
        naming.rebuild({"type": naming.reference(Holder), "fields": {"value": {"name": "math:sqroot"}}})


def test_a_description_is_readable() -> None:
    assert naming.describe(At((1, 10))) == {"type": "evometa:At", "fields": {"after": [1, 10]}}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (np.zeros(2), "Holder.value expects .* got numpy.ndarray"),
        ((1, lambda x: x), r"Holder.value\[1\] expects .* got the function <lambda>"),
        ({"a": functools.partial(Holder(1).__eq__, 2)}, r"Holder.value\['a'\] expects"),
        (np.dtype([("a", float)]), "Holder.value expects"),
        (Box(()), "Holder.value expects"),
    ],
)
def test_a_value_without_an_exact_description_is_refused_by_field(value: Any, where: str) -> None:
    with pytest.raises(ConfigurationError, match=where):
        naming.describe(Holder(value))


def test_only_frozen_dataclasses_are_described() -> None:
    for thing in (Changeable(), dataclasses.make_dataclass("Thawed", ["a"])(1)):
        with pytest.raises(ConfigurationError, match="expects to be a frozen dataclass"):
            naming.describe(thing)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["fields"].update(valeu=1), "no field valeu, .* Nearest: value"),
        (lambda d: d["fields"].update(derived=1), "no field derived"),
        (lambda d: d.pop("fields"), "exactly the members 'type' and 'fields'"),
        (lambda d: d.update(fields=[1]), "expects to be a dataclass with named fields"),
        (lambda d: d.update(type="evometa.spaces:Space"), "expects to be a dataclass with named fields"),
        (lambda d: d["fields"].update(value={"tuple": 3}), "exactly the members"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change: Any, words: str) -> None:
    description = naming.describe(Holder())
    change(description)
    with pytest.raises(ConfigurationError, match=words):
        naming.rebuild(description)


@dataclasses.dataclass(frozen=True)
class Grown:
    """Has a field without a default, and one that it got later."""

    value: int
    later: tuple[int, ...] = (2,)


def test_fields_that_came_later_have_their_default_and_others_must_be_there() -> None:
    description = naming.describe(Grown(1))
    del description["fields"]["later"]
    assert naming.rebuild(description) == Grown(1)
    del description["fields"]["value"]
    with pytest.raises(ConfigurationError, match="lacks value"):
        naming.rebuild(description)


def test_a_problem_of_a_users_file_is_rebuilt() -> None:
    file = Path(__file__).parents[1] / "user_files" / "misbehaving.py"
    problem = naming.load(f"{file}:Misbehaving", HostProblem)(time_limit=2.5)
    assert naming.rebuild(json.loads(json.dumps(naming.describe(problem)))) == problem
