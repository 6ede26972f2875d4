"""SNES and PGPE behind our contract: convergence, ties, failed candidates, the layout of pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.spaces import Box
from evometa.strategies import PGPE, SNES
from evometa.strategy import Feedback

from ..driver import first_generation, search, sphere

KEY = jax.random.key(5)
SPACE = Box((3,), start=np.asarray([1.0, -1.0, 0.5]))


def test_snes_learns_the_scale_of_each_coordinate(precision: str) -> None:
    scales = jnp.asarray([1.0, 100.0, 1e4])
    function = lambda x: jnp.sum(scales * x**2, axis=1)  # noqa: E731
    found = search(SNES(16), SPACE, function, generations=400, target=1e-8)
    assert found.best <= 1e-8
    std = np.asarray(found.state.inner.std)
    assert std[0] > 3 * std[1] > 9 * std[2]


def test_snes_takes_the_step_of_the_paper() -> None:
    strategy = SNES(4, sigma=0.5, learning_rate=0.8, sigma_learning_rate=0.3)
    genotypes, state = first_generation(strategy, SPACE)
    z = (np.asarray(genotypes) - [1.0, -1.0, 0.5]) / 0.5
    state = jax.jit(strategy.tell)(KEY, state, genotypes, Feedback(jnp.asarray([2.0, 0.0, 3.0, 1.0])))
    raw = np.maximum(0, np.log(3) - np.log([3, 1, 4, 2]))
    utility = raw / raw.sum() - 0.25
    np.testing.assert_allclose(state.inner.mean, [1.0, -1.0, 0.5] + 0.8 * 0.5 * utility @ z, rtol=1e-4)
    np.testing.assert_allclose(state.inner.std, 0.5 * np.exp(0.15 * utility @ (z**2 - 1)), rtol=1e-4)


@pytest.mark.parametrize("strategy", [SNES(8), PGPE(8)], ids=["SNES", "PGPE"])
def test_a_tie_changes_nothing(strategy) -> None:
    genotypes, state = first_generation(strategy, SPACE)
    after = jax.jit(strategy.tell)(KEY, state, genotypes, Feedback(jnp.full(8, 3.0)))
    np.testing.assert_allclose(after.inner.mean, state.inner.mean, atol=1e-6)
    np.testing.assert_allclose(after.inner.std, state.inner.std, rtol=1e-6)


def test_pgpe_mirrors_neighbours_and_converges(precision: str) -> None:
    strategy = PGPE(32, sigma=0.5)
    genotypes, _ = first_generation(strategy, SPACE)
    middle = np.broadcast_to([1.0, -1.0, 0.5], (16, 3))
    np.testing.assert_allclose((genotypes[0::2] + genotypes[1::2]) / 2, middle, atol=1e-6)
    found = search(strategy, SPACE, sphere, generations=200)
    assert sphere(found.state.inner.mean) < 2e-3
    assert float(strategy.diagnostics(found.state)["sigma"]) < 0.1


def test_pgpe_drops_a_broken_pair() -> None:
    strategy = PGPE(6)
    genotypes, state = first_generation(strategy, SPACE)
    fitness = jnp.asarray([3.0, 0.0, 1.0, 2.5, -9.0, jnp.inf])
    tell = jax.jit(strategy.tell)
    after = tell(KEY, state, genotypes, Feedback(fitness)).inner
    other = tell(KEY, state, genotypes, Feedback(fitness.at[4].set(99.0))).inner
    np.testing.assert_array_equal(after.mean, other.mean)
    np.testing.assert_array_equal(after.std, other.std)
    # The step lies in the plane of the two whole pairs.
    moves = np.asarray(genotypes[0:4:2]) - [1.0, -1.0, 0.5]
    step = np.asarray(after.mean) - [1.0, -1.0, 0.5]
    rest = step - moves.T @ np.linalg.lstsq(moves.T, step, rcond=None)[0]
    assert np.linalg.norm(rest) < 1e-4 * np.linalg.norm(step)
    assert np.linalg.norm(step) > 0


def test_pgpe_takes_the_same_step_when_noise_is_regenerated() -> None:
    first, again = (PGPE(8, sigma=0.2, regenerate_noise=regenerate) for regenerate in (False, True))
    genotypes, drawn = first_generation(again, SPACE)
    for index in (0, 5):
        np.testing.assert_allclose(again.member(drawn, index), genotypes[index], rtol=1e-6)
    feedback = Feedback(jnp.asarray([2.0, 0.0, 3.0, jnp.inf, 4.0, -1.0, 0.5, 5.0]))
    _, stored = first_generation(first, SPACE)
    told, expected = (one.tell(KEY, state, genotypes, feedback) for one, state in ((again, drawn), (first, stored)))
    for name in ("mean", "std", "opt_state"):
        now, then = (getattr(state.inner, name) for state in (told, expected))
        np.testing.assert_allclose(now, then, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(again.diagnostics(told)["sigma"], first.diagnostics(expected)["sigma"], rtol=1e-6)
    assert told.inner.generation_counter == expected.inner.generation_counter
