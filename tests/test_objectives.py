"""Objectives and learning curves, against closed forms and plain loops."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import At, ConfigurationError, Final, Mean, learning_curve
from evometa.inner_training import begin, train
from evometa.naming import load

TOYS = Path(__file__).with_name("toys.py")
Chase, Waves = load(f"{TOYS}:Chase"), load(f"{TOYS}:Waves")
KEY = jax.random.key(0)


def by_hand(start: float, target: float, rate: float, counted: list[int]) -> tuple[float, float]:
    """Train the learner of Chase in a plain loop; return the mean of the counted losses, and the learner."""
    learner, losses = start, []
    for number in range(max(counted) + 1):
        if number in counted:
            losses.append((learner - target) ** 2)
        if number < max(counted):
            learner += rate * (target - learner)
    return float(np.mean(losses)), learner


@pytest.mark.parametrize(
    ("objective", "steps", "counted"),
    [
        (Final(), 4, [4]),
        (Final(), 0, [0]),
        (Mean(), 4, [1, 2, 3, 4]),
        (Mean(), 1, [1]),
        (Mean(), 0, [0]),
        (At((0, 3)), 4, [0, 3]),
        (At((3, 1, 3)), 4, [1, 3]),
        (At((1, 2)), 4, [1, 2]),
    ],
)
def test_fitness_is_that_of_a_plain_loop(objective: Any, steps: int, counted: list[int]) -> None:
    assert objective.steps(steps) == tuple(counted)
    problem = Chase(inner_steps=steps, objective=objective)
    fitness, metrics, *_ = problem.evaluate_task(KEY, jnp.float32(2.0), jnp.float32(-1.0))
    expected, learner = by_hand(2.0, -1.0, problem.rate, counted)
    np.testing.assert_allclose(fitness, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["distance"], learner + 1.0, rtol=1e-5)  # of the learner after the last step


def test_a_curve_has_the_closed_form_also_beyond_the_problems_inner_steps() -> None:
    problem = Chase(inner_steps=2)
    losses, learner = learning_curve(problem, KEY, jnp.float32(3.0), jnp.float32(1.0), (0, 1, 2, 7))
    np.testing.assert_allclose(losses, 4.0 * 0.75 ** (2.0 * np.array([0, 1, 2, 7])), rtol=1e-5)
    np.testing.assert_allclose(learner, 1.0 + 2.0 * 0.75**7, rtol=1e-5)


def test_the_mean_of_a_long_curve_takes_no_more_memory_than_that_of_a_short_one() -> None:
    def compiled(steps: int) -> Any:
        problem = Chase(inner_steps=steps, objective=Mean(), rate=1e-3)
        return jax.jit(lambda omega: problem.evaluate_task(KEY, omega, jnp.float32(-1.0))).lower(jnp.float32(2.0))

    long = compiled(100_000).compile()
    assert long.memory_analysis().temp_size_in_bytes <= compiled(1_000).compile().memory_analysis().temp_size_in_bytes
    expected = 9.0 * np.mean((1 - 1e-3) ** (2.0 * np.arange(1, 100_001)))
    np.testing.assert_allclose(long(jnp.float32(2.0)).fitness, expected, rtol=1e-5)


def test_training_in_pieces_is_training_at_once() -> None:
    problem = Waves(inner_steps=5)
    omega = problem.space.decode(problem.space.start(KEY))
    task = problem.sample_task(KEY)

    def run(key: Any, *counts: int) -> Any:
        learner, done = begin(problem, key, omega, task), 0
        for count in counts:
            learner, done = train(problem, key, omega, task, learner, done, count), done + count
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(learner)])

    once = jax.jit(lambda key: run(key, 5))(KEY)
    pieces = jax.jit(lambda key: run(key, 2, 0, 1, 2))(KEY)
    np.testing.assert_allclose(once, pieces, atol=1e-6)
    other = jax.jit(lambda key: run(key, 5))(jax.random.key(1))
    assert np.abs(once - other).max() > 1e-3  # the steps are noisy: the key decides


def test_each_step_and_each_loss_has_its_own_key() -> None:
    problem = Waves(inner_steps=4)
    omega, task = problem.space.decode(problem.space.start(KEY)), problem.sample_task(KEY)

    def losses(steps: tuple[int, ...]) -> Any:
        return jax.jit(lambda: learning_curve(problem, KEY, omega, task, steps)[0])()

    every = losses((1, 2, 3, 4))  # one scan
    np.testing.assert_allclose(losses((0, 1, 2, 3, 4))[1:], every, rtol=1e-5)  # piece by piece
    np.testing.assert_allclose(losses((2, 4)), every[jnp.array([1, 3])], rtol=1e-5)
    still = Waves(inner_steps=4)
    frozen = omega | {"rate": jnp.float32(0.0)}
    curve = jax.jit(lambda: learning_curve(still, KEY, frozen, task, (1, 2, 3))[0])()
    assert len(np.unique(np.asarray(curve))) == 3  # a learner that stands still meets new noise at each validation


@pytest.mark.parametrize("after", [(), (5,), (-1, 2), 3, (1.0,)])
def test_steps_that_the_training_does_not_have_are_refused(after: tuple[int, ...]) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"At expects (one or more steps between 0 and inner_steps=4|after .* whole numbers of at least 0)",
    ):
        Chase(inner_steps=4, objective=At(after))
