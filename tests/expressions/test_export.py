import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.expressions import PrimitiveSet, Tree, compile_tree, parse
from evometa.expressions.export import source

PRIMITIVES = PrimitiveSet(("prediction", "label")).add("sin", jnp.sin).add("relu", jax.nn.relu)
TEXT = (
    "add(if_then_else(less(label, 0.5), div(log(prediction), sqrt(sin(label))), relu(exp(prediction))), "
    "sub(label, mul(tanh(prediction), max(label, -0.25))))"
)


def test_an_exported_function_is_the_program_without_evometa(tmp_path: Path) -> None:
    tree = parse(PRIMITIVES, TEXT)
    (tmp_path / "found.py").write_text(source(PRIMITIVES, tree, "loss"))
    (tmp_path / "use.py").write_text(
        "import sys, numpy as np\nsys.modules['evometa'] = None\nfrom found import loss\n"
        "print(np.asarray(loss(np.linspace(-1, 1, 9, dtype='f'), np.linspace(0, 1, 9, dtype='f'))).tolist())\n"
    )
    ran = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    x, y = jnp.linspace(-1, 1, 9), jnp.linspace(0, 1, 9)
    np.testing.assert_allclose(json.loads(ran.stdout), compile_tree(PRIMITIVES, tree)(x, y), rtol=1e-5)
    module: dict[str, object] = {}
    exec(source(PRIMITIVES, tree), module)
    gradients = [
        jax.grad(lambda x, f=f: jnp.sum(f(x, y)))(x) for f in (module["expression"], compile_tree(PRIMITIVES, tree))
    ]
    np.testing.assert_allclose(*gradients, rtol=1e-5)


def test_a_constant_has_the_shape_of_the_arguments() -> None:
    module: dict[str, object] = {}
    exec(source(PRIMITIVES, parse(PRIMITIVES, "0.5")), module)
    assert module["expression"](np.ones((2, 3)), np.ones((2, 3))).shape == (2, 3)  # type: ignore[operator]


def test_constants_in_double_precision_are_computed_in_it() -> None:
    tree = parse(PRIMITIVES, "add(div(sub(label, 0), 60.0), prediction)")
    constants = np.where(np.asarray(tree.op) == PRIMITIVES.constant, [0, 0, 0, 0, 1.7e9 + 0.5, 60.0, 0], 0.0)
    module: dict[str, Any] = {}
    exec(source(PRIMITIVES, Tree(tree.op, constants)), module)  # type: ignore[arg-type]
    found = module["expression"](np.zeros(3), 1.7e9 + np.array([1.0, 2.0, 61.0]))
    assert (type(found), found.dtype) == (np.ndarray, np.float64)
    np.testing.assert_allclose(found, [0.5 / 60, 1.5 / 60, 60.5 / 60], rtol=1e-12)
    if hasattr(jax, "enable_x64"):  # JAX 0.7 differentiates nothing that changes precision
        assert jax.grad(lambda p, y: module["expression"](p, y))(1.0, 2.0) == 1


def test_names_of_arguments_and_of_what_a_module_needs_differ() -> None:
    primitives = PrimitiveSet(("jnp", "divide", "divide_"))
    module: dict[str, Any] = {}
    exec(source(primitives, parse(primitives, "div(jnp, add(divide, divide_))")), module)
    assert module["expression"](6.0, 1.0, divide__=2.0) == 2
    with pytest.raises(ConfigurationError, match="a name that its module does not use, got 'divide'"):
        source(primitives, parse(primitives, "div(jnp, 2)"), "divide")


def test_a_lambda_cannot_be_exported() -> None:
    primitives = PRIMITIVES.add("twice", lambda a: 2 * a)
    with pytest.raises(ConfigurationError, match="that of 'twice' has none; define it by def"):
        source(primitives, parse(primitives, "twice(label)"))
    with pytest.raises(ConfigurationError, match="expects a name that is a Python identifier"):
        source(PRIMITIVES, parse(PRIMITIVES, "label"), "my loss")
