"""Places, shares and centred ranks against direct definitions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from evometa.strategies.cma.rates import rates
from evometa.strategies.es.xnes import place_values
from evometa.strategies.shared.ranks import centered_ranks, gains, places, recombination, shares

SIZE = 7
fitnesses = st.lists(st.sampled_from([-2.0, 0.0, 1.5, 3.0, np.inf]), min_size=SIZE, max_size=SIZE)


@settings(max_examples=60, deadline=None)
@given(fitness=fitnesses)
def test_shares_average_over_ties(fitness: list[float]) -> None:
    table = np.array([0.5, 0.3, 0.2, 0.0, -0.1, -0.2, -0.3])
    values = np.array(fitness)
    ordered = np.sort(values)
    expected = [table[ordered == value].mean() for value in values]
    np.testing.assert_allclose(shares(table, places(jnp.asarray(values))), expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(fitness=fitnesses.filter(lambda f: np.isfinite(f).any()))
def test_failed_candidates_gain_nothing(fitness: list[float]) -> None:
    table = np.array([0.6, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0])
    values = jnp.asarray(fitness)
    at = places(values)
    gain = np.asarray(gains(table, at))
    shared = np.where(np.isfinite(fitness), np.asarray(shares(table, at)), 0.0)
    np.testing.assert_allclose(gain, shared / shared.sum(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("half", "table"), [(0.5, lambda size: rates(size, 5).gain if size > 1 else np.ones(1)), (1.0, place_values)]
)
def test_those_that_did_not_fail_are_weighed_as_a_population_of_their_own(half: float, table: Any) -> None:
    fitness = np.array([3.0, 1.0, 6.0, 2.0, 5.0, 0.0, 4.0])
    for left in range(1, SIZE + 1):
        at = places(jnp.asarray(np.where(fitness < left, fitness, np.inf)))
        gain, mu_eff, trust = recombination(table(SIZE), at, half)
        expected = np.zeros(SIZE)
        expected[np.argsort(fitness)[:left]] = table(left)
        np.testing.assert_allclose(gain, expected, atol=1e-6)
        np.testing.assert_allclose(mu_eff, 1 / np.sum(expected**2), rtol=1e-5)
        np.testing.assert_allclose(trust, min(1, np.sum(table(SIZE) ** 2) * mu_eff), rtol=1e-5)
    np.testing.assert_array_equal(gain, gains(table(SIZE), at))  # bit for bit where nobody failed
    tied = recombination(table(SIZE), places(jnp.asarray([1.0] * 3 + [2.0] * 3 + [np.inf])), half).gain
    np.testing.assert_allclose(tied, [1 / 3] * 3 + [0] * 4, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(fitness=fitnesses)
def test_padding_ties_with_nobody(fitness: list[float]) -> None:
    table = np.array([0.5, 0.3, 0.2, 0.0, -0.1, -0.2, -0.3])
    padded = places(jnp.asarray([*fitness, np.inf, np.inf]), jnp.int32(SIZE))
    found = shares(jnp.asarray([*table, 0.0, 0.0]), padded)
    alone = shares(jnp.asarray(table), places(jnp.asarray(fitness)))
    np.testing.assert_allclose(found[:SIZE], alone, atol=1e-6)
    np.testing.assert_array_equal(found[SIZE:], 0.0)


@settings(max_examples=60, deadline=None)
@given(fitness=fitnesses)
def test_centered_ranks_are_those_of_the_valid(fitness: list[float]) -> None:
    values = np.array(fitness)
    valid = np.isfinite(values)
    expected = np.zeros(SIZE)
    if valid.sum() > 1:
        expected[valid] = (rankdata(values[valid]) - 1) / (valid.sum() - 1) - 0.5
    ranks = np.asarray(centered_ranks(places(jnp.asarray(values))))
    np.testing.assert_allclose(ranks, expected, atol=1e-6)
    assert abs(ranks.sum()) < 1e-6


@pytest.mark.usefixtures("x64")
def test_ranks_use_all_digits_of_the_fitness() -> None:
    fitness = 1.0 + jnp.asarray([3.0, 1.0, 2.0]) * 1e-15
    np.testing.assert_array_equal(places(fitness).member, [1, 2, 0])


@pytest.mark.usefixtures("x64")
def test_every_candidate_has_a_place_when_the_fitness_is_fused_into_the_ranking() -> None:
    def one(carry: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = carry + 2 * jax.random.normal(key, (8, 5)) @ jnp.tri(5)
        at = places(x[:, 0] ** 2 + 1e6 * jnp.sum(x[:, 1:] ** 2, axis=1))
        return x[0], at.end - at.first

    groups = jax.jit(lambda: jax.lax.scan(one, jnp.zeros(5), jax.random.split(jax.random.key(1), 20))[1])()
    np.testing.assert_array_equal(groups, 1)
