"""Queries are classified by the nearest mean of embedded examples, and nothing else reveals their class."""

from typing import Any

import jax
import numpy as np
import pytest

from evometa.problems import OmniglotPrototypes
from evometa.problems.few_shot.episodes import Episode, flat

PROBLEM = OmniglotPrototypes(characters="glyphs", ways=4, shots=2, queries=3, channels=(3, 5))


run, classify = jax.jit(PROBLEM.network.run), jax.jit(PROBLEM.classify)


@pytest.fixture(scope="module")
def omega() -> Any:
    return jax.jit(PROBLEM.network.draw)(jax.random.key(1))


@pytest.fixture(scope="module")
def task() -> Episode:
    return jax.device_get(jax.jit(PROBLEM.sample_task)(jax.random.key(2)))


def test_logits_are_squared_distances_to_the_means(omega: Any, task: Episode) -> None:
    support, query = (np.asarray(run(omega, flat(images)), np.float64) for images in task)
    assert support.shape == (8, 6 * 6 * 5)
    means = support.reshape(4, 2, -1).mean(axis=1)
    distances = ((query[:, None] - means) ** 2).mean(axis=-1)
    likelihood = np.exp(-4 * distances) / np.exp(-4 * distances).sum(axis=1, keepdims=True)
    label = np.repeat(np.arange(4), 3)
    found = jax.jit(PROBLEM.evaluate_task)(jax.random.key(0), omega, task)
    assert float(found.fitness) == pytest.approx(-np.log(likelihood[np.arange(12), label]).mean(), rel=1e-4)
    assert float(found.metrics["accuracy"]) == pytest.approx((distances.argmin(axis=1) == label).mean())


def test_a_query_is_classified_alike_whichever_others_there_are(omega: Any, task: Episode) -> None:
    learner = jax.jit(PROBLEM.init)(jax.random.key(0), omega, task)
    queries = flat(task.query)
    alone = classify(omega, learner, queries[:1])
    np.testing.assert_allclose(alone, np.asarray(classify(omega, learner, queries))[:1], rtol=1e-4, atol=1e-5)
    # Nor does one example change what another one is turned into.
    embedded = np.asarray(run(omega, flat(task.support)))
    np.testing.assert_allclose(np.asarray(run(omega, task.support[0]))[0], embedded[0], rtol=1e-4, atol=1e-5)


def test_each_image_is_normalised_by_itself(omega: Any, task: Episode) -> None:
    last = np.asarray(run(omega, flat(task.query)))  # biases are zero at first
    np.testing.assert_allclose(last.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(last.std(axis=1), 1, rtol=1e-3)


def test_shifted_problems_take_the_same_omega(omega: Any) -> None:
    others = PROBLEM.shifted()
    kinds = {name: (other.shots, other.ways, other.within_alphabet) for name, other in others.items()}
    kinds.pop("omniglot", None)  # where its files are
    assert kinds == {"1 shot": (1, 4, True), "10 ways": (2, 10, True), "alphabets mixed": (2, 4, False)}
    for other in others.values():
        task = jax.eval_shape(other.sample_test_task, jax.random.key(3))
        assert task.support.shape[:2] == (other.ways, other.shots)
        found = jax.eval_shape(other.evaluate_task, jax.random.key(0), omega, task)
        assert found.fitness.shape == ()
