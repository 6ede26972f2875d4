"""FullES, TruncatedES, PES and NRES: whose gradient is unbiased, and what one estimate is made of."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import Box, ConfigurationError, Search
from evometa.evaluation.population_evaluator import evaluator_for
from evometa.inner_training import learning_curve
from evometa.problems import InfluenceBalancing
from evometa.strategies import NRES, PES, FullES, TruncatedES
from evometa.strategy import Feedback
from evometa.testing import check_strategy

ALL = [FullES, TruncatedES, PES, NRES]
KEY = jax.random.key(3)


def test_keeps_the_contract_with_one_pair() -> None:
    check_strategy(TruncatedES(2))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("strategy", [NRES(16), PES(16)], ids=lambda s: type(s).__name__)
def test_keeps_the_contract_in_double_precision(strategy: Any) -> None:
    check_strategy(strategy)


PROBLEM = InfluenceBalancing(inner_steps=12, units=5, positive=2)
THETA = jnp.array([0.5])


def exact_gradient() -> float:
    steps = tuple(range(1, 13))

    def objective(theta: Any) -> Any:
        return jnp.mean(learning_curve(PROBLEM, KEY, theta[0], (), steps)[0])

    return float(jax.grad(objective)(THETA)[0])


def estimates(strategy: Any, seeds: int, episodes: int) -> Any:
    """Independent estimates ``[seeds]`` of the gradient at one θ, each a mean over whole episodes of a single pair."""
    evaluator = evaluator_for(strategy, PROBLEM, PROBLEM.space)
    evaluator = dataclasses.replace(evaluator, chunk=2, devices=(jax.local_devices()[0],))
    windows = 1 if isinstance(strategy, FullES) else -(-PROBLEM.inner_steps // strategy.unroll_length)

    def one(key: Any) -> Any:
        def generation(carry: Any, number: Any) -> Any:
            state, episodes = evaluator.prepare(*carry)
            genotypes, state = strategy.ask(jax.random.fold_in(key, number), state)
            evaluated = evaluator.evaluate(key, key, episodes, genotypes)
            gradient = strategy.gradient(state, evaluated.evaluation.fitness)
            return (state, evaluated.carried), gradient[0]

        state = strategy.init(key, PROBLEM.space)
        _, found = jax.lax.scan(generation, (state, evaluator.initial()), jnp.arange(1 + windows * episodes))
        return jnp.mean(found[1:])  # the first episode of a pair alone is cut to one window

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(KEY, seeds)))


@pytest.mark.parametrize(("cls", "settings"), [(FullES, {}), (PES, {"unroll_length": 3}), (NRES, {"unroll_length": 5})])
def test_the_estimate_averages_to_the_gradient_of_the_full_unroll(cls: Any, settings: dict[str, int]) -> None:
    # The loss is quadratic in all noise together, so smoothing by noise leaves its gradient as it is.
    found = estimates(cls(2, sigma=0.1, **settings), seeds=4000, episodes=2)
    error = found.std() / np.sqrt(len(found))
    assert error < 0.05 * abs(exact_gradient())
    assert abs(found.mean() - exact_gradient()) < 3 * error


def test_truncation_is_short_sighted() -> None:
    found = estimates(TruncatedES(2, sigma=0.1, unroll_length=1), seeds=1000, episodes=2)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - exact_gradient()) > 20 * error


def told(strategy: Any, fitness: list[float], begins: list[bool]) -> tuple[Any, Any, Any]:
    """One generation from 0 in two dimensions; returns the noise of the pairs, and the states before and after."""

    @jax.jit
    def generation(begins: Any, fitness: Any) -> tuple[Any, Any, Any]:
        state = strategy.init(KEY, Box((2,), start=np.zeros(2)))
        state = state._replace(begins=begins, direction=jnp.ones_like(state.direction))
        genotypes, asked = strategy.ask(KEY, state)
        return genotypes[0::2], asked, strategy.tell(KEY, asked, genotypes, Feedback(fitness))

    return jax.device_get(generation(np.array(begins), np.array(fitness, np.float32)))


@pytest.mark.parametrize("cls", ALL)
def test_noise_and_what_losses_are_weighted_with(cls: Any) -> None:
    noise, asked, _ = told(cls(4, sigma=0.1), [1.0, 2.0, 3.0, 4.0], [True, False])
    drawn = TruncatedES(4, sigma=0.1)
    fresh, _, _ = told(drawn, [1.0, 2.0, 3.0, 4.0], [True, False])
    kept = np.array([fresh[0], [1.0, 1.0]])
    summed = np.array([fresh[0], fresh[1] + 1.0])
    np.testing.assert_allclose(noise, kept if cls is NRES else fresh, rtol=1e-6)
    np.testing.assert_allclose(asked.direction, {PES: summed, NRES: kept}.get(cls, fresh), rtol=1e-6)


def test_the_step_is_the_estimate_and_broken_pairs_take_no_part() -> None:
    strategy = PES(6, sigma=0.1, learning_rate=0.01, optimizer="sgd", largest_norm=1e6)
    fitness = [1.0, 5.0, np.inf, 0.0, 2.0, 1.5]
    _, asked, state = told(strategy, fitness, [True, False, False])
    xi = np.asarray(asked.direction)
    gradient = ((1.0 - 5.0) * xi[0] + (2.0 - 1.5) * xi[2]) / (2 * 0.1**2) / 2
    found = jax.jit(strategy.gradient)(asked, np.array(fitness, np.float32))
    np.testing.assert_allclose(found, gradient, rtol=1e-5)
    np.testing.assert_allclose(state.center, -0.01 * gradient, rtol=1e-5)


def test_a_long_gradient_is_shortened_and_the_rate_decays() -> None:
    strategy = PES(2, learning_rate=0.1, optimizer="sgd", learning_rate_final=0.25, decay_generations=2)
    fitness, lengths, tell = [1e30, -1e30], [], jax.jit(strategy.tell)
    _, asked, state = told(strategy, fitness, [True])
    for _ in range(4):
        lengths.append(float(np.linalg.norm(state.center)))
        state = state._replace(center=np.zeros(2, np.float32))
        state = tell(KEY, state, asked.direction, Feedback(np.array(fitness, np.float32)))
    np.testing.assert_allclose(lengths, [0.1, 0.05, 0.025, 0.025], rtol=1e-5)


@pytest.mark.parametrize("cls", [PES, NRES])
def test_long_unrolls_are_followed_to_their_optimum(cls: Any) -> None:
    problem = InfluenceBalancing(inner_steps=200, units=5, positive=2)  # at rest, s₁ = -2 θ
    strategy = cls(100, sigma=0.1, learning_rate=0.01, optimizer="sgd", largest_norm=10.0, unroll_length=4)
    result = Search(problem, strategy, validation_tasks=1).run(generations=200)
    assert abs(float(np.asarray(result.center_omega)) + 0.5) < 0.05


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (FullES, {"population_size": 5}, "to be an even whole number of at least 2, got 5"),
        (PES, {"sigma": -1.0}, "to be a number above 0, got -1.0"),
        (NRES, {"largest_norm": float("inf")}, "to be a number above 0, got inf"),
        (TruncatedES, {"learning_rate_final": 0.0}, "to be a number above 0 and of at most 1, got 0.0"),
        (PES, {"unroll_length": 0}, "to be a whole number of at least 1, got 0"),
        (PES, {"shortest_horizon": 9}, "got 9 and 10"),
    ],
)
def test_refuses_settings(cls: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        cls(**settings)
