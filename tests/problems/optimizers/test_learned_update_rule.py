"""A formula as the update rule gives that optimizer, and is evaluated on held-out data."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa import ConfigurationError, learning_curve
from evometa.backend.chunks import map_chunks
from evometa.backend.precision import enable_x64
from evometa.expressions import parse, source
from evometa.expressions.tree import stack
from evometa.inner_training import begin
from evometa.problems.optimizers.learned_update_rule import (
    ADAM,
    GRADIENT_DESCENT,
    MOMENTUM,
    LearnedUpdateRule,
    divide,
    log,
    sqrt,
)
from evometa.problems.shared.digits import digits

KEY = jax.random.key(3)
SMALL = LearnedUpdateRule(
    num_tasks=2, inner_steps=4, batch_size=8, hidden=(5,), learning_rates=(0.02, 0.3), max_size=10
)
SPACE = SMALL.space
INFINITE = "square(square(square(square(exp(10.0)))))"


def read(text: str) -> Any:
    return parse(SPACE.primitives, text, SPACE.max_size)


@functools.cache
def compiled() -> Any:
    """From expressions to losses and learners, one expression after the other, as the engine evaluates them."""
    task, devices = jax.jit(SMALL.sample_task)(KEY), (jax.local_devices()[0],)

    def one(task: Any, tree: Any) -> Any:
        return learning_curve(SMALL, KEY, SPACE.decode(tree), task, (4,))

    return jax.jit(lambda *trees: map_chunks(one, task, stack(list(trees)), chunk=1, devices=devices))


def trained(*texts: str) -> Any:
    return compiled()(*(read(text) for text in texts))


def error(weights: Any, rows: Any) -> Any:
    """The network's cross-entropy, written out."""
    hidden = jax.nn.relu(
        jnp.asarray(digits().features)[rows] @ weights["Dense_0"]["kernel"] + weights["Dense_0"]["bias"]
    )
    logits = hidden @ weights["Dense_1"]["kernel"] + weights["Dense_1"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(digits().labels)[rows]).mean()


ERROR, GRADIENT = jax.jit(error), jax.jit(jax.grad(error))


PEERS: dict[str, Any] = {
    GRADIENT_DESCENT: lambda rate: optax.sgd(rate),
    MOMENTUM: lambda rate: optax.chain(optax.ema(0.9, debias=True), optax.scale(-rate)),
    ADAM: lambda rate: optax.adam(rate),
    "sign(gradient)": lambda rate: optax.chain(optax.scale_by_sign(), optax.scale(-rate)),
    "add(gradient, mul(0.1, weight))": lambda rate: optax.chain(optax.add_decayed_weights(0.1), optax.sgd(rate)),
}


def test_a_formula_is_the_optimizer_that_it_spells() -> None:
    task = jax.jit(SMALL.sample_task)(KEY)
    _, learners = trained(*PEERS)
    for number, peer in enumerate(PEERS.values()):
        for place, rate in enumerate(SMALL.learning_rates):
            optimizer, weights = peer(rate), task.weights
            state = optimizer.init(weights)
            for rows in np.asarray(task.batches):
                updates, state = optimizer.update(GRADIENT(weights, rows), state, weights)
                weights = optax.apply_updates(weights, updates)
            flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(weights)])
            np.testing.assert_allclose(learners.weights[number, place], flat, rtol=1e-4, atol=2e-5)


def test_tasks_train_on_the_training_part_and_are_evaluated_elsewhere() -> None:
    data = digits()
    for task, part in (
        (jax.jit(SMALL.sample_task)(KEY), data.validation),
        (jax.jit(SMALL.sample_test_task)(KEY), data.test),
    ):
        assert task.batches.shape == (4, 8)
        assert np.isin(task.batches, data.training).all()
        np.testing.assert_array_equal(task.evaluation_rows, part)


