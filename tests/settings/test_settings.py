"""Settings of classes and functions: valid ones are accepted, others refused."""

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Categorical, ConfigurationError, Dict, Integer, Like, Problem, problems, strategies
from evometa.objectives import Final, Objective
from evometa.settings import (
    Advice,
    Chance,
    Checked,
    Count,
    Decay,
    FloatType,
    Fraction,
    Items,
    Name,
    Natural,
    NonNegative,
    Numbers,
    Positive,
    Range,
    checked,
)
from evometa.strategies import CMAES, NSGA2


class Shade(enum.Enum):
    """An Enum."""

    DARK = 1
    PALE = 2


@dataclasses.dataclass(frozen=True)
class Everything(metaclass=Checked):
    """One field of each kind.

    Args:
        count: how many there are; more is slower.
    """

    count: Count = 1
    natural: Natural = 0
    even: Annotated[int, Range(least=2, even=True)] = 2
    real: float = 0.0
    none: float = float("nan")
    positive: Positive = 1.0
    """Length of a step. In metres."""
    nonnegative: NonNegative = 1.0
    chance: Chance = 0.5
    fraction: Fraction = 0.5
    decay: Decay = 0.5
    several: tuple[Count, ...] = (1,)
    some: Annotated[tuple[float, ...], Items(2)] = (1.0, 2.0)
    pair: tuple[float, float] = (0.0, 1.0)
    named: tuple[tuple[str, int], ...] = ()
    listed: list[int] = dataclasses.field(default_factory=list)
    mapping: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    amounts: Mapping[Name, Positive] = dataclasses.field(default_factory=dict)
    flag: bool = False
    text: str = ""
    choice: Literal["one", "two"] = "one"
    maybe: Count | None = None
    auto: int | Literal["auto"] = "auto"
    path: Path = Path()
    shade: Shade = Shade.DARK
    objective: Objective = Final()
    function: Callable[[float], float] = abs
    array: Annotated[Any, Numbers()] = 0
    whole: Annotated[Any, Numbers(whole=True)] = 0
    dtype: Annotated[Any, FloatType()] = None
    advised: Annotated[int, Advice("count to ten first")] = 0
    unknown: "Nowhere" = None  # type: ignore[name-defined]  # noqa: F821
    anything: Any = None
    lazy: int = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("name", "value", "converted"),
    [
        ("count", np.int64(3), 3),
        ("count", jnp.int32(3), 3),
        ("count", np.array(3), 3),
        ("real", np.float32(0.5), 0.5),
        ("real", 3, 3),
        ("real", np.int8(3), 3),
        ("real", float("inf"), float("inf")),
        ("none", float("nan"), float("nan")),
        ("positive", jnp.float32(0.5), 0.5),
        ("chance", 1, 1),
        ("several", [1, np.int64(2)], (1, 2)),
        ("several", np.array([1, 2]), (1, 2)),
        ("several", (), ()),
        ("named", [["a", np.int64(1)]], (("a", 1),)),
        ("listed", (1, 2), [1, 2]),
        ("amounts", {"a": np.float32(0.5)}, {"a": 0.5}),
        ("flag", np.bool_(True), True),
        ("text", np.str_("a"), "a"),
        ("text", Path("a"), "a"),
        ("choice", np.str_("two"), "two"),
        ("maybe", np.int64(2), 2),
        ("auto", np.int64(2), 2),
        ("auto", "auto", "auto"),
        ("path", "a/b", Path("a/b")),
        ("dtype", jnp.float32, jnp.float32),
        ("dtype", "bfloat16", "bfloat16"),
        ("array", [1, 2.5], [1, 2.5]),
        ("whole", 2.0, 2.0),
        ("unknown", "b", "b"),
        ("lazy", None, None),
    ],
)
def test_a_setting_that_fits_becomes_a_plain_value_of_its_type(name: str, value: Any, converted: Any) -> None:
    found = getattr(Everything(**{name: value}), name)
    assert repr(found) == repr(converted)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("count", 0, "count (how many there are) to be a whole number of at least 1, got 0."),
        ("count", 2.0, "a whole number of at least 1, got 2.0; write 2."),
        ("count", 1e3, "got 1000.0; write 1000."),
        ("count", 1.5, "got 1.5."),
        ("count", np.float64(2.5), "got 2.5"),
        ("count", True, "got True."),
        ("count", np.bool_(True), "got True."),
        ("count", "3", "got '3'; write 3 without quotes."),
        ("count", "three", "got 'three'."),
        ("count", None, "got None."),
        ("count", float("nan"), "got nan."),
        ("count", float("inf"), "got inf."),
        ("count", [3], "got [3]."),
        ("count", np.zeros(2), "got an array of shape (2,) and type float64."),
        ("count", jax.random.key(0), "whole number"),
        ("natural", -1, "a whole number of at least 0, got -1."),
        ("even", 5, "an even whole number of at least 2, got 5."),
        ("real", "1.5", "a number, got '1.5'; write 1.5 without quotes."),
        ("real", True, "got True."),
        ("real", 1j, "got 1j."),
        ("real", float("nan"), "a number, got nan."),
        ("real", np.float32("nan"), "a number, got nan."),
        ("real", 10**400, "a number, got 1000"),
        ("count", 2**31, "got 2147483648; the largest that can be counted is 2,147,483,647."),
        ("positive", 2**63, "got 9223372036854775808; the largest that can be counted is 9,223,372,036,854,775,807."),
        ("positive", 0.0, "positive (length of a step) to be a number above 0, got 0.0."),
        ("positive", float("inf"), "got inf."),
        ("positive", float("nan"), "got nan."),
        ("nonnegative", -1, "a number of at least 0, got -1."),
        ("chance", 1.5, "a number from 0 to 1, got 1.5."),
        ("fraction", 0, "a number above 0 and of at most 1, got 0."),
        ("decay", 1.0, "a number of at least 0 and below 1, got 1.0."),
        ("several", 3, "a tuple of whole numbers of at least 1, got 3; write (3,)."),
        ("several", (1, 0), "got (1, 0)."),
        ("several", "12", "got '12'."),
        ("several", {1, 2}, "got {1, 2}."),
        ("several", 10.0, "got 10.0; write (10.0,)."),
        ("some", (1.0,), "a tuple of 2 or more numbers, got (1.0,)."),
        ("pair", (1, 2, 3), "a tuple of 2 numbers, got (1, 2, 3)."),
        ("named", (("a",),), "a tuple of tuples of a string and a whole number, got (('a',),)."),
        ("listed", 3, "a list of whole numbers, got 3; write [3]."),
        ("mapping", [1], "a dict with strings as keys, got [1]."),
        ("amounts", {"a": 0}, "a dict with non-empty strings as keys and numbers above 0 as values, got {'a': 0}."),
        ("amounts", {"a": float("nan")}, "got {'a': nan}."),
        ("amounts", {"a": "1"}, "got {'a': '1'}; write 1 without quotes."),
        ("amounts", {"": 1.0}, "got {'': 1.0}."),
        ("flag", 1, "True or False, got 1."),
        ("text", 3, "a string, got 3."),
        ("choice", "three", "'one' or 'two', got 'three'."),
        ("choice", 1, "'one' or 'two', got 1."),
        ("choice", np.zeros(2), "'one' or 'two', got an array"),
        ("maybe", 0, "a whole number of at least 1 or None, got 0."),
        ("auto", "max", "a whole number or 'auto', got 'max'."),
        ("path", 3, "a path, got 3."),
        ("shade", "dark", "Shade.DARK or Shade.PALE, got 'dark'."),
        ("objective", Final, "an instance of Objective, got the class Final; make an instance, Final(...)."),
        ("objective", "final", "an instance of Objective, got 'final'."),
        ("function", 3, "a function, got 3."),
        ("array", [1, np.nan], "a number or an array of numbers, got [1, nan]."),
        ("array", "a", "got 'a'."),
        ("array", None, "got None."),
        ("array", [[1], [1, 2]], "its rows differ in length."),
        ("whole", 2.5, "a whole number or an array of whole numbers, got 2.5; round it."),
        ("dtype", int, "a float type such as jnp.float32, got the class int."),
        ("dtype", "float33", "got 'float33'."),
        ("advised", "a", "a whole number, got 'a'; count to ten first."),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_a_sentence(name: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        Everything(**{name: value})
    assert str(caught.value).startswith(f"Everything expects {name} ")


def test_what_jax_traces_passes() -> None:
    @jax.jit
    def double(x: jax.Array) -> Any:
        return 2 * Everything(positive=x, maybe=x).positive  # type: ignore[arg-type]

    assert double(2.0) == 4.0


def test_a_subclass_keeps_the_ranges_and_a_wrong_default_is_found() -> None:
    @dataclasses.dataclass(frozen=True)
    class Less(Everything):
        even: int = 4
        positive: float = -1.0
        several: tuple[int, ...] = (2,)
        maybe: int | None = 3
        natural: Annotated[int, Range(most=5)] = 1

    with pytest.raises(ConfigurationError, match=r"Less expects even to be an even whole number of at least 2, got 3"):
        Less(even=3, positive=1.0)
    with pytest.raises(ConfigurationError, match=r"Less expects positive .* above 0, got -1.0"):
        Less()
    assert Less(positive=2).even == 4
    for name, value, words in (
        ("several", (0,), "a tuple of whole numbers of at least 1"),
        ("maybe", 0, "a whole number of at least 1 or None"),
        ("natural", -1, "a whole number from 0 to 5"),
        ("natural", 6, "a whole number from 0 to 5"),
    ):
        with pytest.raises(ConfigurationError, match=f"Less expects {name} to be {words}, got"):
            Less(positive=1.0, **{name: value})


@checked
def power(base: float, exponent: Natural = 2, *, negate: bool = False, **others: Any) -> float:
    """Raise to a power.

    Args:
        base: what is raised.
        exponent: how often.
        negate: change the sign.
        others: ignored.
    """
    return -(base**exponent) if negate else base**exponent


def test_a_call_that_does_not_fit_is_refused_in_a_sentence() -> None:
    assert (power(3, negate=True), power(2, 3, more=1)) == (-9, 8)
    for call, words in (
        (lambda: power(), "power expects base (what is raised), got none; give it."),
        (lambda: power(1, 2, 3), "at most 2 arguments without a name, got 3; name it, as in negate=3."),
        (lambda: power(1, base=2), "power expects base once"),
        (lambda: power(1, negate=1), "power expects negate (change the sign) to be True or False, got 1."),
        (lambda: CMAES(popsize=8), "CMAES has no setting popsize. Nearest: population_size."),
        (lambda: NSGA2(8, initial=[[0.0]]), "NSGA2 has no setting initial. Set Search(initial=...)."),
        (
            lambda: CMAES(population_size="8"),
            "CMAES expects population_size (candidates in a generation, P >= 2) to be",
        ),
        (
            lambda: Problem(),
            "Problem expects to define evaluate, space, which Problem requires; add them to the class.",
        ),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            call()


def test_signatures_stay_visible() -> None:
    assert list(inspect.signature(CMAES).parameters)[:2] == ["population_size", "sigma"]
    assert list(inspect.signature(Integer).parameters)[:3] == ["low", "high", "shape"]
    assert next(iter(inspect.signature(power).parameters)) == "base"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Box(1e-4, 1e-1, log=True), "the shape comes first: Box((), low, high) is one number"),
        (lambda: Box(3), "got 3; the shape comes first"),
        (lambda: Box((-1,)), "shape (shape of ω) to be a tuple of whole numbers of at least 0"),
        (lambda: Box((), 0, 1, True), "name it, as in log=True"),
        (lambda: Box((2,), low="a"), "low (lower bound, a number or an array that broadcasts to shape) to be a number"),
        (lambda: Box((2,), dtype=int), "a float type such as jnp.float32"),
        (lambda: Integer(0, np.inf), "high (the largest) to be a whole number, got inf"),
        (lambda: Integer([0, 0], [3, 5], (2,)), "low (the smallest) to be a whole number, got [0, 0]"),
        (lambda: Integer(0, 10.0), "got 10.0; write 10"),
        (lambda: Integer(0, 5, 3), "got 3; write (3,)"),
        (lambda: Categorical("adam"), "give the choices in a list, such as ['adam', 'sgd']"),
        (lambda: Categorical({"a", "b"}), "give the choices in a list"),
        (lambda: Like(jnp.ones(2), scale=0), "scale (standard deviation of sample around the template's values)"),
        (lambda: Dict(3), "to be a dict"),
        (lambda: CMAES(sigma=[0.1, 3.0]), "got [0.1, 3.0]; for another one in each coordinate, give the space a unit"),
    ],
)
def test_spaces_are_told_by_the_same_check(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()
    assert Categorical(np.int64(3)).size == Integer(np.int32(0), np.int64(3)).size == 1


SPACE = json.dumps({"x": {"type": "float", "low": 0}})
NEEDED: dict[str, dict[str, Any]] = {
    "CommandProblem": {"command": "echo loss = {x}", "parameters": SPACE, "metric": "loss"},
    "CommandSpace": {"content": SPACE},
}
"""Arguments without a default."""


@pytest.mark.parametrize("module", [strategies, problems])
def test_every_default_of_evometa_fits(module: Any) -> None:
    for name in module.__all__:
        cls = getattr(module, name)
        if (
            isinstance(cls, Checked) and not inspect.isabstract(cls) and not name.startswith("Command")
        ):  # needs a command
            defaults = {f.name: f.default for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}
            cls(**defaults, **NEEDED.get(name, {}))
