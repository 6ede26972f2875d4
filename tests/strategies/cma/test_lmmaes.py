"""LM-MA-ES: every number against a plain transcription of Algorithm 1 that keeps its noise; its speed on ridges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box
from evometa.strategies.cma.lmmaes import LMMAES, LMMAESState
from evometa.strategies.shared.noise import standard_normal
from evometa.strategy import Feedback
from evometa.testing import check_strategy

from ..driver import ellipsoid, search

KEY = jax.random.key(4)


def ridge(x: jax.Array) -> jax.Array:
    return x[..., 0] ** 2 + 1e4 * jnp.sum(x[..., 1:] ** 2, axis=-1)


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract_in_double_precision() -> None:
    check_strategy(LMMAES(9), Box((20,), start=np.zeros(20)))


def test_keeps_the_contract_with_two_candidates() -> None:
    check_strategy(LMMAES(2), Box((2,), start=np.zeros(2)))


@pytest.mark.usefixtures("x64")
def test_follows_algorithm_1() -> None:
    d, p, m, sigma = 40, 8, 6, 0.7
    strategy = LMMAES(p, sigma=sigma, directions=m)
    state = jax.jit(lambda: strategy.init(KEY, Box((d,), start=np.full(d, 2.0))))()
    tell = jax.jit(strategy.tell)

    rng = np.random.default_rng(0)
    w = np.log((p + 1) / 2) - np.log(np.arange(1, p // 2 + 1))
    w /= w.sum()
    mu, c_sigma = 1 / (w**2).sum(), 2 * p / d
    c_d, c_c = 1 / (1.5 ** np.arange(m) * d), p / (4.0 ** np.arange(m) * d)
    mean, path, paths = np.full(d, 2.0), np.zeros(d), np.zeros((m, d))
    chi = np.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))
    for t in range(40):
        z = rng.normal(size=(p, d))
        y = z.copy()
        for j in range(min(t, m)):
            y = (1 - c_d[j]) * y + c_d[j] * np.outer(y @ paths[j], paths[j])
        x = mean + sigma * y
        fitness = np.asarray(ellipsoid(x))
        best = np.argsort(fitness)[: p // 2]
        mean = mean + sigma * w @ y[best]
        path = (1 - c_sigma) * path + np.sqrt(mu * c_sigma * (2 - c_sigma)) * w @ z[best]
        for i in range(m):
            paths[i] = (1 - c_c[i]) * paths[i] + np.sqrt(mu * c_c[i] * (2 - c_c[i])) * w @ z[best]
        sigma *= np.exp(c_sigma * (np.linalg.norm(path) / chi - 1))
        state = tell(KEY, state, x, Feedback(fitness))
    np.testing.assert_allclose(state.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(state.path_sigma, path, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(state.directions, paths, rtol=1e-6, atol=1e-9)
    assert float(state.sigma) == pytest.approx(sigma, rel=1e-9)


def test_candidates_are_the_bent_noise() -> None:
    # One direction m of strength c: the covariance is that of (1 - c) z + c (m·z) m.
    d = 4
    strategy = LMMAES(20_000, sigma=1.0, directions=1)
    m = np.array([2.0, 0.0, -1.0, 1.0], np.float32)

    @jax.jit
    def candidates() -> jax.Array:
        state = strategy.init(KEY, Box((d,), start=np.zeros(d)))
        return strategy.ask(KEY, state._replace(directions=jnp.asarray(m[None]), generation=jnp.int32(1)))[0]

    root = 0.75 * np.eye(d) + 0.25 * np.outer(m, m)
    np.testing.assert_allclose(np.cov(candidates().T), root @ root.T, atol=0.1)


def test_the_noise_is_found_again_in_the_candidates(precision: str) -> None:
    strategy, d = LMMAES(12), 50
    state = search(strategy, Box((d,), start=np.ones(d)), ridge, generations=1000).state

    @jax.jit
    def again(state: LMMAESState) -> tuple[jax.Array, jax.Array, jax.Array]:
        genotypes, state = strategy.ask(KEY, state)
        step = (genotypes - state.mean) / state.sigma
        return step, jax.vmap(lambda one: strategy._noise_of(state, one))(step), standard_normal(KEY, (12, d))

    step, found, noise = (np.asarray(part) for part in again(state))
    assert step[:, 0].std() > 10 * step[:, 1:].std()  # R is far from the identity
    atol = 0.05 if precision == "float32" else 1e-6
    np.testing.assert_allclose(found, noise, atol=atol)


@pytest.mark.usefixtures("x64")
def test_follows_a_ridge() -> None:
    # Steps alike in all directions are at 0.02 after 200,000 generations.
    found = search(LMMAES(12), Box((50,), start=np.ones(50)), ridge, generations=3500, target=1e-8)
    assert found.best <= 1e-8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        ({"sigma": 0.0}, "to be a number above 0, got 0.0"),
        ({"directions": 0}, "to be a whole number of at least 1 or None, got 0"),
        ({"tolfunhist": -1.0}, "to be a number of at least 0, got -1.0"),
    ],
)
def test_refuses_settings(settings, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        LMMAES(**settings)
