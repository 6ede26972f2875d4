"""LearnedLossNetwork: cross-entropy and a network of known weights beside it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError
from evometa.problems import LearnedLossNetwork

KEY = jax.random.key(0)
PROBLEM = LearnedLossNetwork(loss_hidden=2)
P = jnp.array([[1e-9, 0.3], [0.5, 0.9]])
Y = jnp.array([[1.0, 0.0], [1.0, 0.0]])


def test_a_search_begins_at_cross_entropy_and_can_leave_it() -> None:
    start = PROBLEM.space.decode(PROBLEM.space.start(KEY))
    floored = -np.log([[1e-6, 1.0], [0.5, 1.0]])  # what a wrong class costs is 0
    np.testing.assert_allclose(PROBLEM.example_loss(start, P, Y), floored, rtol=1e-6, atol=1e-7)
    # One hidden unit sees something at the start, so that the output layer alone already changes the loss.
    hidden, one = start["Dense_0"], jnp.ones((2, 1))
    moved = {"Dense_0": hidden, "Dense_1": {"kernel": one, "bias": jnp.zeros(1)}}
    assert float(jnp.max(jnp.abs(PROBLEM.example_loss(moved, P, Y) - floored))) > 0.1


def test_a_network_that_gives_back_the_logarithm_unlearns_cross_entropy() -> None:
    # Units relu(label) and relu(-log p): their difference is added to -label log p.
    kernel = jnp.array([[0.0, -1.0], [1.0, 0.0]])
    omega = {
        "Dense_0": {"kernel": kernel, "bias": jnp.zeros(2)},
        "Dense_1": {"kernel": jnp.array([[1.0], [-1.0]]), "bias": jnp.array([0.5])},
    }
    found = PROBLEM.example_loss(omega, P, Y)
    known = np.log(np.maximum(P, 1e-6))
    np.testing.assert_allclose(found, Y + known + 0.5 - Y * known, rtol=1e-5)


def test_bad_settings_are_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("to be a whole number of at least 1, got 0")):
        LearnedLossNetwork(loss_hidden=0)
