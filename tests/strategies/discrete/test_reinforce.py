"""REINFORCE: its gradient is the exact one on average, its advantages are sound, it learns."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Categorical, Dict, Integer
from evometa.strategies.discrete.reinforce import Reinforce, advantages
from evometa.strategy import Feedback, require_space
from evometa.testing import check_strategy

from ..driver import search

SPACE = Dict({"n": Integer(-2, 2, (3,)), "c": Categorical(3, (5,)), "only": Categorical(1)})


@pytest.mark.usefixtures("x64")
def test_keeps_the_contract() -> None:
    check_strategy(Reinforce(8, learning_rate=0.2), SPACE)


def test_refuses_real_numbers() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("Reinforce searches integers and categories only")):
        require_space(Reinforce(), Dict({"x": Box(()), "n": Integer(0, 3)}))


def test_advantages() -> None:
    np.testing.assert_allclose(advantages(jnp.asarray([1.0, 2.0, 3.0])), [-1.8371173, 0.0, 1.8371173], rtol=1e-6)
    np.testing.assert_array_equal(advantages(jnp.ones(4)), np.zeros(4))
    failed = np.asarray(advantages(jnp.asarray([1.0, np.inf, 1.0, 1.0])))
    np.testing.assert_allclose(failed, [-1 / 3, 1, -1 / 3, -1 / 3], rtol=1e-6)
    law = np.asarray(advantages(jnp.asarray([5.0, -1.0, np.inf, 2.0])))
    np.testing.assert_allclose(law, advantages(jnp.asarray([5.0, -1.0, np.inf, 2.0]) * 4096 + 2.0**20), rtol=1e-6)


class Plain(Reinforce):
    """Takes the gradient itself as its step."""

    def _optimizer(self) -> optax.GradientTransformation:
        return optax.sgd(1.0)


@pytest.mark.parametrize("entropy_weight", [0.0, 0.7])
def test_the_mean_step_is_the_exact_gradient(entropy_weight: float) -> None:
    """In a pair, one is 2 deviations above the other, so the expected step over all pairs can be enumerated."""
    space, strategy = Categorical(3, (2,)), Plain(2, entropy_weight=entropy_weight)
    logits = jnp.asarray([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]])
    table = jnp.asarray([[1.0, 5.0, 2.0], [7.0, 3.0, 0.0], [4.0, 9.0, 6.0]])

    def objective(logits: jax.Array) -> jax.Array:
        def joint(p: jax.Array) -> jax.Array:
            return p[0][:, None] * p[1]

        policy = jax.nn.softmax(logits)
        x, y = joint(policy), joint(jax.lax.stop_gradient(policy))
        worse = jnp.sum(x[:, :, None, None] * y * jnp.sign(table[:, :, None, None] - table))
        return 2 * worse + entropy_weight * jnp.sum(policy * jnp.log(policy))

    everyone = np.array(list(itertools.product(range(3), repeat=2)))
    pairs = np.array(list(itertools.product(everyone, repeat=2)))  # [81, 2, D]
    policy = np.asarray(jax.nn.softmax(logits))
    chance = np.prod(policy[np.arange(2), pairs], axis=(1, 2))
    state = strategy.init(jax.random.key(0), space)._replace(logits=logits)
    fitness = table[pairs[..., 0], pairs[..., 1]]
    tell = jax.jit(jax.vmap(lambda pair, told: strategy.tell(jax.random.key(0), state, pair, Feedback(told)).logits))
    steps = logits - tell(jnp.asarray(pairs, jnp.result_type(float)), fitness)
    mean = jnp.tensordot(jnp.asarray(chance, steps.dtype), steps, 1)
    np.testing.assert_allclose(mean, jax.grad(objective)(logits), rtol=1e-4, atol=1e-6)


def test_learns_each_coordinate_and_shuns_failure() -> None:
    wanted = jnp.asarray([2.0, -2, 0, 1, 2, 0, 1, 1, 0])

    def distance(x: jax.Array) -> jax.Array:
        missed = jnp.sum(x != wanted, axis=1).astype(jnp.result_type(float))
        return jnp.where(x[:, 3] == 0, jnp.inf, missed)

    strategy = Reinforce(32, learning_rate=0.1)
    found = search(strategy, SPACE, distance, generations=150)
    np.testing.assert_array_equal(strategy.center(found.state), wanted)
    assert strategy.diagnostics(found.state)["entropy"] < 0.2 * np.mean([3 * [np.log(5)] + 5 * [np.log(3)] + [0]])
