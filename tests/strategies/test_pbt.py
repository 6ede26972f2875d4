"""PBT: exploitation, exploration, and the toy example of the paper."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, Categorical, ConfigurationError, Dict, InnerTraining, Integer, Search
from evometa.strategies import PBT
from evometa.strategy import Feedback
from evometa.testing import check_strategy

KEY = jax.random.key(3)
MIXED = Dict({"real": Box((2,), 0, 1), "integer": Integer(0, 9), "category": Categorical(3)})


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract_in_double_precision() -> None:
    check_strategy(PBT(5, windows=7))


def test_keeps_the_contract_on_mixed_spaces() -> None:
    check_strategy(PBT(2, windows=1), MIXED)


def told(strategy: PBT, fitness: Any, seeds: int = 1, space: Any = MIXED) -> tuple[Any, Any, Any]:
    """Return the first genotypes ``[P, D]``, and for each seed the parents and the next genotypes, after one window."""

    @jax.jit
    def window() -> tuple[Any, Any, Any]:
        def one(key: Any) -> tuple[Any, Any]:
            state = strategy.tell(key, asked, genotypes, Feedback(jnp.asarray(fitness)))
            return strategy.parents(state), strategy.ask(KEY, state)[0]

        genotypes, asked = strategy.ask(KEY, strategy.init(KEY, space))
        return genotypes, *jax.vmap(one)(jax.random.split(KEY, seeds))

    return jax.device_get(window())


def test_the_worst_go_on_from_the_best() -> None:
    strategy = PBT(10, fraction=0.25)  # two of ten
    fitness = np.array([5.0, 0.5, 7.0, 6.0, 1.0, 9.0, 8.0, 0.1, 3.0, 2.0])
    genotypes, parents, after = told(strategy, fitness, seeds=8)
    assert {tuple(np.flatnonzero(one != np.arange(10))) for one in parents} == {(5, 6)}
    assert set(parents[:, [5, 6]].flat) == {1, 7}
    stayed = np.delete(np.arange(10), [5, 6])
    np.testing.assert_array_equal(after[:, stayed], np.broadcast_to(genotypes[stayed], after[:, stayed].shape))
    children, originals = after[:, [5, 6]], genotypes[parents[:, [5, 6]]]
    assert (children != originals).any(axis=2).all()


def test_failed_members_are_replaced_however_many() -> None:
    fitness = np.full(10, np.inf)
    fitness[[3, 8]] = 2.0, 1.0
    _, (parents,), _ = told(PBT(10, fraction=0.4), fitness)
    assert parents[[3, 8]].tolist() == [3, 8]
    assert set(np.delete(parents, [3, 8])) == {3, 8}


def test_ties_fall_to_chance() -> None:
    _, parents, _ = told(PBT(6), np.ones(6), seeds=24)
    replaced = parents != np.arange(6)
    np.testing.assert_array_equal(np.sum(replaced, axis=1), 1)
    assert np.any(replaced, axis=0).sum() >= 5  # each of six is missed by all 24 with chance 0.01


def test_exploring_changes_what_it_may() -> None:
    def steps(**settings: float) -> Any:
        strategy = PBT(40, fraction=0.5, mutation_scale=1e-3, **settings)
        genotypes, (parents,), (after,) = told(strategy, np.arange(40.0), space=Box((2,), low=0.0, high=1.0))
        return (after - genotypes[parents])[20:]

    small, one, far = (
        steps(resample_probability=0.0),
        steps(resample_probability=0.0, mutation_rate=0.0),
        steps(resample_probability=1.0),
    )
    assert 0 < np.abs(small).min() < np.abs(small).max() < 5e-3
    np.testing.assert_array_equal((one != 0).sum(axis=1), 1)
    assert np.abs(far).mean() > 0.1


class Corners(Box):
    """Numbers between 0 and 1, whose random draws are corners."""

    def sample(self, key: Any) -> Any:
        return jax.random.permutation(key, jnp.array([0.0, 1.0]))


@dataclasses.dataclass(frozen=True)
class Surrogate(InnerTraining):
    """The toy of section 3.2: climb 1.2 - |θ|² by the gradient of 1.2 - h·θ², which is blind where h is 0."""

    num_tasks: int = 1
    inner_steps: int = 200
    direction = "maximize"

    @property
    def space(self) -> Box:
        return Corners((2,), low=0.0, high=1.0, start=(1.0, 0.0))

    def sample_task(self, key: Any) -> Any:
        return ()

    def init(self, key: Any, omega: Any, task: Any) -> Any:
        return jnp.array([0.9, 0.9])

    def step(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return learner - 0.02 * omega * learner

    def loss(self, key: Any, omega: Any, task: Any, learner: Any) -> Any:
        return 1.2 - jnp.sum(learner**2)


def test_the_toy_of_the_paper() -> None:
    alone = 1.2 - 0.9**2  # what either corner comes to by itself: one of the two is never trained
    search = Search(Surrogate(), PBT(4, windows=50, resample_probability=0.5), validation_tasks=1)
    kept = search.run(generations=50).archive
    assert kept is not None
    assert kept.fitness[-1] == search.history["best"][-1]
    assert kept.fitness[-1] > 1.1 > alone + 0.5
    assert (np.diff(kept.fitness) >= 0).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 1}, "to be a whole number of at least 2, got 1"),
        ({"windows": 0}, "to be a whole number of at least 1, got 0"),
        ({"fraction": 0.6}, "to be a number above 0 and of at most 0.5, got 0.6"),
        ({"resample_probability": -0.1}, "to be a number from 0 to 1, got -0.1"),
        ({"mutation_rate": 1.1}, "to be a number from 0 to 1, got 1.1"),
        ({"mutation_scale": 0.0}, "to be a number above 0, got 0.0"),
    ],
)
def test_refuses_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        PBT(**settings)
