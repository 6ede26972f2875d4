"""xNES: one step against the matrix exponential by its power series, invariance, convergence, stop reasons."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box
from evometa.strategies.es.xnes import XNES
from evometa.strategy import Feedback
from evometa.testing import check_strategy

from ..driver import ellipsoid, search

KEY = jax.random.key(6)


def test_keeps_the_contract_with_two_candidates() -> None:
    check_strategy(XNES(2), Box((5,), start=np.zeros(5)))


@pytest.mark.usefixtures("x64")
def test_the_step_is_the_papers_with_the_true_exponential() -> None:
    d, p = 4, 6
    rng = np.random.default_rng(1)
    strategy = XNES(p, sigma=0.5, covariance_learning_rate=0.8)
    shape = np.eye(d) + 0.3 * rng.normal(size=(d, d))

    @jax.jit
    def asked() -> Any:
        state = strategy.init(KEY, Box((d,), start=np.ones(d)))._replace(shape=jnp.asarray(shape))
        return strategy.ask(KEY, state)

    genotypes, state = asked()
    z = np.asarray(state.noise)
    np.testing.assert_allclose(genotypes, 1 + 0.5 * z @ shape.T, rtol=1e-12)
    after = strategy.tell(KEY, state, genotypes, Feedback(jnp.asarray([2.0, 0.0, 3.0, 1.0, 5.0, 4.0])))

    raw = np.maximum(0, np.log(4) - np.log([3, 1, 4, 2, 6, 5]))
    u = raw / raw.sum() - 1 / p
    g_m = sum(u[k] * (np.outer(z[k], z[k]) - np.eye(d)) for k in range(p))
    g_sigma = np.trace(g_m) / d
    exponent, term, series = 0.4 * (g_m - g_sigma * np.eye(d)), np.eye(d), np.eye(d)
    for k in range(1, 40):
        term = term @ exponent / k
        series = series + term
    np.testing.assert_allclose(after.mean, 1 + 0.5 * shape @ (u @ z), rtol=1e-10)
    assert float(after.sigma) == pytest.approx(0.5 * np.exp(0.4 * g_sigma), rel=1e-10)
    np.testing.assert_allclose(after.shape, shape @ series, rtol=1e-9, atol=1e-12)


def test_converges_on_a_rotated_ellipsoid(precision: str) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    target = 1e-10 if precision == "float64" else 1e-5
    space = Box((5,), start=np.full(5, 2.0))
    found = search(XNES(10, sigma=1.0), space, lambda x: ellipsoid(x @ rotation), generations=2500, target=target)
    assert found.best <= target
    shape = np.asarray(found.state.shape, float)
    covariance = shape @ shape.T
    assert np.linalg.det(shape) == pytest.approx(1.0, rel=1e-2)
    # The covariance has become the inverse Hessian: its axes are the rotation's, its range that of the scales.
    alignment = np.abs(np.linalg.eigh(covariance)[1][:, ::-1].T @ rotation)
    assert alignment[0, 0] > 0.99


def test_ties_change_nothing() -> None:
    strategy = XNES(8)

    @jax.jit
    def generation() -> Any:
        genotypes, state = strategy.ask(KEY, strategy.init(KEY, Box((3,))))
        return state, strategy.tell(KEY, state, genotypes, Feedback(jnp.full(8, 3.0)))

    state, after = generation()
    for field in ("mean", "sigma", "shape"):
        np.testing.assert_allclose(getattr(after, field), getattr(state, field), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        ({"learning_rate": 0.0}, "to be a number above 0, got 0.0"),
        ({"covariance_learning_rate": -0.1}, "to be a number above 0 or None, got -0.1"),
        ({"tolx": -1.0}, "to be a number of at least 0, got -1.0"),
    ],
)
def test_refuses_settings(settings, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        XNES(**settings)
