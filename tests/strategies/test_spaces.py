"""Every strategy for discrete or mixed spaces searches every kind of space."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Categorical, Dict, Fixed, Integer, Permutation, Subset, VectorSpace, When
from evometa.errors import ConfigurationError
from evometa.strategies import (
    CMAES,
    NSGA2,
    PBIL,
    AgedEvolution,
    CMAwM,
    Evosax,
    GeneticAlgorithm,
    MAPElites,
    RandomSearch,
    Reinforce,
)
from evometa.strategy import Strategy, require_space
from evometa.testing import check_strategy
from evometa.testing.strategies import made_up_feedback

CHOICES = {
    "steps": Integer(16, 256, step=16, start=32),
    "log": Integer(1, 100, log=True),
    "kind": Categorical(["a", "b", "c"], start="b"),
    "only with b": When("kind", "b", Integer(0, 5)),
    "constant": Fixed(7),
}
CHOSEN = Dict(CHOICES)
EVERYTHING = Dict(
    CHOICES
    | {
        "above": Box((2,), low=[0.0, -np.inf], scale=[1.0, 10.0], start=[1.0, 3.0]),
        "half constant": Box((2,), [0.0, 1.0], [1.0, 1.0]),
        "order": Permutation(5),
        "some": Subset(5, 2),
    }
)


def losses(space: Dict, genotypes: Any) -> Any:
    """Return the distances ``[P]`` from the best ω, to which every part contributes 0 to about 1."""

    def loss(genotype: Any) -> Any:
        omega = space.decode(space.repair(genotype))
        found = jnp.abs(omega["steps"] - 160) / 144 + jnp.abs(jnp.log(omega["log"] / 20.0)) / 3
        found += 1.0 * (omega["kind"] != 1) + jnp.abs(omega["only with b"] - 3) / 3
        if "order" in omega:
            found += jnp.sum(jnp.abs(omega["above"] - 2.0)) / 2 + jnp.abs(omega["half constant"][0] - 0.25)
            found += jnp.sum(jnp.abs(omega["order"] - jnp.asarray([3, 1, 4, 0, 2]))) / 12
            found += jnp.sum(~jnp.isin(omega["some"], jnp.asarray([1, 3]))) / 2
        return found

    return jax.vmap(loss)(genotypes)


@pytest.mark.parametrize(
    ("strategy", "space"),
    [
        (RandomSearch(16), EVERYTHING),
        (GeneticAlgorithm(16), EVERYTHING),
        (AgedEvolution(16), EVERYTHING),
        (NSGA2(16), EVERYTHING),
        (MAPElites(16), EVERYTHING),
        (CMAwM(16, tolfun=0.0, tolfunhist=0.0), EVERYTHING),
        (PBIL(16), CHOSEN),
        (Reinforce(16, learning_rate=0.2), CHOSEN),
    ],
    ids=lambda one: type(one).__name__,
)
def test_searches_every_kind_of_space(strategy: Strategy[Any], space: Dict) -> None:
    def generation(state: Any, key: Any) -> Any:
        genotypes, state = strategy.ask(key, state)
        fitness = losses(space, genotypes)
        told = strategy.tell(key, state, genotypes, made_up_feedback(strategy, genotypes, fitness))
        return told, (genotypes, jnp.min(fitness))

    key = jax.random.key(1)
    run = jax.jit(lambda: jax.lax.scan(generation, strategy.init(key, space), jax.random.split(key, 80))[1])
    genotypes, best = run()
    assert best.min() < (1.0 if isinstance(strategy, RandomSearch) else 0.6) * best[0]
    every = genotypes.reshape(-1, space.size)
    repaired = jax.jit(jax.vmap(space.repair))(every)
    if not isinstance(strategy, CMAwM):  # whose reals are repaired by the engine
        np.testing.assert_array_equal(every, repaired)
    omega = jax.jit(jax.vmap(space.decode))(repaired)
    assert set(np.unique(omega["steps"])) <= set(range(16, 257, 16))
    assert (omega["log"].min() >= 1, omega["log"].max() <= 100) == (True, True)


@pytest.mark.parametrize("strategy", [CMAES(12), Evosax("DifferentialEvolution", 12)], ids=lambda s: type(s).__name__)
def test_strategies_for_real_numbers_search_orders_by_random_keys(strategy: Strategy[Any]) -> None:
    space = Dict({"order": Permutation(6), "x": Box((), low=0.0)})
    check_strategy(strategy, space, generations=40)


@pytest.mark.parametrize("space", [Permutation(3), Dict({"n": Integer(0, 1), "some": Subset(3, 1)})])
@pytest.mark.parametrize("strategy", [PBIL(4), Reinforce(4)], ids=lambda s: type(s).__name__)
def test_strategies_for_choices_refuse_orders_and_subsets(strategy: Strategy[Any], space: VectorSpace) -> None:
    with pytest.raises(ConfigurationError, match="integers and categories only"):
        require_space(strategy, space)
