"""evosax's algorithms behind the contract: those that are offered keep it, the others are refused with a reason."""

import re
from typing import Any

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Integer
from evometa.strategies.evosax_adapter import REFUSED, Evosax
from evometa.strategy import require_space
from evometa.testing import check_strategy

from .driver import search, sphere

TRUSTED = sorted(evosax.algorithms.algorithms.keys() - REFUSED.keys())
FIXED_SIGMA = ("ARS", "ASEBO", "HillClimbing", "Open_ES", "SimpleGA", "SimulatedAnnealing")
DIMENSION, GENERATIONS, FAILING = 4, 300, 20


def functions(x: jax.Array) -> jax.Array:
    """Return a sphere, Rosenbrock's function, and the sphere again for the search with failures, ``[3, P]``."""
    bowl = jnp.sum((x - 1) ** 2, axis=-1)
    valley = jnp.sum(100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2, axis=-1)
    return jnp.stack([bowl, valley, bowl])


def strategy_for(algorithm: str) -> Evosax:
    """Return an instance with the settings that a user would give it for functions of scale 1."""
    sizes = {"sigma": 0.1} if algorithm in FIXED_SIGMA else {}
    rates = {"learning_rate": 0.05} if algorithm in ("ARS", "ASEBO", "Open_ES", "PGPE") else {}
    return Evosax(algorithm, population_size=32, **sizes, **rates)


@pytest.mark.parametrize("algorithm", TRUSTED)
def test_trusted_ones_improve_and_recover(algorithm: str) -> None:
    """Three searches in one program: the last has every second candidate fail at first, and one generation all tie."""
    strategy, space = strategy_for(algorithm), Box((DIMENSION,), start=np.zeros(DIMENSION))

    def run(number: Any) -> Any:
        def generation(state: Any, generation: Any) -> Any:
            key_ask, key_tell = jax.random.split(jax.random.fold_in(jax.random.key(1), generation))
            genotypes, state = strategy.ask(key_ask, state)
            fitness = functions(genotypes)[number]
            odd = jnp.arange(strategy.population_size) % 2 == 1
            hard = jnp.where((generation < FAILING) & odd, jnp.inf, fitness)
            hard = jnp.where(generation == FAILING, 1.0, hard)
            state = strategy.tell(key_tell, state, genotypes, jnp.where(number == 2, hard, fitness))
            center = strategy.center(state)
            return state, jnp.min(fitness) if center is None else functions(center)[number]

        return jax.lax.scan(generation, strategy.init(jax.random.key(0), space), jnp.arange(GENERATIONS))

    state, values = jax.jit(jax.vmap(run))(jnp.arange(3))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(state.inner)))
    begin, end = functions(jnp.zeros(DIMENSION)), np.mean(values[:, -10:], axis=1)
    assert np.all(end < begin * np.array([0.05, 0.6, 0.05])), end


@pytest.mark.parametrize("strategy", [Evosax(population_size=8), Evosax("SNES", 9, sigma=0.5)])
def test_keeps_the_contract(strategy: Evosax, precision: str) -> None:
    check_strategy(strategy)


def test_every_algorithm_has_a_verdict() -> None:
    assert REFUSED.keys() <= evosax.algorithms.algorithms.keys()
    assert all(reason[0].islower() and not reason.endswith(".") for reason in REFUSED.values())


def test_a_first_population_holds_the_start_and_is_drawn_anew_until_one_is_judged() -> None:
    space, strategy = Box((3,), start=[5.0, 6.0, 7.0]), Evosax(population_size=6)
    state = strategy.init(jax.random.key(0), space)
    (first, state), (second, _) = (strategy.ask(jax.random.key(seed), state) for seed in (1, 2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], [5.0, 6.0, 7.0])
    assert not np.any(np.asarray(first[1:]) == np.asarray(second[1:]))


def test_differential_evolution_keeps_what_is_better() -> None:
    """A member is replaced by its own trial vector, and a failed one by any."""
    space, strategy = Box((3,)), Evosax(population_size=5)
    parents, state = strategy.ask(jax.random.key(1), strategy.init(jax.random.key(0), space))
    state = strategy.tell(jax.random.key(1), state, parents, jnp.asarray([1.0, 2.0, np.inf, 3.0, np.inf]))
    trials, state = strategy.ask(jax.random.key(2), state)
    state = strategy.tell(jax.random.key(2), state, trials, jnp.asarray([2.0, 1.0, 9.0, np.inf, np.inf]))
    kept = np.where(np.array([[False], [True], [True], [False], [True]]), trials, parents)
    np.testing.assert_array_equal(state.inner.population, kept)


def test_settings_reach_the_algorithm() -> None:
    # Without crossover and without weight for differences a trial is the best member, whatever its number.
    frozen = (("crossover_rate", 1.0), ("differential_weight", 0.0))
    frozen += (("differential_weight_min", 0.0), ("differential_weight_max", 0.0), ("num_diff", 2))
    strategy = Evosax(population_size=5, settings=frozen)
    parents, state = strategy.ask(jax.random.key(1), strategy.init(jax.random.key(0), Box((3,))))
    state = strategy.tell(jax.random.key(1), state, parents, jnp.asarray([4.0, 2.0, 1.0, 3.0, 5.0]))
    np.testing.assert_array_equal(strategy.ask(jax.random.key(2), state)[0], np.tile(parents[2], (5, 1)))


@pytest.mark.usefixtures("x64")
def test_reaches_double_precision() -> None:
    found = search(Evosax(population_size=32), Box((5,)), sphere, generations=600, target=1e-20)
    assert found.best <= 1e-20


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "DifferentalEvolution"}, "Nearest: DifferentialEvolution"),
        ({"algorithm": "MA_ES"}, "Evosax does not offer evosax's MA_ES: "),
        ({"learning_rate": 0.1}, "learning_rate=None for DifferentialEvolution, which has no optimizer"),
        ({"sigma": -1.0}, "sigma > 0"),
        ({"population_size": 3}, "DE requires population_size >= 4"),
        ({"sigma": 0.1}, "has no parameter std_init"),
        ({"settings": (("crossover", 0.5),)}, "Nearest: crossover_rate"),
    ],
)
def test_says_what_is_wrong(settings: dict, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Evosax(**settings).init(jax.random.key(0), Box((2,)))


def test_refuses_integers() -> None:
    with pytest.raises(ConfigurationError, match="Evosax searches real vectors only"):
        require_space(Evosax(), Integer(0, 3))
