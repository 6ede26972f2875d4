"""PBIL and the compact genetic algorithm: the updates of their papers, and what they solve."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Categorical, Dict, Integer
from evometa.strategies.discrete.pbil import PBIL, PBILState
from evometa.strategy import Feedback, require_space
from evometa.testing import check_strategy

from ..driver import search

SPACE = Dict({"n": Integer(-2, 2, (3,)), "c": Categorical(3, (5,)), "only": Categorical(1)})
BITS = Categorical(2, (4,))


def compact(members: int) -> PBIL:
    return PBIL(2, 1, 1 / members, away_from="losers", negative_learning_rate=0.0, mutation_rate=0.0)


def told(strategy: PBIL, ones: list[float], candidates: list[list[float]], fitness: list[float]) -> np.ndarray:
    """Return the probability of a one in each place after telling a strategy the fitness of these candidates."""
    p = jnp.asarray(ones)
    state = PBILState(jnp.stack([1 - p, p], axis=1), BITS)
    state = strategy.tell(
        jax.random.key(0), state, jnp.asarray(candidates, jnp.result_type(float)), Feedback(jnp.asarray(fitness))
    )
    np.testing.assert_allclose(np.sum(state.probability, axis=1), 1.0, rtol=1e-6)
    return np.asarray(state.probability[:, 1])


def test_pbil_keeps_the_contract() -> None:
    check_strategy(PBIL(8, learning_rate=0.3), SPACE)


@pytest.mark.usefixtures("x64")
def test_compact_keeps_the_contract() -> None:
    check_strategy(compact(8), SPACE)


def test_refuses_real_numbers() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("PBIL searches integers and categories only")):
        require_space(PBIL(), Box((2,)))


def test_compact_moves_by_one_member_where_winner_and_loser_differ() -> None:
    p = told(compact(20), [0.5, 0.5, 0.02, 0.98], [[0, 1, 1, 1], [1, 1, 0, 1]], [5.0, 3.0])
    np.testing.assert_allclose(p, [0.55, 0.5, 0.0, 0.98], rtol=1e-6)  # 0.02 - 0.05 ends at the border
    np.testing.assert_allclose(
        told(compact(20), [0.5, 0.5, 0.1, 0.9], [[0, 1, 1, 1], [1, 1, 0, 1]], [3.0, 3.0]), [0.5, 0.5, 0.1, 0.9]
    )


def test_pbil_learns_from_the_best_and_again_where_the_worst_differs() -> None:
    # Baluja 1994: p <- 0.9 p + 0.1 best, then where best and worst differ p <- 0.925 p + 0.075 best.
    strategy = PBIL(4, winners=1, mutation_rate=0.0)
    candidates = [[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]
    p = told(strategy, [0.5, 0.3, 0.8, 0.1], candidates, [2.0, 1.0, np.inf, 3.0])
    np.testing.assert_allclose(p, [0.45 * 0.925, 0.37 * 0.925 + 0.075, 0.72 * 0.925, 0.19 * 0.925 + 0.075], rtol=1e-6)


def test_ties_share_and_the_failed_teach_nothing() -> None:
    umda = PBIL(4, winners=2, learning_rate=1.0, negative_learning_rate=0.0, mutation_rate=0.0)
    candidates = [[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(told(umda, [0.5] * 4, candidates, [1.0, 2.0, 2.0, 3.0]), [0.75, 0.75, 0.25, 0.25])
    np.testing.assert_allclose(told(umda, [0.5] * 4, candidates, [np.inf, 2.0, np.inf, np.inf]), [0, 1, 0, 1])


def test_mutation_keeps_every_choice_alive() -> None:
    strategy = PBIL(4, learning_rate=1.0, mutation_rate=1.0, mutation_shift=0.05)
    p = told(strategy, [1.0] * 4, [[1.0] * 4] * 4, [1.0, 2.0, 3.0, 4.0])
    assert np.all(np.isclose(p, 1.0) | np.isclose(p, 0.95))


def test_learns_each_coordinate_and_shuns_failure() -> None:
    wanted = jnp.asarray([2.0, -2, 0, 1, 2, 0, 1, 1, 0])

    def distance(x: jax.Array) -> jax.Array:
        missed = jnp.sum(x != wanted, axis=1).astype(jnp.result_type(float))
        return jnp.where(x[:, 3] == 0, jnp.inf, missed)

    strategy = PBIL(32)
    found = search(strategy, SPACE, distance, generations=100)
    np.testing.assert_array_equal(strategy.center(found.state), wanted)


def test_compact_solves_bits_and_stops_when_it_has_decided() -> None:
    def zeros(x: jax.Array) -> jax.Array:
        return jnp.sum(x == 0, axis=1).astype(jnp.result_type(float))

    strategy, space = compact(128), Categorical(2, (32,))
    found = search(strategy, space, zeros, generations=4000)
    assert found.reason == "converged"
    np.testing.assert_array_equal(strategy.center(found.state), np.ones(32))
    assert strategy.diagnostics(found.state)["entropy"] == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 4, "winners": 3}, "winners of at most population_size / 2"),
        ({"learning_rate": 0.0}, "to be a number above 0 and of at most 1, got 0.0"),
        ({"learning_rate": 1.1}, "to be a number above 0 and of at most 1, got 1.1"),
        ({"away_from": "everyone"}, "away_from .* to be 'model' or 'losers', got 'everyone'"),
    ],
)
def test_says_what_is_wrong(settings: dict, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        PBIL(**settings)
