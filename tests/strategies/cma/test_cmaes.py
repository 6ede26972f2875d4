"""CMA-ES: its constants against pycma, its convergence, its edges, its stop reasons."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.spaces import Box
from evometa.strategies import CMAES
from evometa.strategies.cma.cmaes import CMAESState
from evometa.strategies.cma.rates import rates
from evometa.strategies.cma.update import factorise
from evometa.strategy import Feedback

from ..driver import cigar, ellipsoid, first_generation, rosenbrock, search, searches, sphere

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import cma


FAR = np.asarray([1000.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(("population_size", "dimension"), [(4, 2), (10, 10), (64, 16), (7, 100), (200, 3)])
def test_constants_are_pycmas(population_size: int, dimension: int) -> None:
    options = {"popsize": population_size, "verbose": -9}
    reference = cma.CMAEvolutionStrategy(dimension * [0.0], 1.0, options).sp
    ours = rates(population_size, dimension)
    assert ours.c_1 == pytest.approx(reference.c1)
    assert ours.c_mu == pytest.approx(reference.cmu)
    assert ours.c_c == pytest.approx(reference.cc)
    np.testing.assert_allclose(ours.gain - ours.loss, reference.weights, atol=1e-12)


def test_default_population_size_is_hansens() -> None:
    assert [CMAES.default_population_size(d) for d in (1, 10, 40, 100)] == [4, 10, 15, 17]


@pytest.mark.parametrize(("function", "single"), [(sphere, 1e-8), (ellipsoid, 1e-6), (rosenbrock, 1e-8), (cigar, 1e-6)])
def test_converges(function, single: float, precision: str) -> None:
    target = 1e-12 if precision == "float64" else single
    found = search(CMAES(12), Box((8,), start=np.full(8, -1.0)), function, generations=1500, target=target)
    assert found.best <= target


@pytest.mark.usefixtures("x64")
def test_needs_as_many_evaluations_as_pycma_on_a_rotated_ellipsoid() -> None:
    # pycma's mean over 100 runs from this start is 3 900 evaluations (standard deviation 250).
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    strategy, space = CMAES(10, sigma=2.0), Box((10,), start=np.full(10, 2.0))
    runs = searches(strategy, space, lambda x: ellipsoid(x @ rotation), generations=2000, target=1e-8, seeds=range(5))
    assert np.mean([run.generations for run in runs]) == pytest.approx(390, rel=0.12)


@pytest.mark.usefixtures("x64")
def test_diagonal_decoding_learns_scales_fast_and_rotations_as_well() -> None:
    # pycma with its own diagonal decoding: 2 265 evaluations on the ellipsoid and 3 975 on the rotated one, from this
    # start; without, 4 045 and 4 055.
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    for function, expected in ((ellipsoid, 226), (lambda x: ellipsoid(x @ rotation), 397)):
        strategy, space = CMAES(10, sigma=2.0, diagonal_decoding=True), Box((10,), start=np.full(10, 2.0))
        runs = searches(strategy, space, function, generations=1000, target=1e-8, seeds=range(4))
        assert np.mean([run.generations for run in runs]) == pytest.approx(expected, rel=0.12)


def test_stagnation_ends_a_search_that_only_noise_moves() -> None:
    def noisy(x: jax.Array) -> jax.Array:
        return jnp.mod(jnp.sum(x, axis=1) * 98765.4, 1.0)

    options = {"generations": 6000}
    space = Box((4,), -1.0, 1.0, start=np.zeros(4))
    found = search(CMAES(12, stagnation=True), space, noisy, **options)
    assert found.reason == "tolstagnation"
    assert search(CMAES(12), space, noisy, **options).reason != "tolstagnation"
    slow = search(CMAES(12, stagnation=True, sigma=1e-3), Box((4,), start=np.ones(4)), lambda x: -x[:, 0], **options)
    assert slow.reason == "tolfacupx"  # it gets better all the time


def test_optimum_on_a_bound() -> None:
    space = Box((4,), -1.0, 3.0, start=np.full(4, 2.0))
    found = search(CMAES(16), space, lambda x: jnp.sum((x + 0.25) ** 2, axis=1), generations=150)
    np.testing.assert_allclose(space.decode(space.repair(found.state.mean)), -1.0, atol=1e-4)
    assert found.best < 1e-7


def test_order_and_scale_of_the_fitness_do_not_matter() -> None:
    strategy = CMAES(8)
    genotypes, state = first_generation(strategy, Box((3,)))
    tell = jax.jit(strategy.tell)
    fitness = jnp.asarray([3.0, 1.0, 2.0, 2.0, 5.0, 0.0, jnp.inf, 2.0])
    straight = tell(jax.random.key(2), state, genotypes, Feedback(fitness))
    cubed = tell(jax.random.key(2), state, genotypes, Feedback(fitness**3))
    turned = tell(jax.random.key(2), state._replace(noise=state.noise[::-1]), genotypes[::-1], Feedback(fitness[::-1]))
    for field in ("mean", "sigma", "covariance", "path_sigma", "path_c"):
        np.testing.assert_array_equal(getattr(straight, field), getattr(cubed, field))
        np.testing.assert_allclose(getattr(straight, field), getattr(turned, field), rtol=1e-5, atol=1e-6)


def test_a_plateau_leaves_sigma_unbiased() -> None:
    strategy = CMAES(16, tolfun=0.0, tolfunhist=0.0)

    def last_sigma(key: jax.Array) -> jax.Array:
        def one(state: CMAESState, key: jax.Array) -> tuple[CMAESState, None]:
            genotypes, state = strategy.ask(key, state)
            return strategy.tell(key, state, genotypes, Feedback(jnp.zeros(16))), None

        state = strategy.init(key, Box((8,)))
        return jax.lax.scan(one, state, jax.random.split(key, 40))[0].sigma

    growth = np.log(jax.jit(jax.vmap(last_sigma))(jax.random.split(jax.random.key(0), 200)) / 0.3)
    # σ does a random walk of 0.67 in these generations; paths normalised by the weights of distinct ranks would be too
    # short and take it down to e^-6.
    assert abs(growth.mean()) < 3 * 0.67 / 200**0.5


def test_failed_candidates_do_not_pull_the_mean() -> None:
    strategy = CMAES(6)
    genotypes, state = first_generation(strategy, Box((2,)))
    only = jnp.full(6, jnp.inf).at[4].set(1.0)
    state = jax.jit(strategy.tell)(jax.random.key(0), state, genotypes, Feedback(only))
    np.testing.assert_allclose(state.mean, genotypes[4], rtol=1e-6)


@pytest.mark.parametrize("failing", [0.1, 0.5])
def test_converges_although_candidates_fail(failing: float) -> None:
    def function(x: jax.Array) -> jax.Array:
        # Which ones fail depends on digits of x that do not matter otherwise.
        return jnp.where(jnp.mod(x[:, 0] * 12345.67, 1.0) < failing, jnp.inf, sphere(x))

    found = search(CMAES(16), Box((5,), start=np.zeros(5)), function, generations=300, target=1e-8)
    assert found.best <= 1e-8


@pytest.mark.parametrize(
    ("settings", "function", "reason"),
    [
        ({}, lambda x: jnp.zeros(len(x)), "tolfun"),
        ({"tolfun": 0.0}, lambda x: jnp.zeros(len(x)), "tolfunhist"),
        ({"tolfun": 0.0, "tolfunhist": 0.0, "tolx": 1e-3}, sphere, "tolx"),
        ({"tolfun": 0.0, "tolfunhist": 0.0}, lambda x: jnp.sum((x - FAR) ** 2, axis=1), "noeffectcoord"),
        ({"tolfun": 0.0, "tolfunhist": 0.0}, lambda x: sphere(x - 1000.0), "noeffectaxis"),
        ({"sigma": 1e-6}, lambda x: x[:, 0], "tolfacupx"),
        (
            {"tolfun": 0.0, "tolfunhist": 0.0, "tolx": 0.0},
            lambda x: x[:, 0] ** 2 + 1e18 * x[:, 1] ** 2,
            "tolconditioncov",
        ),
    ],
)
def test_stops_by_itself(settings: dict[str, float], function, reason: str) -> None:
    # Only the reasons of rounding need a start far from the origin, where float32 is coarse.
    start = {"noeffectcoord": FAR, "noeffectaxis": np.full(4, 1000.0)}.get(reason, np.ones(4))
    found = search(CMAES(12, **settings), Box((4,), start=start), function, generations=3000)
    assert found.reason == reason


def test_does_not_stop_on_a_noisy_fitness() -> None:
    def function(x: jax.Array) -> jax.Array:
        return sphere(x) + jnp.mod(x[:, 0] * 98765.4, 1.0)

    found = search(CMAES(12), Box((4,), start=np.ones(4)), function, generations=300)
    assert found.reason == ""


def test_factor_of_an_indefinite_covariance() -> None:
    scale = jnp.asarray([1.0, 1e-3, 1e2])
    last = jnp.diag(scale)
    covariance = jnp.outer(scale, scale) * (jnp.eye(3) * -1e-7 + 1.0)  # one direction, and a little below zero
    factor, ridge = factorise(covariance, last)
    np.testing.assert_allclose(factor @ factor.T / jnp.outer(scale, scale), 1.0, atol=2e-6)
    assert (ridge > 0).all()
    factor, ridge = factorise(-covariance, last)
    np.testing.assert_array_equal(factor, last)
    factor, ridge = factorise(last @ last.T, last)
    np.testing.assert_allclose(factor, last, rtol=1e-6)
    np.testing.assert_array_equal(ridge, 0.0)