def test_validation_chooses_the_learning_rate_and_the_test_part_evaluates() -> None:
    many = dataclasses.replace(SMALL, learning_rates=tuple(np.linspace(0.1, 1.0, 16).tolist()))
    task, omega, data = jax.jit(many.sample_test_task)(KEY), SPACE.decode(read(MOMENTUM)), digits()
    learner = begin(many, KEY, omega, task)
    noise = jax.random.normal(KEY, learner.weights.shape, jnp.float32)
    learner = learner._replace(weights=(learner.weights + 0.1 * noise).at[3].set(jnp.nan))
    weights = [jax.flatten_util.ravel_pytree(task.weights)[1](row) for row in learner.weights]
    on_validation, on_test = (np.array([ERROR(w, part) for w in weights]) for part in (data.validation, data.test))
    best = np.nanargmin(on_validation)
    assert best != np.nanargmin(on_test)  # otherwise this test could not tell
    loss, metrics = jax.jit(lambda *given: (many.loss(*given), many.metrics(*given)))(KEY, omega, task, learner)
    np.testing.assert_allclose(loss, on_test[best], rtol=1e-5)
    np.testing.assert_allclose(metrics["learning_rate"], many.learning_rates[best], rtol=1e-6)
    hidden = jax.nn.relu(
        data.features[data.test] @ weights[best]["Dense_0"]["kernel"] + weights[best]["Dense_0"]["bias"]
    )
    guesses = np.argmax(hidden @ weights[best]["Dense_1"]["kernel"] + weights[best]["Dense_1"]["bias"], axis=1)
    np.testing.assert_allclose(metrics["accuracy"], np.mean(guesses == data.labels[data.test]), atol=1 / 720)


def test_a_rule_that_is_not_finite_fails_and_nobody_else() -> None:
    first, *_, last = PEERS
    sound, broken = (np.asarray(trained(first, text, text, text, last)[0]) for text in (MOMENTUM, INFINITE))
    assert np.isfinite(sound).all()
    assert not np.isfinite(broken[1:4]).any()
    np.testing.assert_array_equal(broken[[0, 4]], sound[[0, 4]])


def test_one_rule_trains_networks_of_any_size_for_any_time() -> None:
    other = dataclasses.replace(SMALL, hidden=(6, 4), inner_steps=7)
    found = jax.jit(lambda: other.evaluate_task(KEY, SPACE.decode(read(ADAM)), other.sample_test_task(KEY)))()
    assert jnp.isfinite(found.fitness)
    assert set(found.metrics) == {"accuracy", "learning_rate"}


def test_small_numbers_are_not_protected_away() -> None:
    small, of_all_sizes = jnp.float32(1e-6), jnp.array([0.0, 1e-30, -1e-12, 1e-4, -1.0, 1e8, -1e15], jnp.float32)
    np.testing.assert_allclose(divide(2 * small, small), 2.0, rtol=1e-3)
    np.testing.assert_allclose(sqrt(-small * small), small, rtol=1e-5)
    np.testing.assert_allclose(log(-small), np.log(1e-6), rtol=1e-5)
    assert divide(small, jnp.float32(0)) == 0
    pairs = jnp.meshgrid(of_all_sizes, of_all_sizes)
    assert all(np.isfinite(values).all() for values in (divide(*pairs), sqrt(of_all_sizes), log(of_all_sizes)))


def test_a_found_rule_is_exported_as_it_is() -> None:
    arguments = jax.random.normal(KEY, (4, 50), jnp.float32) * 1e-3
    room: dict[str, Any] = {}
    exec(source(SPACE.primitives, read(ADAM), "rule"), room)
    np.testing.assert_allclose(room["rule"](*arguments), SPACE.decode(read(ADAM))(*arguments), rtol=1e-5)


def test_inner_training_stays_float32_under_x64() -> None:
    with enable_x64(True):
        tree = read(ADAM)

        def run(key: Any) -> Any:
            task = jax.jit(SMALL.sample_task)(key)
            return task.weights, learning_curve(SMALL, key, SPACE.decode(tree), task, (4,))

        shapes = jax.tree.leaves(jax.eval_shape(run, KEY))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype("float32"), jnp.dtype("int32")}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 0}, "of at least 1"),
        ({"hidden": (4, 0)}, "of at least 1"),
        ({"learning_rates": ()}, "to be a tuple of 1 or more numbers above 0"),
        ({"learning_rates": (0.1, 0.0)}, "to be a tuple of 1 or more numbers above 0"),
        ({"momentum_decay": 1.0}, "to be a number of at least 0 and below 1"),
        ({"second_moment_decay": -0.1}, "to be a number of at least 0 and below 1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        LearnedUpdateRule(**settings)
