"""OpenAI-ES: pairs, gradient, schedules, failed pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.spaces import Box
from evometa.strategies import OpenAIES
from evometa.strategy import Feedback

from ..driver import first_generation, search, sphere

KEY = jax.random.key(3)


def told(strategy: OpenAIES, fitness_of, dimension: int = 3):
    """Return the candidates of a first generation from the origin, and the center after it."""
    genotypes, state = first_generation(strategy, Box((dimension,), start=np.zeros(dimension)))
    told = jax.jit(lambda: strategy.tell(KEY, state, genotypes, Feedback(fitness_of(genotypes))))()
    return genotypes, strategy.center(told)


def test_members_of_a_pair_mirror_each_other() -> None:
    genotypes, _ = told(OpenAIES(64, sigma=0.5), sphere)
    np.testing.assert_array_equal(genotypes[0::2], -genotypes[1::2])
    assert float(jnp.std(genotypes)) == pytest.approx(0.5, rel=0.2)
    assert len(np.unique(np.abs(np.asarray(genotypes[:, 0])))) == 32


@pytest.mark.parametrize("shaping", ["centered_rank", "pair_difference"])
def test_the_step_follows_the_gradient(shaping) -> None:
    slope = jnp.asarray([3.0, -4.0, 0.0])
    _, center = told(OpenAIES(4096, optimizer="sgd", shaping=shaping), lambda x: x @ slope + 7.0)
    step = -center / jnp.linalg.norm(center)
    np.testing.assert_allclose(step, slope / 5, atol=0.06)


def test_sgd_takes_the_estimate_times_the_learning_rate() -> None:
    strategy = OpenAIES(4, optimizer="sgd", sigma=0.2, learning_rate=0.5)
    genotypes, center = told(strategy, lambda x: jnp.asarray([3.0, 0.0, 1.0, 2.0]))
    noise = np.asarray(genotypes[0::2]) / 0.2
    # Ranks are 1/2, -1/2 | -1/6, 1/6.
    gradient = (0.5 * noise[0] - 1 / 6 * noise[1]) / 2 / 0.2
    np.testing.assert_allclose(center, -0.5 * gradient, rtol=1e-4, atol=1e-6)


def test_a_step_by_pair_differences_follows_the_same_formula() -> None:
    strategy = OpenAIES(4, optimizer="sgd", sigma=0.2, learning_rate=0.5, shaping="pair_difference")
    genotypes, center = told(strategy, lambda x: jnp.asarray([3.0, 0.0, 1.0, 2.0]))
    noise = np.asarray(genotypes[0::2]) / 0.2
    # Differences are 3 | -1, their root mean square √5.
    gradient = (3 * noise[0] - noise[1]) / np.sqrt(5) / 2 / 2 / 0.2
    np.testing.assert_allclose(center, -0.5 * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shaping", ["centered_rank", "pair_difference"])
def test_a_broken_pair_is_as_if_it_had_not_been(shaping) -> None:
    fitness = jnp.asarray([3.0, 0.0, 1.0, 2.5, -9.0, jnp.inf])
    large = OpenAIES(6, optimizer="sgd", shaping=shaping)
    genotypes, state = first_generation(large, Box((2,), start=np.ones(2)))
    with_broken = jax.jit(large.tell)(KEY, state, genotypes, Feedback(fitness)).center
    small = OpenAIES(4, optimizer="sgd", shaping=shaping)
    without = jax.jit(small.tell)(KEY, state, genotypes[:4], Feedback(fitness[:4])).center
    np.testing.assert_allclose(with_broken, without, rtol=1e-6)
    assert not np.allclose(without, 1.0)


def test_pair_differences_do_not_see_what_pairs_have_in_common() -> None:
    strategy = OpenAIES(8, shaping="pair_difference", tasks_per_pair=True)
    _, center = told(strategy, sphere)
    offsets = jnp.repeat(jnp.asarray([0.0, 8.0, -16.0, 4.0]), 2)  # each pair's own tasks
    _, shifted = told(strategy, lambda x: sphere(x) + offsets)
    np.testing.assert_allclose(center, shifted, rtol=1e-3)
    assert strategy.members_per_task_set == 2
    assert OpenAIES().members_per_task_set == 0


def test_weight_decay_shrinks_the_center_where_nothing_else_pulls() -> None:
    strategy = OpenAIES(4, weight_decay=0.5, learning_rate=0.1)
    genotypes, state = first_generation(strategy, Box((2,), start=np.asarray([2.0, -4.0])))
    state = jax.jit(strategy.tell)(KEY, state, genotypes, Feedback(jnp.ones(4)))
    np.testing.assert_allclose(state.center, [1.9, -3.8], rtol=1e-5)


def test_sigma_and_learning_rate_decay_to_their_final_fractions() -> None:
    strategy = OpenAIES(
        4, sigma=0.4, sigma_final=0.25, learning_rate=0.1, learning_rate_final=0.01, decay_generations=2
    )
    state = strategy.init(KEY, Box((2,), start=np.zeros(2)))
    ask, tell, diagnostics = jax.jit(strategy.ask), jax.jit(strategy.tell), jax.jit(strategy.diagnostics)
    seen = []
    for _ in range(4):
        now = diagnostics(state)
        seen.append([float(now["sigma"]), float(now["learning_rate"])])
        genotypes, state = ask(KEY, state)
        steps = state.center
        state = tell(KEY, state, genotypes, Feedback(jnp.asarray([0.0, 1.0, 0.0, 1.0])))
        # Adam's first steps under a constant gradient have the length of the learning rate.
        np.testing.assert_allclose(jnp.abs(state.center - steps), seen[-1][1], rtol=0.35)
    np.testing.assert_allclose(seen, [[0.4, 0.1], [0.2, 0.01], [0.1, 0.001], [0.1, 0.001]], rtol=1e-5)


def test_converges(precision: str) -> None:
    strategy = OpenAIES(
        64, sigma=0.05, learning_rate=0.1, learning_rate_final=0.01, sigma_final=0.1, decay_generations=200
    )
    found = search(strategy, Box((10,), start=np.full(10, -1.0)), sphere, generations=300)
    assert sphere(found.state.center) < 1e-4


def test_small_noise_far_from_the_origin_keeps_its_direction() -> None:
    strategy = OpenAIES(512, sigma=1e-4, optimizer="sgd", learning_rate=1e-4)
    genotypes, state = first_generation(strategy, Box((2,), start=np.full(2, 10.0)))
    move = jax.jit(strategy.tell)(KEY, state, genotypes, Feedback(genotypes @ jnp.asarray([1.0, -1.0]))).center - 10.0
    np.testing.assert_allclose(move / jnp.linalg.norm(move), [-(0.5**0.5), 0.5**0.5], atol=0.15)
