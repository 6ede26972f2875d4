"""The test functions have the values, optima and symmetries of the literature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.backend.precision import enable_x64
from evometa.problems import Ellipsoid, Rastrigin, Rosenbrock, Sphere

FUNCTIONS = [Sphere, Rosenbrock, Ellipsoid, Rastrigin]
Function = type[Sphere] | type[Rosenbrock] | type[Ellipsoid] | type[Rastrigin]
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("function", "point", "value"),
    [
        (Sphere, [1.0, -2.0, 3.0], 14.0),
        (Rosenbrock, [-1.0, 2.0, 0.0], 100 + 4 + 1600 + 1),
        (Ellipsoid, [1.0, 2.0, 3.0], 1 + 1e3 * 4 + 1e6 * 9),
        (Rastrigin, [0.5, 1.0, -2.0], 0.25 + 20 + 1 + 4),
    ],
)
def test_values_by_hand(function: Function, point: list[float], value: float) -> None:
    found = function(dimension=3).evaluate(KEY, jnp.array(point))
    np.testing.assert_allclose(found, value, rtol=1e-5)


@pytest.mark.parametrize("rotation_seed", [None, 3])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_zero_at_the_optimum_alone_and_inside_the_bounds(function: Function, rotation_seed: int | None) -> None:
    problem = function(dimension=4, rotation_seed=rotation_seed)
    optimum = jnp.full(4, problem.optimum)
    assert problem.evaluate(KEY, optimum) == 0
    around = optimum + 0.01 * jax.random.normal(KEY, (64, 4))
    assert (jax.vmap(problem.evaluate, in_axes=(None, 0))(KEY, around) > 0).all()
    assert problem.bounds[0] < problem.optimum < problem.bounds[1]


def test_rotation_keeps_distances_and_removes_separability() -> None:
    point = jnp.array([1.0, -0.5, 2.0])
    turned = Sphere(dimension=3, rotation_seed=1).evaluate(KEY, point)
    np.testing.assert_allclose(turned, jnp.sum(point**2), rtol=1e-6)

    def mixed(problem: Ellipsoid) -> jax.Array:
        hessian = jax.hessian(lambda x: problem.evaluate(KEY, x))(point)
        return jnp.abs(hessian - jnp.diag(jnp.diag(hessian))).max()

    assert mixed(Ellipsoid(dimension=3)) == 0
    assert mixed(Ellipsoid(dimension=3, rotation_seed=1)) > 1e3
    spectrum = jnp.linalg.eigvalsh(
        jax.hessian(lambda x: Ellipsoid(dimension=3, rotation_seed=1).evaluate(KEY, x))(point)
    )
    np.testing.assert_allclose(spectrum[1:], [2e3, 2e6], rtol=1e-2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_float64_is_resolved_under_x64(function: Function) -> None:
    with enable_x64(True):
        problem = function(dimension=3, rotation_seed=2)
        key = jax.random.key(0)
        omega = problem.space.decode(problem.space.start(key))
        assert problem.evaluate(key, omega).dtype == jnp.float64
        near = jnp.full(3, problem.optimum) + 1e-9
        assert 0 < problem.evaluate(key, near) < 1e-10


@pytest.mark.parametrize(
    ("function", "settings", "words"),
    [
        (Sphere, {"dimension": 0}, "to be a whole number of at least 1, got 0"),
        (Rosenbrock, {"dimension": 1}, "dimension >= 2"),
        (Sphere, {"rotation_seed": -1}, "to be a whole number of at least 0 or None, got -1"),
    ],
)
def test_bad_settings(function: Function, settings: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        function(**settings)
