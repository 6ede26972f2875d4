"""A formula as the activation gives the network with that activation, trained by the formula's derivative."""

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
from evometa.expressions import parse, text
from evometa.expressions.tree import stack
from evometa.problems.architectures.learned_activation import RELU, SWISH, LearnedActivation
from evometa.problems.shared.digits import digits

KEY = jax.random.key(5)
SMALL = LearnedActivation(
    num_tasks=2, inner_steps=3, batch_size=8, hidden=(6, 5), learning_rates=(0.05, 0.3), max_size=8
)
SPACE = SMALL.space


def read(written: str) -> Any:
    return parse(SPACE.primitives, written, SPACE.max_size)


@functools.cache
def compiled() -> Any:
    """From expressions to losses and learners, one expression after the other, as the engine evaluates them."""
    task, devices = jax.jit(SMALL.sample_test_task)(KEY), (jax.local_devices()[0],)

    def one(task: Any, tree: Any) -> Any:
        return learning_curve(SMALL, KEY, SPACE.decode(tree), task, (3,))

    return jax.jit(lambda *trees: map_chunks(one, task, stack(list(trees)), chunk=1, devices=devices))


def trained(*texts: str) -> Any:
    return compiled()(*(read(one) for one in texts))


PEERS: dict[str, Any] = {RELU: jax.nn.relu, "tanh(x)": jnp.tanh, SWISH: jax.nn.swish, "x": lambda x: x}


def test_a_formula_is_the_network_that_it_spells() -> None:
    task, data = jax.jit(SMALL.sample_test_task)(KEY), digits()
    losses, learners = trained(*PEERS)
    for number, activation in enumerate(PEERS.values()):

        def error(weights: Any, rows: Any, activation: Any = activation) -> Any:
            first, second, last = (weights[f"Dense_{number}"] for number in range(3))
            values = activation(jnp.asarray(data.features)[rows] @ first["kernel"] + first["bias"])
            logits = activation(values @ second["kernel"] + second["bias"]) @ last["kernel"] + last["bias"]
            return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.asarray(data.labels)[rows]).mean()

        @jax.jit
        def trained_by(rate: Any, error: Any = error) -> Any:
            optimizer, weights = optax.sgd(rate, momentum=0.9), task.weights
            state = optimizer.init(weights)
            for rows in task.batches:
                updates, state = optimizer.update(jax.grad(error)(weights, rows), state, weights)
                weights = optax.apply_updates(weights, updates)
            return weights, error(weights, data.validation), error(weights, data.test)

        validated, ends = [], []
        for place, rate in enumerate(SMALL.learning_rates):
            weights, *both = trained_by(rate)
            flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(weights)])
            np.testing.assert_allclose(learners.weights[number, place], flat, rtol=1e-4, atol=1e-5)
            validated.append(both[0])
            ends.append(both[1])
        np.testing.assert_allclose(losses[number, 0], ends[int(np.argmin(validated))], rtol=1e-4)


def test_an_activation_that_is_not_finite_fails_and_nobody_else() -> None:
    infinite = "mul(x, square(square(square(square(exp(10.0))))))"
    sound, broken = (np.asarray(trained(RELU, one, one, "tanh(x)")[0]) for one in (SWISH, infinite))
    assert np.isfinite(sound).all()
    assert not np.isfinite(broken[1:3]).any()
    np.testing.assert_array_equal(broken[[0, 3]], sound[[0, 3]])


def test_what_has_no_derivative_is_seen_before_it_trains() -> None:
    alive = jax.jit(lambda tree: SPACE.behaviour(tree).alive)
    assert {one: bool(alive(read(one))) for one in (RELU, SWISH, "sign(x)", "0.5")} == {
        RELU: True,
        SWISH: True,
        "sign(x)": False,
        "0.5": False,
    }


def test_a_search_begins_with_the_rectifier() -> None:
    assert text(SPACE.primitives, SPACE.start(KEY)) == RELU


def test_inner_training_stays_float32_under_x64() -> None:
    with enable_x64(True):
        tree = read(SWISH)

        def run(key: Any) -> Any:
            return learning_curve(SMALL, key, SPACE.decode(tree), SMALL.sample_task(key), (3,))

        shapes = jax.tree.leaves(jax.eval_shape(run, KEY))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype("float32"), jnp.dtype("int32")}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": ()}, "at least one hidden layer"),
        ({"hidden": (0,)}, "of at least 1"),
        ({"momentum": 1.0}, "to be a number of at least 0 and below 1, got 1.0"),
        ({"learning_rates": (float("inf"),)}, "1 or more numbers above 0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        LearnedActivation(**settings)
