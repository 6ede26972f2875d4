"""Constants, and parts of a Dict that are active beside certain values of another."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Categorical, ConfigurationError, Dict, Fixed, Integer, VectorSpace, When

SPACE = Dict(
    {
        "optimizer": Categorical(["adam", "sgd", "lion"]),
        "momentum": When("optimizer", "sgd", Box((), 0.5, 0.99)),
        "beta": When("optimizer", ["adam", "lion"], Box((2,), 0.1, 0.9), otherwise=-1.0),
        "nested": When("optimizer", "sgd", Categorical(["no", "yes"])),
        "damping": When("nested", "yes", Integer(1, 9)),
        "classes": Fixed({"count": 10, "weights": [0.5, 0.25]}),
    }
)
DECODE = jax.jit(SPACE.decode)
CASES = {
    (0.0, 1.0): ({"optimizer", "beta", "classes"}, 0),
    (1.0, 0.0): ({"optimizer", "momentum", "nested", "classes"}, 0),
    (1.0, 1.0): ({"optimizer", "momentum", "nested", "damping", "classes"}, 4),
}


def genotype(optimizer: float, nested: float) -> Any:
    momentum, low = 0.75 / 0.49, 0.3 / 0.8
    return np.asarray([optimizer, momentum, low, low, nested, 4.0], np.float32)


@pytest.mark.parametrize("case", CASES)
def test_inactive_parts_are_replaced_in_jax_and_absent_in_plain_python(case: tuple[float, float]) -> None:
    present, damping = CASES[case]
    omega = DECODE(genotype(*case))
    np.testing.assert_allclose(omega["momentum"], 0.75 if "momentum" in present else 0.0, rtol=1e-6)
    np.testing.assert_allclose(omega["beta"], [0.3, 0.3] if "beta" in present else [-1.0, -1.0], rtol=1e-6)
    assert (int(omega["damping"]), omega["damping"].dtype) == (damping, jnp.int32)
    masks = jax.jit(lambda g: SPACE.active(SPACE.decode(g)))(genotype(*case))
    assert {name for name, active in masks.items() if active} == present - {"optimizer", "classes"}
    held = jax.device_get(omega)
    assert set(SPACE.present(held)) == present
    assert SPACE.present(SPACE.present(held)) == SPACE.present(held)
    again = DECODE(np.asarray(SPACE.encode(SPACE.present(held)), np.float32))
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-6), again, omega)
    jax.tree.map(np.testing.assert_array_equal, SPACE.encode(held)[:1], SPACE.encode(SPACE.present(held))[:1])


def test_a_constant_is_part_of_omega_and_not_of_the_genotype() -> None:
    assert SPACE.size == 6
    omega = DECODE(jax.jit(SPACE.sample)(jax.random.key(0)))
    assert int(omega["classes"]["count"]) == 10
    np.testing.assert_array_equal(omega["classes"]["weights"], [0.5, 0.25])
    nested = Dict({"inner": SPACE, "n": Integer(0, 3)})
    omega = jax.device_get(jax.jit(nested.decode)(np.append(genotype(0.0, 0.0), np.float32(2.0))))
    assert set(nested.present(omega)["inner"]) == {"optimizer", "beta", "classes"}


def test_a_part_may_depend_on_integers() -> None:
    space = Dict({"layers": Integer(1, 9, step=2), "units": When("layers", range(3, 8, 2), Integer(5, 8))})
    decode = jax.jit(space.decode)
    for step, active in enumerate([False, True, True, True, False]):
        omega = jax.device_get(decode(np.asarray([step, 6.0], np.float32)))
        assert (set(space.present(omega)) == {"layers", "units"}) is active


def given(name: str, values: Any, before: VectorSpace | None = None) -> Callable[[], Any]:
    return lambda: Dict({"a": before or Categorical(["x", "y"]), "b": When(name, values, Box(()))})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (given("c", "x"), "'b' to depend on an Integer or Categorical without a shape, named before it"),
        (given("b", "x"), "got When('b', ...) after ['a']"),
        (given("a", "x", Box(())), "'b' to depend on an Integer or Categorical"),
        (given("a", "x", Categorical(["x"], (2,))), "without a shape"),
        (given("a", "z"), "active for some of the values of 'a', ('x', 'y'), got 'z'"),
        (given("a", ["x", "z"]), "got ['x', 'z']"),
        (given("a", []), "got []"),
        (given("a", 7, Integer(1, 5)), "got 7"),
        (lambda: Fixed("text"), "a number, an array or a pytree of them, got 'text'"),
        (lambda: Dict({"a": When("a", 1, 3)}), "to be an instance of VectorSpace, got 3"),  # type: ignore[arg-type]
        (lambda: SPACE.encode({"optimizer": 1, "nested": 0, "classes": 0}), "'momentum', which is active"),
        (lambda: SPACE.encode({"optimizer": 1, "other": 0}), "got ['optimizer', 'other']"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        make()


def test_a_start_may_leave_constants_out_but_not_change_them() -> None:
    space = Dict({"x": Box((), 0.0, 1.0), "k": Fixed(0.1), "more": Dict({"c": Fixed([1, 2])})})
    for given in ({"x": 0.5}, {"x": 0.5, "k": np.float32(0.1), "more": {"c": [1, 2]}}, {"x": 0.5, "more": {}}):
        assert space.encode(given).tolist() == [0.5]
    for wrong in ({"k": 0.2}, {"k": "a"}, {"k": [0.1]}, {"more": {"c": [1, 3]}}):
        with pytest.raises(ConfigurationError, match=r"Fixed expects its own value in a start, .*; leave it out"):
            space.encode({"x": 0.5} | wrong)
