"""The genetic algorithm: elites, parents, crossover, mutation, and a problem that needs them together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Categorical, Dict, Integer
from evometa.strategies.genetic.genetic_algorithm import GeneticAlgorithm
from evometa.strategy import Feedback
from evometa.testing import check_strategy

from ..driver import search, sphere

SPACE = Integer(0, 99, (40,))


def second_generation(strategy: GeneticAlgorithm, fitness: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first generation and the one bred from it."""
    ask = jax.jit(strategy.ask)
    parents, state = ask(jax.random.key(1), strategy.init(jax.random.key(0), SPACE))
    state = strategy.tell(jax.random.key(1), state, parents, Feedback(jnp.asarray(fitness)))
    return np.asarray(parents), np.asarray(ask(jax.random.key(2), state)[0])


@pytest.mark.usefixtures("x64")
def test_searches_mixed_spaces() -> None:
    space = Dict({"x": Box((3,), low=0.0, high=1.0), "n": Integer(0, 9), "c": Categorical(4, (2,))})
    check_strategy(GeneticAlgorithm(7, elites=1), space)


def test_elites_go_first_and_unchanged() -> None:
    parents, children = second_generation(GeneticAlgorithm(5, elites=2), [3.0, np.inf, 1.0, 2.0, np.inf])
    np.testing.assert_array_equal(children[:2], parents[[2, 3]])
    assert not (children[2:, None] == parents).all(axis=2).any()


def test_without_crossover_a_child_is_one_change_away_from_the_winner() -> None:
    strategy = GeneticAlgorithm(6, elites=0, tournament_size=200, crossover_rate=0.0, mutation_rate=0.0)
    parents, children = second_generation(strategy, [3.0, np.inf, 1.0, 2.0, np.inf, 0.5])
    np.testing.assert_array_equal(np.sum(children != parents[5], axis=1), np.ones(6))


def test_with_crossover_a_child_has_parts_of_both_parents() -> None:
    strategy = GeneticAlgorithm(16, elites=0, tournament_size=1, crossover_rate=1.0, mutation_rate=0.0)
    parents, children = second_generation(strategy, np.arange(16.0).tolist())
    shared = np.sum(children[:, None] == parents, axis=2)  # of 40 places; 0.4 by chance
    two_best = np.sort(shared, axis=1)[:, -2:]
    assert np.mean(two_best.min(axis=1) > 8) > 0.7  # all but those whose parents are one and the same
    assert np.all(two_best.max(axis=1) <= 40)


def test_solves_a_problem_of_bits() -> None:
    found = search(
        GeneticAlgorithm(40, mutation_rate=0.0),
        Categorical(2, (60,)),
        lambda x: 60 - jnp.sum(x, axis=1),
        generations=60,
        target=0.0,
    )
    assert found.best == 0  # 60 of 60 ones; the best of as many random draws has about 45


def test_comes_close_on_the_sphere() -> None:
    found = search(
        GeneticAlgorithm(40, mutation_rate=0.5, mutation_scale=0.03), Box((6,), -2.0, 2.0), sphere, generations=150
    )
    assert found.best < 0.01


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 4, "elites": 4}, "fewer elites than population_size"),
        ({"elites": -1}, "to be a whole number of at least 0, got -1"),
        ({"crossover_rate": -0.1}, "to be a number from 0 to 1, got -0.1"),
        ({"mutation_scale": 0.0}, "to be a number above 0, got 0.0"),
    ],
)
def test_says_what_is_wrong(settings: dict, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        GeneticAlgorithm(**settings)
