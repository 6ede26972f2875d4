"""The ZDT functions and DTLZ2 have the values and fronts of their papers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import DTLZ2, ZDT1, ZDT2, ZDT3, ZDT4, ZDT6

KEY = jax.random.key(0)
Function = type[ZDT1] | type[ZDT2] | type[ZDT3] | type[ZDT4] | type[ZDT6]
FUNCTIONS = [ZDT1, ZDT2, ZDT3, ZDT4, ZDT6]


@pytest.mark.parametrize(
    ("function", "point", "values"),
    [
        (ZDT1, [0.25, 0.5, 1.0], [0.25, 7.75 * (1 - np.sqrt(0.25 / 7.75))]),
        (ZDT2, [0.25, 0.5, 1.0], [0.25, 7.75 - 0.25**2 / 7.75]),
        (ZDT3, [0.25, 0.0, 0.0], [0.25, 1 - 0.5 - 0.25]),
        (ZDT4, [0.25, 0.25, -1.0], [0.25, (g := 1 + 20 + 0.0625 + 10 + 1 - 10) * (1 - np.sqrt(0.25 / g))]),
        (ZDT6, [0.25, 0.5, 0.5], [(f := 1 - np.exp(-1)), (g := 1 + 9 * 0.5**0.25) * (1 - (f / g) ** 2)]),
    ],
)
def test_values_by_hand(function: Function, point: list[float], values: list[float]) -> None:
    found = jax.jit(function(dimension=3).evaluate)(KEY, np.array(point, np.float32))
    np.testing.assert_allclose(found.objectives, values, rtol=1e-5)
    np.testing.assert_allclose(found.fitness, sum(values), rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_front_is_reached_and_nothing_is_beyond_it(function: Function) -> None:
    problem = function(dimension=4)
    front = problem.front(400)
    assert (np.diff(front[:, 0]) > 0).all()
    assert (np.diff(front[:, 1]) < 0).all()

    @jax.jit
    def both() -> tuple[jax.Array, jax.Array]:
        along = jnp.zeros((2000, 4)).at[:, 0].set(jnp.linspace(0, 1, 2000))
        drawn = jax.vmap(problem.space.decode)(jax.vmap(problem.space.sample)(jax.random.split(KEY, 2000)))
        evaluate = jax.vmap(lambda omega: problem.evaluate(KEY, omega).objectives)
        return evaluate(along), evaluate(drawn)

    for objectives, reaches in zip(jax.device_get(both()), (True, False), strict=True):
        beyond = (objectives[:, None] < front - 2e-3).all(axis=2).any()
        assert not beyond
        near = np.abs(objectives[None] - front[:, None]).max(axis=2).min(axis=1)
        assert (near.max() < 0.02) == reaches


def test_zdt3_has_a_front_of_five_pieces() -> None:
    front = ZDT3().front(2000)
    gaps = np.flatnonzero(np.diff(front[:, 0]) > 0.02)
    assert len(gaps) == 4
    np.testing.assert_allclose(front[[0, *(gaps + 1)], 0], [0, 0.1822, 0.4093, 0.6184, 0.8233], atol=2e-3)


def test_zdt4_has_wide_bounds_but_for_the_first_coordinate() -> None:
    space = ZDT4(dimension=3).space
    assert space.low is not None
    assert space.high is not None
    assert (space.low.tolist(), space.high.tolist()) == ([0, -5, -5], [1, 5, 5])


@pytest.mark.parametrize("objectives", [2, 3, 5])
def test_dtlz2_lies_on_spheres_and_has_every_direction_of_its_front(objectives: int) -> None:
    problem = DTLZ2(dimension=objectives + 2, objectives=objectives)
    np.testing.assert_allclose(np.linalg.norm(problem.front(50), axis=1), 1)
    omegas = np.random.default_rng(0).random((5000, objectives + 2), np.float32)
    evaluate = jax.jit(jax.vmap(lambda omega: problem.evaluate(KEY, omega).objectives))
    found = np.asarray(evaluate(omegas))
    assert (found >= -1e-6).all()
    radius = 1 + np.sum((omegas[:, objectives - 1 :] - 0.5) ** 2, axis=1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), radius, rtol=1e-5)
    corners = np.eye(objectives)
    nearest = ((found / radius[:, None])[:, None] * corners).sum(axis=2).max(axis=0)
    assert (nearest > 0.9).all()


def test_dtlz2_by_hand() -> None:
    third = DTLZ2(dimension=3, objectives=3).evaluate(KEY, jnp.array([1 / 3, 0.5, 0.5]))
    expected = [np.cos(np.pi / 6) / np.sqrt(2), np.cos(np.pi / 6) / np.sqrt(2), 0.5]
    np.testing.assert_allclose(third.objectives, expected, rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_settings(function: Function) -> None:
    with pytest.raises(ConfigurationError, match=r"expects dimension .* of at least 2, got 1"):
        function(dimension=1)


@pytest.mark.parametrize("settings", [{"objectives": 1}, {"dimension": 2, "objectives": 3}])
def test_bad_settings_of_dtlz2(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="expects objectives"):
        DTLZ2(**settings)
