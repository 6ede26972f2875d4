"""Hypercleaning: weights decide which examples count in training, and training equals that with optax."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.problems import Hypercleaning
from evometa.problems.shared.digits import digits

KEY = jax.random.key(1)
SMALL = Hypercleaning(training_examples=40, clean_examples=20, hidden=(5,), inner_steps=3)


def omega(logits: Any, l2: float = 0.0) -> dict[str, Any]:
    values = {"learning_rate": 0.2, "l2": [l2, 2 * l2], "weight_logits": logits}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def test_half_of_the_labels_are_wrong_and_the_same_ones_whenever_asked() -> None:
    problem = Hypercleaning()
    assert np.mean(problem.wrong) == pytest.approx(0.5, abs=0.07)  # three standard errors of 500 coins
    np.testing.assert_array_equal(problem.labels, Hypercleaning(inner_steps=3).labels)
    assert (problem.labels != dataclasses.replace(problem, corruption=1).labels).any()
    assert set(problem.labels.tolist()) == set(range(10))
    assert not dataclasses.replace(problem, label_noise=0.0).wrong.any()
    drawn = jax.jit(problem.sample_task)(KEY).evaluation_rows, jax.jit(problem.sample_test_task)(KEY).evaluation_rows
    assert [len(rows) for rows in drawn] == [300, 360]
    assert not set(problem.rows.tolist()) & {*drawn[0].tolist(), *drawn[1].tolist()}


def test_training_is_weighted_descent_with_momentum_as_optax_does_it() -> None:
    data, task = digits(), jax.jit(SMALL.sample_task)(KEY)
    logits = np.linspace(-3, 3, 40)
    losses, learner = jax.jit(lambda task: learning_curve(SMALL, KEY, omega(logits, l2=0.1), task, (3,)))(task)

    def apply(weights: Any, x: Any) -> Any:
        hidden = jax.nn.relu(x @ weights["Dense_0"]["kernel"] + weights["Dense_0"]["bias"])
        return hidden @ weights["Dense_1"]["kernel"] + weights["Dense_1"]["bias"]

    def error(weights: Any) -> Any:
        each = optax.softmax_cross_entropy_with_integer_labels(apply(weights, data.features[SMALL.rows]), SMALL.labels)
        penalty = 0.05 * jnp.sum(weights["Dense_0"]["kernel"] ** 2) + 0.1 * jnp.sum(weights["Dense_1"]["kernel"] ** 2)
        return jnp.average(each, weights=weight) + penalty

    weight = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    optimizer = optax.sgd(0.2, momentum=0.9)
    weights: Any = task.weights

    @jax.jit
    def step(weights: Any, state: Any) -> Any:
        updates, state = optimizer.update(jax.grad(error)(weights), state)
        return optax.apply_updates(weights, updates), state

    state = jax.jit(optimizer.init)(weights)
    for _ in range(3):
        weights, state = step(weights, state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), learner.weights, weights)
    clean = data.validation[:20]
    predicted = jax.jit(apply)(weights, data.features[clean])
    expected = jax.jit(optax.softmax_cross_entropy_with_integer_labels)(predicted, data.labels[clean])
    np.testing.assert_allclose(losses[0], np.mean(expected), rtol=1e-5)


def test_examples_with_no_weight_are_not_learned_from() -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    known = omega(np.where(SMALL.wrong, -200.0, 1.0))
    cleaned = dataclasses.replace(SMALL, label_noise=0.0)
    few = omega(np.where(SMALL.wrong, -200.0, 7.0))
    both = jax.jit(
        lambda weights: [
            problem.training_loss(given, (), weights, jnp.int32(0))
            for problem, given in ((SMALL, known), (cleaned, few))
        ]
    )
    np.testing.assert_allclose(*both(task.weights), rtol=1e-4)


def test_f1_is_that_of_weights_below_a_half() -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    learner = jax.jit(lambda task: SMALL.init(KEY, None, task))(task)
    metrics = jax.jit(SMALL.metrics)

    def f1(found: Any) -> float:
        return float(metrics(KEY, omega(np.where(found, -1.0, 1.0)), task, learner)["f1"])

    wrong = SMALL.wrong
    share = wrong.mean()
    assert f1(wrong) == 1.0
    assert f1(~wrong) == 0.0
    assert f1(np.ones(40, bool)) == pytest.approx(2 * share / (1 + share))
    assert f1(np.zeros(40, bool)) == 0.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training_examples": 0}, "to be a whole number of at least 1, got 0"),
        ({"training_examples": 2000}, "at most 1077 training_examples and 360 clean_examples"),
        ({"clean_examples": 361}, "at most 1077 training_examples and 360 clean_examples"),
        ({"label_noise": 1.0}, "to be a number of at least 0 and below 1, got 1.0"),
        ({"hidden": (0,)}, "a tuple of whole numbers of at least 1"),
    ],
)
def test_bad_settings_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Hypercleaning(**settings)
