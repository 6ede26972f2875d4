"""Learners start at ω with an output layer of zeros, and take plain gradient steps, each tensor with its own size."""

from typing import Any

import jax
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import OmniglotInitialisation
from evometa.problems.few_shot.episodes import Episode, flat

PROBLEM = OmniglotInitialisation(
    characters="glyphs", ways=3, shots=2, inner_steps=1, channels=(2, 3), learning_rate=0.5, output_learning_rate=0.5
)


@pytest.fixture(scope="module")
def omega() -> Any:
    omega = jax.device_get(jax.jit(lambda key: PROBLEM.space.decode(PROBLEM.space.start(key)))(jax.random.key(1)))
    assert {float(v) for v in jax.tree.leaves(omega["log_rates"])} == {0.0}
    omega["log_rates"]["output"] = {"kernel": np.log(np.float32(2)), "bias": np.log(np.float32(4))}
    return omega


@pytest.fixture(scope="module")
def task() -> Episode:
    return jax.device_get(jax.jit(PROBLEM.sample_task)(jax.random.key(2)))


begin = jax.jit(PROBLEM.init)


def test_the_first_step_turns_the_output_to_the_mean_features_of_each_class(omega: Any, task: Episode) -> None:
    learner = begin(jax.random.key(0), omega, task)
    assert float(jax.jit(PROBLEM.loss)(jax.random.key(0), omega, task, learner)) == pytest.approx(np.log(3), rel=1e-5)
    after = jax.jit(PROBLEM.step)(jax.random.key(0), omega, task, learner)
    # With all probabilities 1/3: minus the gradient is the mean over the images of feature · (label - 1/3).
    x = np.asarray(jax.jit(PROBLEM.network.run)(omega["convolutions"], flat(task.support)), np.float64)
    error = (np.repeat(np.eye(3), 2, axis=0) - 1 / 3) / 6
    np.testing.assert_allclose(after["output"]["kernel"], 0.5 * 2 * x.T @ error / np.sqrt(x.shape[1]), atol=1e-5)
    np.testing.assert_allclose(after["output"]["bias"], 0, atol=1e-6)
    for one, other in zip(*map(jax.tree.leaves, (after["convolutions"], omega["convolutions"])), strict=True):
        np.testing.assert_array_equal(one, other)  # nothing flows through an output layer of zeros


def test_each_tensor_has_its_own_step_size(omega: Any, task: Episode) -> None:
    learner, rng = begin(jax.random.key(0), omega, task), np.random.default_rng(0)
    learner = jax.tree.map(lambda w: w + 0.1 * rng.standard_normal(w.shape, np.float32), jax.device_get(learner))
    step = jax.jit(PROBLEM.step)

    def moved(log_rates: Any) -> list[Any]:
        after = step(jax.random.key(0), omega | {"log_rates": log_rates}, task, learner)
        return [np.asarray(new - old) for new, old in zip(*map(jax.tree.leaves, (after, learner)), strict=True)]

    zeros = jax.tree.map(np.zeros_like, omega["log_rates"])
    numbered = jax.tree.unflatten(jax.tree.structure(zeros), list(np.log(np.arange(1, 7, dtype=np.float32))))
    for number, (plain, other) in enumerate(zip(moved(zeros), moved(numbered), strict=True)):
        assert np.abs(plain).max() > 1e-4
        np.testing.assert_allclose(other, (number + 1) * plain, rtol=1e-3, atol=1e-5)


def test_omega_knows_nothing_of_the_number_of_classes(omega: Any, task: Episode) -> None:
    for name in ("10 ways", "1 shot"):
        assert PROBLEM.shifted()[name].space.size == PROBLEM.space.size
    # Nor of their order: with the classes turned round, a learner comes out that gives the same answers.
    turned = Episode(*(images[::-1] for images in task))
    evaluate = jax.jit(PROBLEM.evaluate_task)
    one, other = (evaluate(jax.random.key(0), omega, each) for each in (task, turned))
    assert float(one.fitness) == pytest.approx(float(other.fitness), rel=1e-4)


def test_refuses_a_step_size_of_zero() -> None:
    with pytest.raises(ConfigurationError, match=r"output_learning_rate .* to be a number above 0"):
        OmniglotInitialisation(characters="glyphs", output_learning_rate=0.0)
