"""Strategies that can be told candidates one by one keep the contract of that too, and do what their papers say."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box
from evometa.asynchronous import tell_completed
from evometa.strategies import CMAES, AgedEvolution, GeneticAlgorithm, RandomSearch
from evometa.strategies.cma.cmaes import decode, injected
from evometa.strategy import Feedback
from evometa.testing import ContractError, check_asynchronous_strategy

STRATEGIES = [CMAES(6), AgedEvolution(4, living=12, tournament_size=4), GeneticAlgorithm(6, mutation_scale=0.5)]


@pytest.mark.parametrize("strategy", [*STRATEGIES, RandomSearch(4)], ids=lambda s: type(s).__name__)
def test_keeps_the_contract(strategy: Any) -> None:
    check_asynchronous_strategy(strategy)


def test_a_strategy_that_loses_what_it_is_told_is_found() -> None:
    class Deaf(CMAES):
        def tell_completed(self, key: Any, state: Any, genotypes: Any, feedback: Any) -> Any:
            return state._replace(sigma=state.sigma * jnp.nan)

    with pytest.raises(ContractError, match="expects no NaN in its state after candidates that failed"):
        check_asynchronous_strategy(Deaf(6))


@pytest.mark.usefixtures("x64")
def test_cmaes_injects_what_earlier_distributions_have_drawn() -> None:
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(4, 4))
    covariance = jnp.asarray(axes @ axes.T + np.eye(4))
    strategy = CMAES(5)
    state = strategy.init(jax.random.key(0), Box((4,)))._replace(
        mean=jnp.arange(4.0), sigma=jnp.asarray(0.7), covariance=covariance, factor=jnp.linalg.cholesky(covariance)
    )
    noise = jnp.asarray(rng.normal(size=(5, 4)))
    own = decode(state, noise)
    np.testing.assert_allclose(injected(state, own)[0], noise, atol=1e-12)
    np.testing.assert_array_equal(injected(state, own)[1], own)  # nothing of its own is changed
    far, moved = injected(state, decode(state, 10 * noise))
    np.testing.assert_allclose(np.linalg.norm(far, axis=1), np.sqrt(4) + 8 / 6)
    np.testing.assert_allclose(moved, decode(state, far))
    # Told its own candidates it learns what it does in a generation.
    feedback = Feedback(jnp.asarray(rng.normal(size=5)))
    key = jax.random.key(1)
    told = jax.jit(lambda: tell_completed(strategy, key, state, own, feedback))()
    expected = jax.jit(lambda: strategy.tell(key, state._replace(noise=noise), own, feedback))()
    for one, other in zip(jax.tree.leaves(told), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_child_takes_the_place_of_the_oldest_or_of_the_worst() -> None:
    space, key = Box((1,)), jax.random.key(0)
    aged, genetic = AgedEvolution(1, living=3), GeneticAlgorithm(3)
    states: list[Any] = [aged.init(key, space), genetic.init(key, space)]

    @jax.jit
    def tell(states: list[Any], fitness: Any) -> list[Any]:
        child, feedback, strategies = jnp.full((1, 1), fitness), Feedback(jnp.full(1, fitness)), (aged, genetic)
        return [tell_completed(*each, child, feedback) for each in zip(strategies, (key, key), states, strict=True)]

    for fitness in (5.0, 1.0, np.inf, 4.0, 3.0, 9.0):
        states = tell(states, fitness)
    assert sorted(states[0].fitness.tolist()) == [3.0, 4.0, 9.0]  # the youngest; what failed never lived
    assert sorted(states[1].fitness.tolist()) == [1.0, 3.0, 4.0]  # the best


def test_starts_are_asked_for_first_and_once() -> None:
    space = Box((2,), -1.0, 1.0).starting_at(np.array([[0.1, 0.2], [0.3, 0.4]], np.float32))
    for strategy in (AgedEvolution(4), GeneticAlgorithm(4)):
        state: Any = strategy.init(jax.random.key(0), space)
        ask = jax.jit(lambda number, strategy=strategy, state=state: strategy.ask_one(jax.random.key(5), state, number))
        asked = [ask(number) for number in range(3)]
        np.testing.assert_array_equal(asked[:2], space.starts)
        assert len(np.unique(np.stack(asked), axis=0)) == 3
