"""Expressions in SymPy have the values of plain arithmetic, and the LaTeX that one would write by hand."""

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from evometa.expressions import (
    REDUCTIONS,
    Expression,
    Primitive,
    PrimitiveSet,
    Tree,
    compile_tree,
    functions,
    latex,
    parse,
    symbols,
    text,
    to_sympy,
)
from evometa.expressions.notation import fold, number
from evometa.plots import tree_nodes

PRIMITIVES = PrimitiveSet(("prediction", "label"))
PLAIN: dict[str, Any] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "log": lambda a: np.log(np.abs(a)),
    "exp": np.exp,
    "sqrt": lambda a: np.sqrt(np.abs(a)),
    "square": np.square,
    "tanh": np.tanh,
    "min": np.minimum,
    "max": np.maximum,
    "sign": np.sign,
    "less": np.less,
    "if_then_else": np.where,
}


def test_values_are_those_of_plain_arithmetic_where_nothing_is_protected() -> None:
    rng = np.random.default_rng(0)
    points = {"prediction": rng.uniform(0.1, 0.9, 40), "label": rng.normal(size=40)}
    space = Expression(PRIMITIVES, max_size=15)
    trees = jax.device_get(jax.jit(jax.vmap(space.sample))(jax.random.split(jax.random.key(0), 150)))
    compared = 0
    for tree in (Tree(op, constant) for op, constant in zip(trees.op, trees.constant, strict=True)):
        plain = np.ones(40, bool)

        def call(primitive: Primitive, parts: list[Any], plain: Any = plain) -> Any:
            last = np.abs(parts[-1])
            limits = {"div": last >= 1e-3, "log": last >= 1e-3, "sqrt": last >= 1e-3, "exp": last <= 10}
            plain &= limits.get(primitive.name, np.isfinite(last))
            if primitive.name in ("less", "min", "max"):  # rounding decides between what is equal
                plain &= np.abs(parts[0] - parts[1]) > 1e-9
            return PLAIN[primitive.name](*parts)

        with np.errstate(all="ignore"):
            expected = fold(PRIMITIVES, tree, points.__getitem__, lambda v: np.full(40, float(number(v))), call)
            if not plain.any():
                continue
            written = to_sympy(PRIMITIVES, tree)
            found = sympy.lambdify(tuple(sympy.Symbol(name, real=True) for name in points), written)(*points.values())
        np.testing.assert_allclose(np.broadcast_to(found, 40)[plain], expected[plain], rtol=1e-6, atol=1e-9)
        compared += int(plain.sum())
    assert compared > 4000


@pytest.mark.parametrize("given", ["pow(x, y)", "pow(x, 3)", "pow(x, 0.5)", "pow(abs(x), y)", "pow(0, y)"])
def test_powers_in_sympy_have_the_values_of_the_function(given: str) -> None:
    primitives = PrimitiveSet(("x", "y")).add("abs", jnp.abs, symbolic=symbols.absolute)
    primitives = primitives.add("pow", functions.power, symbolic=symbols.power)
    x, y = np.array([-2.0, -2.0, 3.0, -2.0, 2.5]), np.array([3.0, 0.5, -1.5, 2.0, -1.0])
    tree = parse(primitives, given)
    names = [sympy.Symbol(name, real=True) for name in ("x", "y")]
    found = [sympy.lambdify(names, to_sympy(primitives, tree))(*point) for point in zip(x, y, strict=True)]
    np.testing.assert_allclose(found, compile_tree(primitives, tree)(jnp.asarray(x), jnp.asarray(y)), rtol=1e-5)


def test_constants_in_double_precision_keep_their_digits() -> None:
    tree = parse(PRIMITIVES, "sub(label, 0)")
    whole = Tree(tree.op, np.array([0, 0, 1.7e9 + 0.125]))  # type: ignore[arg-type]
    assert text(PRIMITIVES, whole) == "sub(label, 1700000000.125)"
    assert latex(PRIMITIVES, whole) == r"\mathrm{label} - 1700000000.125"
    assert tree_nodes(PRIMITIVES, whole)[2].label == "1700000000.125"


def shown(given: str, primitives: PrimitiveSet = PRIMITIVES, **options: Any) -> str:
    return latex(primitives, parse(primitives, given), **options)


def test_latex() -> None:
    p, y = r"\mathrm{prediction}", r"\mathrm{label}"
    assert shown("mul(0.123456, log(prediction))") == rf"0.1235 \log{{\left(\left|{{{p}}}\right| \right)}}"
    assert shown("div(label, sqrt(prediction))") == rf"\frac{{{y}}}{{\sqrt{{\left|{{{p}}}\right|}}}}"
    assert shown("sub(label, sub(label, mul(label, 2)))") == rf"2 {y}"
    cases = shown("if_then_else(less(label, 0.5), prediction, min(label, exp(prediction)))")
    assert cases.startswith(rf"\begin{{cases}} {p} & \text{{for}}\: {y} < 0.5 \\\min")
    long = "add(square(tanh(label)), sub(1, square(tanh(label))))"
    assert shown(long, simplify=True) == shown("1.0") == "1"


def test_names_and_functions_of_users() -> None:
    arguments = {"second_moment": "real", "x1": "real", "alpha": "real", "ok": "bool"}
    primitives = PrimitiveSet(arguments).add("sin", jnp.sin).add("twice", lambda a: 2 * a)
    assert shown("mul(second_moment, sin(x1))", primitives) == r"\mathrm{second\_moment} \sin{\left(x_{1} \right)}"
    assert shown("twice(alpha)", primitives) == r"\operatorname{twice}{\left(\alpha \right)}"
    assert shown("if_then_else(ok, x1, 0)", primitives).startswith(r"\begin{cases} x_{1} & \text{for}\: \mathrm{ok}")
    told = PrimitiveSet(("x",)).add("twice", lambda a: 2 * a, symbolic=lambda a: 2 * a)
    x = sympy.Symbol("x", real=True)
    assert sympy.diff(to_sympy(told, parse(told, "twice(square(x))")), x) == 4 * x
    reducing = PrimitiveSet(("x",), REDUCTIONS)
    assert str(to_sympy(reducing, parse(reducing, "mean(x)"))) == "mean(x)"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("div(prediction, sub(label, label))", "1"),
        ("log(0)", "0"),
        ("sqrt(sub(1, 1))", "0"),
        ("exp(100)", "e^{10}"),
        ("exp(-100)", "e^{-10}"),
    ],
)
def test_constant_inputs_of_protected_functions_are_protected(given: str, value: str) -> None:
    assert shown(given) == value


def test_sympy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, evometa, evometa.expressions, evometa.problems; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
