"""DatasetDistillation: ω starts at real images, learners see ω alone, and class means are good training data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.problems import DatasetDistillation
from evometa.problems.shared.digits import digits

KEY = jax.random.key(4)


def test_a_search_begins_at_different_training_images_of_each_class() -> None:
    data, problem = digits(), DatasetDistillation(images_per_class=3)
    omega = problem.space.decode(problem.space.start(KEY))
    rows = {data.features[row].tobytes(): int(data.labels[row]) for row in data.training}
    images = np.asarray(omega["images"])
    assert [rows[image.tobytes()] for image in images] == [*range(10)] * 3
    assert len({image.tobytes() for image in images}) == 30
    other = problem.space.decode(problem.space.start(jax.random.key(5)))
    assert not np.array_equal(images, other["images"])


def test_networks_learn_from_the_images_in_the_order_of_the_classes() -> None:
    data, problem = digits(), DatasetDistillation(inner_steps=1, hidden=(), images_per_class=2)
    task = jax.jit(problem.sample_test_task)(KEY)
    images = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    omega = {"images": jnp.asarray(images), "learning_rate": jnp.float32(0.5)}
    losses, learner = learning_curve(problem, KEY, omega, task, (1,))

    weights = np.asarray(task.weights["Dense_0"]["kernel"], np.float64)
    exponents = np.exp(images @ weights)
    wrong = exponents / exponents.sum(1, keepdims=True) - np.eye(10)[np.arange(20) % 10]
    expected = weights - 0.5 * images.T @ wrong / 20
    np.testing.assert_allclose(learner.weights["Dense_0"]["kernel"], expected, rtol=1e-4, atol=1e-5)
    logits = data.features[data.test] @ expected - 0.5 * wrong.mean(0)
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(360), data.labels[data.test]]
    np.testing.assert_allclose(losses[0], expected.mean(), rtol=1e-4)


def test_searches_are_evaluated_on_training_examples_and_held_out_tasks_on_the_test_part() -> None:
    data, problem = digits(), DatasetDistillation(judged_examples=50)
    rows = np.asarray(jax.jit(problem.sample_task)(KEY).evaluation_rows)
    assert rows.shape == (50,)
    assert np.isin(rows, data.training).all()
    assert (rows != jax.jit(problem.sample_task)(jax.random.key(5)).evaluation_rows).any()
    np.testing.assert_array_equal(jax.jit(problem.sample_test_task)(KEY).evaluation_rows, data.test)


def test_the_mean_image_of_each_class_teaches_more_than_real_images() -> None:
    data, problem = digits(), DatasetDistillation(inner_steps=10)
    images, labels = data.features[data.training], data.labels[data.training]
    means = np.stack([images[labels == c].mean(0) for c in range(10)])
    evaluate = jax.jit(problem.evaluate_task)

    def accuracy(images: Any) -> float:
        omega = {"images": jnp.asarray(images), "learning_rate": jnp.float32(0.2)}
        return float(evaluate(KEY, omega, jax.jit(problem.sample_test_task)(KEY)).metrics["accuracy"])

    assert accuracy(means) > max(0.7, accuracy(problem.real(KEY)))


@pytest.mark.parametrize("settings", [{"images_per_class": 0}, {"judged_examples": 0}])
def test_bad_settings_are_refused_in_words(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"to be a whole number of at least 1"):
        DatasetDistillation(**settings)
