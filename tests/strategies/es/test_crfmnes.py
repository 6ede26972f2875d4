"""CR-FM-NES: step by step against the authors' package where it is installed, its convergence, its edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box
from evometa.strategies.es import crfmnes
from evometa.strategies.es.crfmnes import CRFMNES, CRFMNESState
from evometa.strategy import Feedback
from evometa.testing import check_strategy

from ..driver import cigar, ellipsoid, search, sphere

KEY = jax.random.key(8)


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract_in_double_precision() -> None:
    check_strategy(CRFMNES(4), Box((7,), start=np.zeros(7)))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("failing", [0.0, 0.2])
def test_every_number_is_the_authors(failing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crfmnes, "LIMIT", np.inf)  # the one difference
    reference = pytest.importorskip("crfmnes.alg")
    d, p = 12, 16
    v = np.random.default_rng(0).normal(size=(d, 1)) / np.sqrt(d)

    def function(x: np.ndarray) -> float:
        failed = np.ravel(x)[0] * 1e3 % 1 < failing
        return np.inf if failed else float((np.logspace(0, 4, d) * np.ravel(x) ** 2).sum())

    theirs = reference.CRFMNES(d, function, np.full((d, 1), 2.0), 0.7, p, seed=3, v=v.copy())
    strategy = CRFMNES(p, sigma=0.7)
    state = jax.jit(lambda: strategy.init(KEY, Box((d,), start=np.full(d, 2.0))))()._replace(v=v[:, 0])
    tell = jax.jit(strategy.tell)
    for _ in range(40):
        genotypes, fitness, _ = theirs.one_iteration()
        assert np.isinf(fitness).sum() <= p / 2  # beyond that the two differ on purpose
        state = tell(KEY, state, np.array(genotypes), Feedback(np.asarray(fitness)))
        for ours, other in (
            (state.mean, theirs.m),
            (state.scales, theirs.D),
            (state.v, theirs.v),
            (state.path_c, theirs.pc),
            (state.path_sigma, theirs.ps),
            (state.sigma, np.asarray(theirs.sigma)),
        ):
            np.testing.assert_allclose(ours, other.reshape(ours.shape), rtol=1e-5, atol=1e-7)


def test_candidates_have_the_covariance_of_the_state() -> None:
    d = 3
    strategy = CRFMNES(40_000, sigma=2.0)
    v, scales = np.array([1.0, -2.0, 0.5], np.float32), np.array([0.5, 1.0, 2.0], np.float32)

    @jax.jit
    def candidates() -> jax.Array:
        state = strategy.init(KEY, Box((d,), start=np.ones(d)))
        return strategy.ask(KEY, state._replace(v=jnp.asarray(v), scales=jnp.asarray(scales)))[0]

    genotypes = np.asarray(candidates())
    expected = 4 * np.outer(scales, scales) * (np.eye(d) + np.outer(v, v))
    np.testing.assert_allclose(np.cov(genotypes.T), expected, atol=0.03 * np.abs(expected).max())
    middle = (genotypes[0::2] + genotypes[1::2]) / 2
    np.testing.assert_allclose(middle, np.ones(middle.shape), atol=1e-4)


@pytest.mark.parametrize("function", [ellipsoid, cigar])
def test_converges(function, precision: str) -> None:
    target = 1e-10 if precision == "float64" else 1e-5
    found = search(CRFMNES(14, sigma=1.0), Box((40,), start=np.ones(40)), function, generations=1500, target=target)
    assert found.best <= target
    state = jax.device_get(found.state)
    root_volume = np.sum(np.log(state.scales)) + np.log1p(np.sum(state.v**2)) / 2
    assert float(root_volume) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.usefixtures("x64")
def test_does_not_diverge_on_a_long_slope() -> None:
    # Without the limit on v and D, 82 of 100 such searches end at infinity, and 21 of 30 of the package's.
    strategy, space = CRFMNES(40), Box((10,), start=np.ones(10))

    def last_center(key: jax.Array) -> jax.Array:
        def one(state: CRFMNESState, key: jax.Array) -> tuple[CRFMNESState, None]:
            genotypes, state = strategy.ask(key, state)
            return strategy.tell(key, state, genotypes, Feedback(sphere(genotypes - 1000.0))), None

        return jax.lax.scan(one, strategy.init(key, space), jax.random.split(key, 120))[0].mean

    centers = jax.jit(jax.vmap(last_center))(jax.random.split(jax.random.key(0), 32))
    assert float(sphere(centers - 1000.0).max()) < 1e4  # of 1e7


def test_survives_a_rotated_ellipsoid() -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    space = Box((20,), start=np.ones(20))
    found = search(CRFMNES(12, sigma=1.0), space, lambda x: ellipsoid(x @ rotation), generations=2000)
    assert np.isfinite(found.state.scales).all()
    assert (found.state.scales > 0).all()
    assert found.best < 1e3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 9}, "to be an even whole number of at least 4, got 9"),
        ({"population_size": 2}, "of at least 4"),
        ({"sigma": 0.0}, "to be a number above 0, got 0.0"),
        ({"tolx": -1.0}, "to be a number of at least 0, got -1.0"),
    ],
)
def test_refuses_settings(settings, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        CRFMNES(**settings)
