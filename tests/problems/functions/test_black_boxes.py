"""Formulas of test functions, at points where they were computed by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from evometa.problems.functions.black_boxes import FUNCTIONS


@pytest.mark.parametrize(
    ("name", "point", "value"),
    [
        ("sphere", [1, -2, 3], 14),
        ("ellipsoid", [1, -2, 3], 1 + 4e3 + 9e6),
        ("rastrigin", [1, -2, 0.5], 1 + 4 + 0.25 + 20),
        ("rosenbrock", [0, 1, 0], 100 + 0 + 100 * 9 + 1),  # of (1, 2, 1)
        ("discus", [1, -2, 3], 1e6 + 13),
        ("bent_cigar", [1, -2, 3], 1 + 13e6),
        ("sharp_ridge", [1, -3, 4], 1 + 500),
        ("different_powers", [2, -2, 2], np.sqrt(4 + 16 + 64)),
        ("schaffers", [3, 4, 3], 5 * (1 + np.sin(50 * 5**0.2) ** 2) ** 2),
        ("ackley", [1, -1, 1], 20 - 20 * np.exp(-0.2)),
        ("zakharov", [1, 1, -2 / 3], 1 + 1 + 4 / 9 + 0.25 + 0.0625),
    ],
)
def test_values(name: str, point: list[float], value: float) -> None:
    found = float(FUNCTIONS[name](jnp.asarray(point, jnp.float32)))
    assert found == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_origin_is_the_least(name: str) -> None:
    function = FUNCTIONS[name]
    assert float(function(jnp.zeros(4))) == pytest.approx(0, abs=1e-6)
    points = np.random.default_rng(1).normal(size=(50, 4))
    assert min(float(function(jnp.asarray(0.3 * point))) for point in points) > 1e-3
