"""evosax's algorithms behind the contract: those that are offered keep it, the others are refused with a reason."""

import re

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Integer
from evometa.strategies.evosax_adapter import REFUSED, TRUSTED, Evosax
from evometa.strategy import Feedback, require_space
from evometa.testing import check_strategy

from .driver import search, sphere


@pytest.mark.parametrize("strategy", [Evosax("PSO", 8), Evosax("ARS", 8), Evosax("LES", 8)], ids=lambda s: s.algorithm)
def test_keeps_the_contract(strategy: Evosax) -> None:
    """One of each kind: a population, mirrored pairs, fitness as it is; benchmarks/evosax_trust.py has them all."""
    check_strategy(strategy)


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract_in_double_precision() -> None:
    check_strategy(Evosax(population_size=8))


def test_every_algorithm_has_one_verdict() -> None:
    assert {*evosax.algorithms.algorithms} <= {*TRUSTED, *REFUSED}
    assert not {*TRUSTED} & REFUSED.keys()


@pytest.mark.parametrize("algorithm", TRUSTED)
def test_offers_what_is_trusted(algorithm: str) -> None:
    strategy, space = Evosax(algorithm, 16), Box((3,))
    x = jax.eval_shape(lambda key: strategy.ask(key, strategy.init(key, space))[0], jax.random.key(0))
    assert (x.shape, x.dtype) == ((16, 3), jnp.float32)


@pytest.mark.parametrize("algorithm", REFUSED)
def test_refuses_the_others_in_one_sentence(algorithm: str) -> None:
    words = f"Evosax expects an algorithm of evosax that keeps the contract of a strategy, and {algorithm} does not: it"
    with pytest.raises(ConfigurationError, match=f"^{words}.*[^.][.]$"):
        Evosax(algorithm)


def test_refuses_an_evosax_that_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.2.0")
    with pytest.raises(ConfigurationError, match=re.escape("expects evosax 0.3.2 or newer")):
        Evosax()


def test_a_mirrored_pair_with_a_failed_member_is_dropped() -> None:
    """Adam's first step has its full length in every coordinate, against the sign of the gradient."""
    strategy = Evosax("ARS", 4, learning_rate=0.5)
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    x, state = ask(jax.random.key(1), strategy.init(jax.random.key(0), Box((9,), start=np.zeros(9))))
    np.testing.assert_allclose(x[:2], -x[2:])
    after = tell(jax.random.key(2), state, x, Feedback(jnp.asarray([5.0, 1.0, 3.0, np.inf])))
    np.testing.assert_allclose(strategy.center(after), -0.5 * np.sign(x[0]), rtol=1e-4)
    stay = tell(jax.random.key(2), state, x, Feedback(jnp.asarray([np.inf, 1.0, 3.0, np.inf])))
    np.testing.assert_array_equal(strategy.center(stay), np.zeros(9))


def test_ties_share_their_weight() -> None:
    """Where evosax itself would round the rank of a tie, and move the mean by weights whose sum is not zero."""
    strategy = Evosax("SNES", 4)
    x, state = jax.jit(strategy.ask)(jax.random.key(1), strategy.init(jax.random.key(0), Box((3,), start=np.zeros(3))))
    after = jax.jit(strategy.tell)(jax.random.key(2), state, x, Feedback(jnp.ones(4)))
    np.testing.assert_allclose(strategy.center(after), np.zeros(3), atol=1e-6)


def test_a_first_population_holds_the_start_and_is_drawn_anew_until_one_is_evaluated() -> None:
    space, strategy = Box((3,), start=[5.0, 6.0, 7.0]), Evosax(population_size=6)
    state = strategy.init(jax.random.key(0), space)
    ask = jax.jit(strategy.ask)
    first, second = (np.asarray(ask(jax.random.key(seed), state)[0]) for seed in (1, 2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], [5.0, 6.0, 7.0])
    assert not np.any(first[1:] == second[1:])


def test_differential_evolution_keeps_what_is_better() -> None:
    """A member is replaced by its own trial vector, and a failed one by any."""
    strategy = Evosax(population_size=5)
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    parents, state = ask(jax.random.key(1), strategy.init(jax.random.key(0), Box((3,))))
    state = tell(jax.random.key(1), state, parents, Feedback(jnp.asarray([1.0, 2.0, np.inf, 3.0, np.inf])))
    trials, state = ask(jax.random.key(2), state)
    state = tell(jax.random.key(2), state, trials, Feedback(jnp.asarray([2.0, 1.0, 9.0, np.inf, np.inf])))
    kept = np.where(np.array([[False], [True], [True], [False], [True]]), trials, parents)
    np.testing.assert_array_equal(state.inner.population, kept)


def test_settings_reach_the_algorithm() -> None:
    # Without crossover and without weight for differences a trial is the best member, whatever its number.
    frozen = (("crossover_rate", 1.0), ("differential_weight", 0.0))
    frozen += (("differential_weight_min", 0.0), ("differential_weight_max", 0.0), ("num_diff", 2.0))
    strategy = Evosax(population_size=5, settings=frozen)
    ask = jax.jit(strategy.ask)
    parents, state = ask(jax.random.key(1), strategy.init(jax.random.key(0), Box((3,))))
    state = jax.jit(strategy.tell)(jax.random.key(1), state, parents, Feedback(jnp.asarray([4.0, 2.0, 1.0, 3.0, 5.0])))
    np.testing.assert_array_equal(ask(jax.random.key(2), state)[0], np.tile(parents[2], (5, 1)))


@pytest.mark.usefixtures("x64")
def test_reaches_double_precision() -> None:
    found = search(Evosax(population_size=32), Box((5,)), sphere, generations=600, target=1e-20)
    assert found.best <= 1e-20


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"algorithm": "DiferentialEvolution"}, "got 'DiferentialEvolution'. Nearest: DifferentialEvolution"),
        ({"learning_rate": 0.1}, "learning_rate=None for DifferentialEvolution, which has no optimizer"),
        ({"sigma": -1.0}, "to be a number above 0 or None, got -1.0"),
        ({"sigma": 0.1}, "sigma=None for DifferentialEvolution, which has none"),
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        (
            {"population_size": 3},
            "does not accept population_size=3 in 2 dimensions: DE requires population_size >= 4.",
        ),
        ({"settings": (("crossover", 0.5),)}, "got 'crossover'. Nearest: crossover_rate"),
        ({"settings": (("optimizer", 0.5),)}, "settings that evosax's DifferentialEvolution has, got 'optimizer'"),
    ],
)
def test_says_what_is_wrong(settings: dict, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Evosax(**settings).init(jax.random.key(0), Box((2,)))


def test_refuses_integers() -> None:
    with pytest.raises(ConfigurationError, match="Evosax searches real vectors only"):
        require_space(Evosax(), Integer(0, 3))
