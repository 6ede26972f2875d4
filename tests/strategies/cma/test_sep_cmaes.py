"""Separable CMA-ES: its convergence, its running time, one step by hand, its stop reasons."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box
from evometa.strategies.cma.sep_cmaes import SepCMAES
from evometa.strategy import Feedback
from evometa.testing import check_strategy

from ..driver import ellipsoid, search, sphere

KEY = jax.random.key(3)


def test_keeps_the_contract_with_two_candidates() -> None:
    check_strategy(SepCMAES(2), Box((5,), start=np.zeros(5)))


@pytest.mark.usefixtures("x64")
def test_needs_no_more_evaluations_than_the_reference_on_a_separable_ellipsoid() -> None:
    # cmaes.SepCMA needs 1009 generations in the mean of 10 runs from this start.
    space = Box((40,), start=np.full(40, 2.0))
    runs = [search(SepCMAES(14, sigma=2.0), space, ellipsoid, generations=3000, target=1e-8, seed=s) for s in range(4)]
    assert 600 < np.mean([run.generations for run in runs]) < 1009


def test_the_first_step_is_the_papers() -> None:
    strategy, d = SepCMAES(6, sigma=0.5), 3
    genotypes, state = strategy.ask(KEY, strategy.init(KEY, Box((d,), start=[1.0, -1.0, 0.5])))
    after = strategy.tell(KEY, state, genotypes, Feedback(jnp.asarray([2.0, 0.0, 3.0, 1.0, 7.0, 5.0])))
    z = (np.asarray(genotypes) - [1.0, -1.0, 0.5]) / 0.5
    raw = np.log(3.5) - np.log([1, 2, 3])
    w = raw / raw.sum()
    mu = 1 / (w**2).sum()
    best = z[[1, 3, 0]]
    mean_z = w @ best
    c_c, c_1 = (4 + mu / d) / (d + 4 + 2 * mu / d), 2 / ((d + 1.3) ** 2 + mu) * (d + 2) / 3
    c_mu = min(1 - c_1, 2 * (0.25 + mu + 1 / mu - 2) / ((d + 2) ** 2 + mu) * (d + 2) / 3)
    path = np.sqrt(c_c * (2 - c_c) * mu) * mean_z
    np.testing.assert_allclose(after.mean, [1.0, -1.0, 0.5] + 0.5 * mean_z, rtol=1e-5)
    np.testing.assert_allclose(after.path_c, path, rtol=1e-4)
    variance = (1 - c_1 - c_mu) + c_1 * path**2 + c_mu * w @ best**2
    np.testing.assert_allclose(after.variance, variance, rtol=1e-4)


def test_does_not_stop_on_a_noisy_fitness() -> None:
    found = search(
        SepCMAES(12),
        Box((4,), start=np.ones(4)),
        lambda x: sphere(x) + jnp.mod(x[:, 0] * 98765.4, 1.0),
        generations=150,
    )
    assert found.reason == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        ({"sigma": -1.0}, "to be a number above 0, got -1.0"),
        ({"tolx": -1.0}, "to be a number of at least 0, got -1.0"),
    ],
)
def test_refuses_settings(settings, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        SepCMAES(**settings)
