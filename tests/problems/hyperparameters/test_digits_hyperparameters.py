"""Training on digits follows its hyperparameters, and never uses the data of the evaluation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

from evometa import ConfigurationError, learning_curve
from evometa.backend.precision import enable_x64
from evometa.problems import DigitsHyperparameters
from evometa.problems.shared.digits import digits

KEY = jax.random.key(2)
OMEGA = {
    "learning_rate": jnp.float32(0.2),
    "momentum": jnp.float32(0.7),
    "weight_decay": jnp.float32(0.05),
    "label_smoothing": jnp.float32(0.3),
    "init_scale": jnp.float32(1.5),
}


def test_the_parts_hold_every_image_once() -> None:
    data, (images, labels) = digits(), load_digits(return_X_y=True)
    parts = (data.training, data.validation, data.test)
    assert [len(part) for part in parts] == [1077, 360, 360]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1797))
    np.testing.assert_array_equal(data.features * 16, images)
    np.testing.assert_array_equal(data.targets.argmax(1), labels)
    assert all((np.bincount(labels[part], minlength=10) > 0.07 * len(part)).all() for part in parts)


def test_tasks_train_on_the_training_part_and_are_evaluated_elsewhere() -> None:
    problem, data = DigitsHyperparameters(inner_steps=20), digits()
    task, held_out = jax.jit(problem.sample_task)(KEY), jax.jit(problem.sample_test_task)(KEY)
    for drawn, part in ((task, data.validation), (held_out, data.test)):
        assert drawn.batches.shape == (20, 64)
        assert np.isin(drawn.batches, data.training).all()
        np.testing.assert_array_equal(drawn.evaluation_rows, part)
    assert len(np.unique(task.batches)) > 600  # 1280 draws with replacement from 1077 rows leave 749 on average
    other = jax.jit(problem.sample_task)(jax.random.key(3))
    assert (task.batches != other.batches).any()
    assert (task.weights["Dense_0"]["kernel"] != other.weights["Dense_0"]["kernel"]).any()


def test_training_is_stochastic_gradient_descent_as_optax_does_it() -> None:
    problem, data = DigitsHyperparameters(inner_steps=3, batch_size=8, hidden=(5,)), digits()
    task = jax.jit(problem.sample_task)(KEY)
    losses, learner = jax.jit(lambda task: learning_curve(problem, KEY, OMEGA, task, (3,)))(task)

    optimizer = optax.chain(optax.add_decayed_weights(0.05), optax.sgd(0.2, momentum=0.7))
    weights: Any = jax.tree.map(lambda w: 1.5 * w, task.weights)
    state = optimizer.init(weights)

    def logits(weights: Any, rows: Any) -> Any:
        hidden = jax.nn.relu(
            jnp.asarray(data.features)[rows] @ weights["Dense_0"]["kernel"] + weights["Dense_0"]["bias"]
        )
        return hidden @ weights["Dense_1"]["kernel"] + weights["Dense_1"]["bias"]

    def error(weights: Any, rows: Any) -> Any:
        targets = optax.smooth_labels(jax.nn.one_hot(jnp.asarray(data.labels)[rows], 10), 0.3)
        return optax.softmax_cross_entropy(logits(weights, rows), targets).mean()

    @jax.jit
    def step(weights: Any, state: Any, rows: Any) -> Any:
        updates, state = optimizer.update(jax.grad(error)(weights, rows), state, weights)
        return optax.apply_updates(weights, updates), state

    for rows in np.asarray(task.batches):
        weights, state = step(weights, state, rows)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), learner.weights, weights)

    predicted = np.asarray(jax.jit(logits)(weights, data.validation))
    right = data.labels[data.validation]
    expected = jax.jit(optax.softmax_cross_entropy_with_integer_labels)(predicted, right).mean()
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)
    accuracy = jax.jit(problem.metrics)(KEY, OMEGA, task, learner)["accuracy"]
    np.testing.assert_allclose(accuracy, np.mean(predicted.argmax(1) == right), atol=1 / 720)


def test_customary_hyperparameters_learn_the_digits() -> None:
    problem = DigitsHyperparameters()
    omega = jax.jit(lambda: problem.space.decode(problem.space.start(KEY)))()
    assert {name: round(float(value), 6) for name, value in omega.items()} == {
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0001,
        "label_smoothing": 0.1,
        "init_scale": 1.0,
    }
    evaluate = jax.jit(problem.evaluate_task)
    assert evaluate(KEY, omega, jax.jit(problem.sample_test_task)(KEY)).metrics["accuracy"] > 0.75
    better = omega | {"learning_rate": jnp.float32(0.1), "label_smoothing": jnp.float32(0.0)}
    assert evaluate(KEY, better, jax.jit(problem.sample_test_task)(KEY)).metrics["accuracy"] > 0.93


def test_inner_training_stays_float32_under_x64() -> None:
    problem = DigitsHyperparameters(inner_steps=2, batch_size=4)

    def run(key: Any) -> Any:
        omega, task = problem.space.decode(problem.space.start(key)), problem.sample_task(key)
        _, learner = learning_curve(problem, key, omega, task, (2,))
        return omega, learner[:2], problem.loss(key, omega, task, learner)

    with enable_x64(True):
        shapes = jax.tree.leaves(jax.eval_shape(run, jax.random.key(0)))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype("float32")}


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"hidden": (0,)}])
def test_bad_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        DigitsHyperparameters(**settings)
