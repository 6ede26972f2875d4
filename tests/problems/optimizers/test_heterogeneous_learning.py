"""Padding changes nothing, what is left out stays out, and without adaptation the rule is AdamW."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa.errors import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problems import HeterogeneousLearning
from evometa.problems.optimizers.heterogeneous_data import EXAMPLES, INPUTS, NAMES, padded

ADAMW = HeterogeneousLearning(adaptive=False, inner_steps=3, left_out=("wine",))
KEY = jax.random.key(0)


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_standardised_and_padded_with_zeros(name: Any) -> None:
    data = padded(name)
    examples, inputs, classes = data.shape
    assert (data.inputs[:, inputs:] == 0).all()
    assert (data.inputs[examples:] == 0).all()
    assert set(data.labels[:examples]) == set(range(classes))
    assert data.ends[0] >= 0.59 * examples
    assert 0 < data.ends[0] < data.ends[1] < data.ends[2] == examples <= EXAMPLES
    training = data.inputs[: data.ends[0], :inputs]
    assert training.mean() == pytest.approx(0.0, abs=1e-4)
    assert training.std() == pytest.approx(1.0, abs=1e-3)
    assert padded("wine").shape.tolist() == [178, 13, 3]


def test_what_is_left_out_is_seen_by_no_search() -> None:
    problem = HeterogeneousLearning(inner_steps=1, left_out=("digits", "motifs"))
    sets = jax.jit(
        lambda keys: [jax.vmap(draw)(keys).data_set for draw in (problem.sample_task, problem.sample_test_task)]
    )
    searched, held_out = sets(jax.random.split(KEY, 100))
    assert {NAMES[place] for place in np.asarray(held_out)} == {"digits", "motifs"}
    assert {NAMES[place] for place in np.asarray(searched)} == set(NAMES) - {"digits", "motifs"}


def test_without_adaptation_the_rule_is_adamw_on_the_data_without_padding() -> None:
    omega = {
        "rate": 0.02, "decay": 0.5, "first": 0.2, "second": 0.03, "warm_up": 0.5, "final": 0.25,
    }  # fmt: skip
    omega = jax.tree.map(jnp.float32, omega)
    task = jax.jit(ADAMW.sample_test_task)(KEY)
    _, learner = jax.jit(lambda: learning_curve(ADAMW, KEY, omega, task, (3,)))()
    data = padded("wine")
    schedule = [ADAMW.schedule(omega, jnp.float32(number / 3)) for number in (1, 2, 3)]
    # Linear up to half of the time, and a cosine from 1 to a quarter.
    cosine = [0.25 + 0.75 * (1 + np.cos(np.pi * number / 3)) / 2 for number in (1, 2, 3)]
    np.testing.assert_allclose(schedule, np.array([2 / 3, 1, 1]) * cosine, rtol=1e-4)
    optimizer = optax.adamw(lambda step: 0.02 * jnp.stack(schedule)[step], b1=0.8, b2=0.97, weight_decay=0.5)
    weights = task.weights | {"first": task.weights["first"][:13]}
    weights |= {"last": task.weights["last"][:, :3], "last_bias": task.weights["last_bias"][:3]}

    def error(weights: Any, rows: jax.Array) -> jax.Array:
        hidden = data.inputs[np.asarray(rows), :13]
        for layer in ("first", "middle"):
            hidden = jax.nn.relu(hidden @ weights[layer] + weights[f"{layer}_bias"])
        logits = hidden @ weights["last"] + weights["last_bias"]
        labels = data.labels[np.asarray(rows)]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean() / np.log(3)

    @jax.jit
    def expected(weights: Any) -> Any:
        state = optimizer.init(weights)
        for rows in np.asarray(task.batches):
            updates, state = optimizer.update(jax.grad(error)(weights, rows), state, weights)
            weights = optax.apply_updates(weights, updates)
        return weights

    wanted = expected(weights)
    np.testing.assert_allclose(learner.weights["first"][:13], wanted["first"], atol=2e-5)
    np.testing.assert_allclose(learner.weights["last"][:, :3], wanted["last"], atol=2e-5)
    assert not np.asarray(learner.weights["first"][13:]).any()
    assert not np.asarray(learner.weights["last"][:, 3:]).any()
    assert len(learner.weights["first"]) == INPUTS


def test_the_exported_rule_trains_as_in_the_search() -> None:
    problem = HeterogeneousLearning(inner_steps=3, left_out=("wine",), width=4, batch_size=4)
    omega = problem.space.decode(problem.space.sample(KEY))
    assert np.asarray(omega["adaptation"]["rate"]).any()
    task = jax.jit(problem.sample_test_task)(KEY)
    uniform = float(np.log(padded("wine").shape[2]))
    optimizer = problem.export(omega)(
        3, steps_per_epoch=float(task.size) / 4, last=("last", "last_bias"), uniform=uniform
    )

    @jax.jit
    def both(learner: Any, weights: Any, state: Any, rows: Any) -> Any:
        cost, gradient = jax.value_and_grad(lambda weights: uniform * problem.error(weights, task, rows))(weights)
        updates, state = optimizer.update(gradient, state, weights, value=cost)
        return problem.step(KEY, omega, task, learner), optax.apply_updates(weights, updates), state

    learner, weights = problem.init(KEY, omega, task), task.weights
    state = optimizer.init(weights)
    for rows in task.batches:
        learner, weights, state = both(learner, weights, state, rows)
    for name, weight in learner.weights.items():
        assert np.abs(weight - task.weights[name]).max() > 1e-4
        np.testing.assert_allclose(weights[name], weight, rtol=1e-5, atol=1e-6)


def test_the_exported_rule_says_what_it_needs() -> None:
    problem = HeterogeneousLearning()
    omega = problem.space.decode(problem.space.start(KEY))
    optimizer = problem.export(omega)(3, steps_per_epoch=1.0, last="dense", uniform=1.0)
    weights = {"first": {"kernel": np.ones((2, 2)), "bias": np.ones(2)}}
    state = optimizer.init(weights)
    with pytest.raises(ConfigurationError, match=r"got \['dense'\] and the paths first.bias, first.kernel"):
        optimizer.update(weights, state, weights, value=1.0)
    with pytest.raises(ConfigurationError, match="value=loss"):
        optimizer.update(weights, state, weights)


def test_refuses_to_leave_out_everything() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("left_out as one or more of wine, breast_cancer")):
        HeterogeneousLearning(left_out=NAMES)
