"""Influence balancing: the optimum of long unrolls, and the wrong sign of short ones."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.inner_training import learning_curve
from evometa.problems import InfluenceBalancing

KEY = jax.random.key(0)


def loss_after(theta: Any, steps: int) -> Any:
    return learning_curve(InfluenceBalancing(), KEY, theta, (), (steps,))[0][0]


def test_at_rest_the_best_push_is_minus_a_sixth() -> None:
    for theta in (0.5, 0.0, -1 / 6):
        np.testing.assert_allclose(loss_after(jnp.float32(theta), 400), (-6 * theta - 1) ** 2 / 2, atol=1e-6)


def test_early_steps_feel_the_positive_units_alone() -> None:
    # From rest at 0, s₁ = θ t in the first ten steps: every unit felt so far is pushed by +θ.
    problem = InfluenceBalancing()
    state = jnp.zeros(23)
    for steps in range(1, 11):
        state = problem.step(KEY, jnp.float32(0.5), (), state)
        np.testing.assert_allclose(state[0], 0.5 * steps, rtol=1e-6)
    for _ in range(400):
        state = problem.step(KEY, jnp.float32(0.5), (), state)
    np.testing.assert_allclose(state[0], -3.0, rtol=1e-5)


def test_refuses_more_positive_units_than_there_are() -> None:
    with pytest.raises(ConfigurationError, match="at most units, got positive=6 and units=5"):
        InfluenceBalancing(units=5, positive=6)
