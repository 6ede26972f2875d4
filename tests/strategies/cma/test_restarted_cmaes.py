"""IPOP and BIPOP: populations in batches, the schedule of restarts, multimodal functions, and no recompilation."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Problem, Search
from evometa.spaces import Box
from evometa.strategies import BIPOPCMAES, CMAES, IPOPCMAES
from evometa.strategies.cma.cmaes import adapt, start_at
from evometa.strategies.cma.rates import padded_rates, rates
from evometa.strategy import Feedback
from evometa.testing import check_strategy

from ..driver import search, searches, sphere


def rastrigin(x: jax.Array) -> jax.Array:
    return jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x) + 10, axis=-1)


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract() -> None:
    check_strategy(BIPOPCMAES(7, largest=2, diagonal_decoding=True))


def test_padding_changes_no_rate() -> None:
    padded = jax.jit(padded_rates, static_argnums=(1, 2))(jnp.float32(24), 10, 32)
    for name, value in rates(24, 10)._asdict().items():
        found = np.asarray(getattr(padded, name))
        expected = np.pad(value, (0, 8)) if np.ndim(value) else value
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=name)


def test_the_first_run_is_plain_cmaes() -> None:
    space = Box((5,), start=np.ones(5))
    plain = search(CMAES(8), space, sphere, generations=30)
    first = search(IPOPCMAES(8, largest=2), space, sphere, generations=30)
    np.testing.assert_allclose(first.state.run.cma.mean, plain.state.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.state.run.cma.sigma, plain.state.sigma, rtol=1e-4)


def test_a_population_of_several_batches_is_one_population() -> None:
    """Told in two batches of 8, a doubled population does what CMA-ES does with 16 candidates at once."""
    strategy, space = IPOPCMAES(8, largest=2), Box((4,), start=np.zeros(4))

    @jax.jit
    def generation(key: Any, state: Any) -> Any:
        genotypes, asked = strategy.ask(key, state)
        fitness = sphere(genotypes).at[3].set(jnp.inf)
        return genotypes, fitness, asked, strategy.tell(key, asked, genotypes, Feedback(fitness))

    @jax.jit
    def at_once(noise: Any, genotypes: Any, fitness: Any) -> Any:
        plain = CMAES(16)
        state = plain.init(jax.random.key(0), space)._replace(noise=noise)
        return plain.tell(jax.random.key(9), state, genotypes, Feedback(fitness))

    state = jax.jit(lambda: strategy.init(jax.random.key(0), space))()
    state = state._replace(run=state.run._replace(batches=np.int32(2)))
    before, genotypes, fitness = state.run.cma, [], []
    for batch in range(2):
        assert int(strategy.round(state)) == 0
        np.testing.assert_array_equal(state.run.cma.mean, before.mean)
        some, told, asked, state = generation(jax.random.key(batch), state)
        genotypes.append(some)
        fitness.append(told)
    whole = at_once(asked.buffers.noise, np.concatenate(genotypes), np.concatenate(fitness))
    assert int(strategy.round(state)) == 1
    for name in ("mean", "sigma", "covariance", "path_sigma", "path_c"):
        np.testing.assert_allclose(getattr(state.run.cma, name), getattr(whole, name), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1e-3])
@pytest.mark.parametrize("decoded", [False, True])
def test_failed_candidates_of_a_padded_population_share_no_place_with_the_padding(sigma: float, decoded: bool) -> None:
    """24 candidates in 32 places, one of them failed, do what 24 candidates do alone."""

    @jax.jit
    def both(sigma: Any) -> Any:
        noise = jax.random.normal(jax.random.key(0), (24, 10))
        begun = start_at(jnp.zeros(10), sigma, decoded=decoded)._replace(noise=noise)
        fitness = sphere(sigma * noise).at[5].set(jnp.inf)
        alone = adapt(begun, sigma * noise, fitness, rates(24, 10))
        state = begun._replace(noise=jnp.pad(noise, ((0, 8), (0, 0))))
        fitness = jnp.pad(fitness, (0, 8), constant_values=jnp.inf)
        return alone, adapt(state, sigma * state.noise, fitness, padded_rates(jnp.float32(24), 10, 32))

    alone, padded = both(jnp.float32(sigma))
    for name in ("mean", "sigma", "covariance", "factor", "path_c", "diagonal"):
        for found, expected in zip(*(jax.tree.leaves(getattr(s, name)) for s in (padded, alone)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * sigma, err_msg=name)


def test_a_run_from_which_nothing_succeeds_begins_at_another_point_as_it_is() -> None:
    space = Box((3,), -1.0, 1.0, start=np.full(3, -0.9))
    strategy = BIPOPCMAES(6, largest=1)

    @jax.jit
    def generation(state: Any, key: Any) -> Any:
        genotypes, state = strategy.ask(key, state)
        return strategy.tell(key, state, genotypes, Feedback(jnp.full(6, jnp.inf))), state.run.cma.sigma

    state, widths = jax.jit(lambda: strategy.init(jax.random.key(0), space))(), []
    first = state.run.cma.mean
    for number in range(10):
        np.testing.assert_array_equal(state.run.cma.mean, first)
        state, sigma = generation(state, jax.random.key(number))
        widths.append(float(sigma) / 0.3)
    np.testing.assert_allclose(widths, [1, 2, 1 / 2, 4, 1 / 4, 8, 1 / 8, 16, 1 / 16, 1], rtol=1e-6)
    assert (int(state.run.restarts), int(state.run.batches), float(state.run.cma.sigma)) == (
        1,
        1,
        float(np.float32(0.3)),
    )
    assert not np.allclose(state.run.cma.mean, first)


def test_restarts_double_the_population_from_other_points() -> None:
    def function(x: jax.Array) -> jax.Array:
        return jnp.floor(4 * sphere(x))

    seen, starts = [], []
    space = Box((3,), -1.0, 1.0, start=np.zeros(3))
    for generations in (1000, 3000, 7000):
        run = search(IPOPCMAES(6, largest=4), space, function, generations=generations).state.run
        seen.append((int(run.restarts), int(run.batches)))
        starts.append(np.asarray(run.cma.mean))
    restarts, batches = zip(*seen, strict=True)
    assert restarts[0] < restarts[1] < restarts[2]
    assert max(batches) == 4
    assert not np.allclose(starts[0], starts[2], atol=0.01)


def test_bipop_spends_alike_on_both_regimes() -> None:
    space = Box((3,), -1.0, 1.0, start=np.zeros(3))
    run = search(BIPOPCMAES(6, largest=16), space, lambda x: rastrigin(8 * x) + 1, generations=20_000).state.run
    assert int(run.restarts) > 10
    assert int(run.doublings) == 4
    assert 0.4 < float(run.spent_small / (run.spent_small + run.spent_large)) < 0.6


def test_solves_what_one_run_does_not() -> None:
    space, function = Box((5,), -5.0, 5.0), lambda x: rastrigin(10 * x + 0.3)
    alone = searches(CMAES(8, sigma=0.2), space, function, generations=5000, seeds=range(3))
    assert min(run.best for run in alone) > 0.5
    for cls in (IPOPCMAES, BIPOPCMAES):
        restarted = cls(8, sigma=0.2, largest=8)
        found = searches(restarted, space, function, generations=30_000, target=1e-5, seeds=range(3))
        assert max(run.best for run in found) <= 1e-5


@dataclasses.dataclass(frozen=True)
class Luck(Problem):
    """All candidates have the fitness that the key draws."""

    @property
    def space(self) -> Box:
        return Box((2,), start=np.zeros(2))

    def evaluate(self, key: Any, omega: Any) -> Any:
        return jax.random.uniform(key) + 0 * jnp.sum(omega)


def test_batches_of_a_population_share_their_tasks() -> None:
    run = Search(Luck(), IPOPCMAES(4, largest=4), progress=False)
    run.run(generations=3000)
    column = run.history.columns
    best, population = column["best"], column["strategy/population"]
    changes = np.flatnonzero(np.diff(best) != 0)
    assert population.max() == 16
    # With 16 candidates, four generations of 4 follow one another on the same draw.
    late = changes[population[changes + 1] == 16][2:-2]
    assert len(late) > 5
    assert set(np.diff(late)) == {4}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"largest": 12}, "IPOPCMAES expects largest as a power of two, how many batches"),
        ({"sigma": 0.0}, "to be a number above 0, got 0.0"),
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
    ],
)
def test_refuses_settings(settings: dict, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        IPOPCMAES(**settings)
