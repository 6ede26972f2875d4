"""Aged evolution: which members die, which may be parents, and how much a child differs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Categorical, Dict, Integer
from evometa.strategies.genetic.aged_evolution import AgedEvolution
from evometa.strategy import Feedback
from evometa.testing import check_strategy

SPACE = Categorical(9, (7,))


def live(strategy: AgedEvolution, fitness: list[float]) -> tuple:
    """Tell a strategy one generation after the other; returns the state and what was asked, ``[G, P, D]``."""
    state, asked = strategy.init(jax.random.key(0), SPACE), []
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    for generation, told in enumerate(np.reshape(fitness, (-1, strategy.population_size))):
        key = jax.random.key(generation)
        genotypes, state = ask(key, state)
        state = tell(key, state, genotypes, Feedback(jnp.asarray(told, jnp.result_type(float))))
        asked.append(np.asarray(genotypes))
    return state, np.array(asked)


@pytest.mark.usefixtures("x64")
def test_searches_mixed_spaces() -> None:
    space = Dict({"x": Box((3,), low=0.0, high=1.0), "n": Integer(0, 9), "c": Categorical(4, (2,))})
    check_strategy(AgedEvolution(3, living=8, tournament_size=8, mutation_rate=0.2), space)


def test_the_oldest_die_whatever_they_are_worth() -> None:
    # 9 candidates in threes, of which 5 may live: the first 4 are dead, the best of all among them.
    state, asked = live(AgedEvolution(3, living=5), [-9.0, 1, 2, 3, 4, 5, 6, 7, 8])
    assert sorted(np.asarray(state.fitness).tolist()) == [4, 5, 6, 7, 8]
    everybody = asked.reshape(-1, SPACE.size)
    order = np.argsort(state.fitness)
    np.testing.assert_array_equal(np.asarray(state.members)[order], everybody[4:])
    assert np.asarray(state.fitness)[int(state.oldest)] == 4


def test_children_are_one_change_away_from_the_best_of_all_contestants() -> None:
    # Tournaments of 200 among 8 leave nobody out: every child is the best one's.
    strategy = AgedEvolution(8, living=8, tournament_size=200)
    state, asked = live(strategy, [7.0, np.inf, 5, 4, 1, np.inf, 2, 3])
    children, _ = jax.jit(strategy.ask)(jax.random.key(9), state)
    changes = np.sum(np.asarray(children) != asked[0, 4], axis=1)
    np.testing.assert_array_equal(changes, np.ones(8))


def test_a_tournament_of_one_is_no_selection() -> None:
    strategy = AgedEvolution(8, living=8, tournament_size=1)
    state, asked = live(strategy, np.arange(8.0).tolist())
    ask = jax.jit(jax.vmap(lambda key: strategy.ask(key, state)[0]))
    children = np.asarray(ask(jax.random.split(jax.random.key(9), 20))).reshape(-1, SPACE.size)
    parents = np.argmin(np.sum(children[:, None] != asked[0], axis=2), axis=1)
    assert set(parents.tolist()) == set(range(8))


def test_the_first_candidate_is_the_start_and_no_other() -> None:
    space, strategy = Box((3,), start=[5.0, 6.0, 7.0]), AgedEvolution(2, living=4, tournament_size=4)
    ask = jax.jit(strategy.ask)
    first, state = ask(jax.random.key(1), strategy.init(jax.random.key(0), space))
    np.testing.assert_array_equal(first[0], [5.0, 6.0, 7.0])
    second, _ = ask(jax.random.key(2), strategy.tell(jax.random.key(1), state, first, Feedback(jnp.ones(2))))
    assert np.all(np.abs(second) < 4.9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 20, "living": 10}, "population_size <= living"),
        ({"living": 0}, "to be a whole number of at least 1, got 0"),
        ({"mutation_rate": 1.5}, "to be a number from 0 to 1, got 1.5"),
        ({"tournament_size": 0}, "to be a whole number of at least 1, got 0"),
    ],
)
def test_says_what_is_wrong(settings: dict, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AgedEvolution(**settings)
