"""NEAT: species, their children, and members that are kept unchanged."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box
from evometa.strategies import NEAT
from evometa.strategies.structures.speciation import Species, allot_shares, assign, empty_species
from evometa.strategy import Feedback, require_space
from evometa.testing import check_strategy
from evometa.topology import Topology

SPACE = Topology(2, 1, max_hidden=2, max_connections=8)


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract() -> None:
    check_strategy(NEAT(8, max_species=3), SPACE, generations=40)


def lonely(first: jax.Array, second: jax.Array) -> jax.Array:
    """How far apart numbers are; stands in for networks."""
    return jnp.abs(first - second)


def test_members_join_the_first_species_that_is_near_and_found_others() -> None:
    members = jnp.array([0.0, 0.5, 5.0, 5.4, -0.9, 9.0, 20.0, 5.9])
    assigned = jax.jit(lambda species, members: assign(lonely, species, members, 1.0))
    own, species = assigned(jax.device_get(empty_species(members[0], 3)), members)
    # The third place is 9's; for 20 there is none left, and 9 is the nearest.
    assert own.tolist() == [0, 0, 1, 1, 0, 2, 2, 1]
    assert species.representatives.tolist() == [0.0, 5.0, 9.0]
    own, _ = assigned(species._replace(size=np.array([3, 0, 2], np.int32)), np.array([8.5, 3.0, 0.2], np.float32))
    assert own.tolist() == [2, 1, 0]  # the second species had no members left, and its place is free


def species(best: list[float], age: list[int]) -> Species:
    one = jax.device_get(empty_species(jnp.zeros(()), len(best)))
    ones = np.ones(len(best), np.int32)
    return one._replace(size=ones, best=np.asarray(best, np.float32), age=np.asarray(age, np.int32))


allot = jax.jit(lambda species, own, fitness, refocus: allot_shares(species, own, fitness, 15, refocus))


def test_children_in_proportion_to_the_mean_of_a_species() -> None:
    own, fitness = np.array([0, 0, 1, 2, 2]), np.array([1.0, 3.0, 2.0, 5.0, np.inf], np.float32)
    after = allot(species([9.0, 9.0, 9.0], [0, 0, 0]), own, fitness, False)
    # Worth 1 and 0.5 of 1; 0.75; 0 and 0: from 5, the worst that did not fail, to 1.
    np.testing.assert_allclose(after.share, np.array([0.75, 0.75, 0.0]) / 1.5, rtol=1e-6)
    assert after.best.tolist() == [1.0, 2.0, 5.0]
    assert after.size.tolist() == [2, 1, 2]


@pytest.mark.parametrize(
    ("age", "refocus", "expected"),
    [
        ([15, 0, 0], False, [False, True, True]),  # the first finds nothing better for the 16th time
        ([15, 15, 15], False, [True, False, False]),  # all of them: the best stays
        ([0, 0, 0], True, [True, True, False]),  # the two best
    ],
)
def test_who_may_have_children(age: list[int], refocus: bool, expected: list[bool]) -> None:
    own, fitness = np.array([0, 1, 2, 2]), np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    after = allot(species([0.5, 0.7, 0.9], age), own, fitness, refocus)
    assert (np.asarray(after.share) > 0).tolist() == expected
    assert float(after.share.sum()) == pytest.approx(1.0)


def test_the_best_of_a_large_species_goes_on_unchanged_and_parents_are_survivors() -> None:
    strategy = NEAT(20, crossover_rate=0.0, survivors=0.1, mutation_scale=1e-3, threshold=99.0)
    space = Topology(2, 1, max_hidden=2, max_connections=8, add_node=0.0, add_connection=0.0, replaced=0.0)

    @jax.jit
    def generation() -> Any:
        first, state = strategy.ask(jax.random.key(1), strategy.init(jax.random.key(0), space))
        state = strategy.tell(jax.random.key(2), state, first, Feedback(jnp.arange(20.0)[::-1]))
        return first, strategy.ask(jax.random.key(3), state)[0]

    first, children = generation()
    weights, parents = np.asarray(children.weight), np.asarray(first.weight)
    np.testing.assert_array_equal(weights[0], parents[19])
    nearest = np.argmin(np.abs(weights[:, None] - parents).sum(axis=2), axis=1)
    assert set(nearest[1:].tolist()) == {18, 19}  # a tenth of 20
    assert np.all(np.any(weights[1:] != parents[nearest[1:]], axis=1))


def test_the_fitter_parent_gives_the_structure() -> None:
    strategy = NEAT(64, crossover_rate=1.0, mutation_rate=0.0, survivors=1.0, threshold=99.0)
    split = Topology(2, 1, max_hidden=2, max_connections=8, add_node=1.0, add_connection=0.0).mutate

    @jax.jit
    def drawn() -> Any:
        small = jax.vmap(SPACE.sample)(jax.random.split(jax.random.key(0), 32))
        large = jax.vmap(split)(jax.random.split(jax.random.key(4), 32), small)
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), small, large)

    mixed = drawn()

    @jax.jit
    def sizes(fitness: jax.Array) -> jax.Array:
        state = strategy.tell(jax.random.key(2), strategy.init(jax.random.key(0), SPACE), mixed, Feedback(fitness))
        children, _ = strategy.ask(jax.random.key(3), state)
        return jnp.sum(children.innovation > 0, axis=1)

    for fitness, expected in ((jnp.arange(64.0), 0.25), (jnp.arange(64.0)[::-1], 0.75)):
        found = np.asarray(sizes(fitness))[1:]  # without the champion
        assert set(found.tolist()) == {3, 5}
        # A child is large where both parents are, or where either is, in 4 standard errors.
        assert np.mean(found == 5) == pytest.approx(expected, abs=4 * np.sqrt(0.25 * 0.75 / 63))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        ({"threshold": 0.0}, "to be a number above 0, got 0.0"),
        ({"survivors": 1.5}, "to be a number from 0 to 1, got 1.5"),
        ({"patience": -1}, "to be a whole number of at least 0, got -1"),
    ],
)
def test_says_what_is_wrong(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        NEAT(**settings)


def test_refuses_spaces_that_do_not_grow() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("NEAT searches networks that grow (Topology), got Box")):
        require_space(NEAT(), Box((3,)))
