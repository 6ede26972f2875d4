import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.expressions import LOSS_PRIMITIVES, REDUCTIONS, Primitive, PrimitiveSet, functions


def test_codes_are_primitives_then_arguments_then_the_constant() -> None:
    primitives = PrimitiveSet({"x": "real", "mask": "bool"}, primitives=LOSS_PRIMITIVES[-2:])
    assert primitives.names == ("less", "if_then_else", "x", "mask")
    assert primitives.types == ("bool", "real")
    assert primitives.arities.tolist() == [2, 3, 0, 0, 0]
    assert primitives.results.tolist() == [0, 1, 1, 0, 1]
    assert primitives.inputs.tolist() == [[1, 1, -1], [0, 1, 1], [-1] * 3, [-1] * 3, [-1] * 3]
    assert (primitives.code("mask"), primitives.constant) == (3, 4)


def test_equal_sets_are_equal_and_hash_alike() -> None:
    first, second = PrimitiveSet(("a", "b")), PrimitiveSet({"a": "real", "b": "real"})
    assert first == second
    assert hash(first) == hash(second)
    assert first != dataclasses.replace(first, ephemeral=2.0)
    assert PrimitiveSet(("a",), ephemeral=[1, 2]).ephemeral == (1.0, 2.0)


def test_a_primitive_is_added_in_one_line() -> None:
    primitives = PrimitiveSet(("x",)).add("sin", jnp.sin).add("hypot", lambda a, b: jnp.sqrt(a * a + b * b))
    assert [(p.name, p.types, p.returns) for p in primitives.primitives[-2:]] == [
        ("sin", ("real",), "real"),
        ("hypot", ("real", "real"), "real"),
    ]


def test_least_sizes_and_depths_go_through_other_types() -> None:
    primitives = PrimitiveSet(("x",))
    assert dict(zip(primitives.types, primitives.least_sizes, strict=True)) == {"real": 1, "bool": 3}
    assert dict(zip(primitives.types, primitives.least_depths, strict=True)) == {"real": 0, "bool": 1}


POWER, TANGENT = Primitive("pow", functions.power), Primitive("tan", functions.tan, ("real",))


@pytest.mark.parametrize("primitive", [*LOSS_PRIMITIVES, *REDUCTIONS, POWER, TANGENT], ids=lambda p: p.name)
def test_values_and_gradients_are_finite_at_poles_and_kinks(primitive: Primitive) -> None:
    points = jnp.asarray([-1e4, -1.0, -1e-6, -1e-9, -0.0, 0.0, 1e-9, 1e-6, 0.5, 1.0, np.pi / 2, 3.0, 1e4])
    grid = [each.reshape(-1) for each in jnp.meshgrid(*[points] * primitive.arity)]
    value, pull = jax.vjp(primitive.function, *grid)
    assert jnp.isfinite(value).all()
    assert all(jnp.isfinite(part).all() for part in pull(jnp.ones_like(value)))


def test_protected_values() -> None:
    named = {p.name: p.function for p in LOSS_PRIMITIVES}
    one, zero = jnp.ones(1), jnp.zeros(1)
    assert named["div"](3 * one, 2 * one) == 1.5
    assert named["div"](3 * one, zero) == 1
    assert named["log"](-one * np.e) == pytest.approx(1)
    assert named["log"](zero) == 0
    assert named["exp"](1e3 * one) == pytest.approx(np.exp(10.0))
    assert named["sqrt"](-4 * one) == 2
    assert (named["less"](zero, one), named["less"](one, one)) == (1, 0)
    bases, exponents = jnp.asarray([2.0, -2, -2, -2, -4, 0, 0, 0]), jnp.asarray([0.5, 3, 2, -1, 0.5, 2, 0, -1])
    expected = [2**0.5, -8, 4, -0.5, 2, 0, 1, 1]
    np.testing.assert_allclose(functions.power(bases, exponents), expected, rtol=1e-6)
    np.testing.assert_allclose(functions.tan(jnp.asarray([0.5, np.pi / 2])), [np.tan(0.5), 0], rtol=1e-6)
    assert (named["if_then_else"](one, 2 * one, 3 * one), named["if_then_else"](zero, 2 * one, 3 * one)) == (2, 3)


def shortened(a: jax.Array) -> jax.Array:
    return a[:1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Primitive("2x", jnp.sin, ("real",)), "a Python identifier, such as 'sin', got '2x'"),
        (lambda: Primitive("f", jnp.sin, ("real",) * 4), "at most 3 inputs, got 4 types for 'f'"),
        (lambda: Primitive("f", jnp.sin, ("real", "real")), "a JAX function of 2 arrays for 'f'.*and it fails"),
        (lambda: Primitive("f", shortened, ("real",)), r"keeps the shape.*became float32\[1, 3\]"),
        (lambda: Primitive("f", jnp.isnan, ("real",)), r"keeps the shape and float type.*became bool\[2, 3\]"),
        (lambda: PrimitiveSet(()), "names of arguments, at least one"),
        (lambda: PrimitiveSet("x"), "a dict from name to type, got 'x'"),
        (lambda: PrimitiveSet(("x", "lambda")), "a Python identifier, such as 'sin', got 'lambda'"),
        (lambda: PrimitiveSet(("add",)), r"each name once, got \['add'\] twice"),
        (lambda: PrimitiveSet(("x",)).add("sqrt", jnp.sqrt), r"each name once, got \['sqrt'\] twice"),
        (lambda: PrimitiveSet(("x",), ephemeral=0.0), "ephemeral to be a finite scale > 0.*got 0.0"),
        (
            lambda: PrimitiveSet(("x",), ephemeral=(1.0, float("nan"))),
            r"ephemeral \(.*\) to be a finite number, a tuple",
        ),
        (lambda: PrimitiveSet(("x",), returns="angle"), "makes the type 'angle' for 'returns', and nothing does"),
        (lambda: PrimitiveSet(("x",), LOSS_PRIMITIVES[-1:]), "makes the type 'bool' for 'if_then_else'"),
        (lambda: PrimitiveSet(("x",)).code("ad"), "the names of its primitive set, got 'ad'. Nearest: add"),
    ],
)
def test_bad_input_is_refused_in_words(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]
