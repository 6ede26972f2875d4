"""Rungs, and the fitness of candidates that were stopped at one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import ConfigurationError, Halving
from evometa.halving import behind

told = jax.jit(behind)


def test_rungs_multiply_steps_and_divide_candidates() -> None:
    assert Halving().steps(100) == (11, 33, 100)
    assert Halving().counts(16) == (16, 6, 2)
    assert Halving(rungs=4, reduction=2).steps(8) == (1, 2, 4, 8)
    assert Halving(rungs=4, reduction=2).counts(3) == (3, 2, 1, 1)
    with pytest.raises(ConfigurationError, match=r"inner_steps of at least 9, .* got 4; train for longer"):
        Halving().steps(4)
    with pytest.raises(ConfigurationError, match=r"inner_steps of at least 1000\^30, .* got 4"):
        Halving(rungs=31, reduction=1000).steps(4)


def test_the_word_of_the_command_line() -> None:
    assert Halving.from_word("4") == Halving(reduction=4)
    assert Halving.from_word("2:5") == Halving(rungs=5, reduction=2)
    assert Halving.from_word(Halving(4, 2).as_word()) == Halving(4, 2)
    for word in ("half", "3:", "1:2:3", "-2"):
        with pytest.raises(ConfigurationError, match=rf"--halving expects the reduction, .* got {word}"):
            Halving.from_word(word)


def test_stopped_candidates_follow_the_worst_that_went_further() -> None:
    loss = jnp.array([3.0, 1.0, 2.0, 0.5, jnp.inf, 0.25, 0.125], jnp.float32)
    stopped_at = jnp.array([0, 0, 9, 9, 3, 3, 3])
    found = told(loss, stopped_at)
    np.testing.assert_allclose(found, [3.0, 1.0, 4.5, 3.0, np.inf, 4.625, 4.5], rtol=1e-6)
    assert found[3] > found[0]
    assert found[6] > found[2]


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20, 3e38])
def test_the_order_is_by_rung_then_by_loss_whatever_the_numbers(scale: float) -> None:
    draws = np.random.default_rng(3)
    for _ in range(5):
        loss = (scale * draws.uniform(-1, 1, 40) * 10.0 ** draws.integers(-9, 1, 40)).astype(np.float32)
        loss[::7] = np.inf
        loss[1] = loss[2]
        stopped_at = draws.choice([0, 1, 3, 9], 40)
        stopped_at[2] = stopped_at[1]
        found = np.asarray(told(loss, stopped_at))
        sound, whole = np.isfinite(loss), stopped_at == 0
        assert found[whole].tobytes() == loss[whole].tobytes()
        np.testing.assert_array_equal(np.isfinite(found), sound)
        order = [(-(stopped_at[i] or 99), loss[i]) for i in np.flatnonzero(sound)]
        ranks = [sorted(set(order)).index(place) for place in order]
        if scale < 1e38:  # beyond the largest float there is no order
            assert ranks == np.searchsorted(np.unique(found[sound]), found[sound]).tolist()
        assert (found[sound & ~whole] > found[sound & whole].max()).all()


def test_where_none_was_trained_to_the_end_the_best_keeps_its_loss() -> None:
    found = told(jnp.array([jnp.inf, 4.0, -2.0, 1.0]), jnp.array([0, 9, 9, 3]))
    np.testing.assert_allclose(found, [np.inf, 4.0, -2.0, 4.0], rtol=1e-6)
    assert found[3] > found[1]
    np.testing.assert_array_equal(told(jnp.full(3, jnp.inf), jnp.array([0, 9, 3])), [np.inf] * 3)
