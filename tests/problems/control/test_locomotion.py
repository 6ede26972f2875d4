"""The body obeys the mechanics of its trunk; held-out speeds are others; adaptation keeps what has a larger return."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from evometa import ConfigurationError, learning_curve
from evometa.problems import Locomotion
from evometa.problems.control.running_body import GRAVITY, REACH, REST, SECONDS, SUBSTEPS, RunningBody
from evometa.testing import check_environment

PROBLEM = Locomotion(horizon=12, inner_steps=2, scale=0.5)
KEY = jax.random.key(2)


def test_the_body_keeps_the_contract_of_environments() -> None:
    check_environment(RunningBody(max_steps=4))


def test_the_body_falls_freely_and_then_stands_on_what_carries_its_weight() -> None:
    body = RunningBody(cost=0.5)
    start = body.reset(KEY)
    high = start._replace(place=(start.place[0], jnp.float32(9.0), start.place[2]), target=jnp.float32(1.5))

    @jax.jit
    def run(state: Any, action: Any, steps: int) -> Any:
        return jax.lax.fori_loop(0, steps, lambda _, now: body.step(KEY, now, action).state, state)

    action = jnp.array([0.5, -0.5, 0.0, 3.0])
    fallen, reward = jax.device_get((run(high, action, 10), body.step(KEY, high, action).reward))
    time, interval = 10 * SECONDS, SECONDS / SUBSTEPS
    assert fallen.speed == pytest.approx((0, -GRAVITY * time, 0), rel=1e-4)
    assert fallen.place[1] == pytest.approx(9 - GRAVITY * time * (time + interval) / 2, rel=1e-4)
    assert fallen.time == pytest.approx(time, rel=1e-4)
    wanted = np.array(REST) + REACH * np.array([0.5, -0.5, 0.0, 1.0])  # an action beyond 1 is one of 1
    np.testing.assert_allclose(fallen.joints, wanted, atol=0.01)
    assert reward == pytest.approx(-1.5 - 0.5 * (0.25 + 0.25 + 1), rel=1e-4)

    stands = jax.device_get(run(start, jnp.zeros(4), 100))
    straight = 0.35 * (np.cos(0.5) + np.cos(-0.5))
    sunk = GRAVITY / 2 / 300  # half the weight on each foot
    assert stands.place[1] == pytest.approx(straight - sunk, abs=1e-3)
    assert stands.speed == pytest.approx((0, 0, 0), abs=1e-2)


def test_held_out_speeds_are_the_middle_thirds_of_five_parts() -> None:
    keys = jax.random.split(KEY, 200)
    draw = jax.jit(lambda keys: [jax.vmap(each)(keys) for each in (PROBLEM.sample_task, PROBLEM.sample_test_task)])
    training, held_out = (np.asarray(task.start.target) for task in draw(keys))
    for speeds, test in ((training, False), (held_out, True)):
        assert 0 <= speeds.min() < 0.4 < 1.6 < speeds.max() <= 2
        assert np.all((np.abs(speeds / 0.4 % 1 - 0.5) < 1 / 6) == test)


def test_a_change_is_kept_only_if_its_rollout_has_a_larger_return() -> None:
    @jax.jit
    def run(key: Any) -> Any:
        omega, task = PROBLEM.space.decode(PROBLEM.space.sample(key)), PROBLEM.sample_task(key)
        flat, restore = ravel_pytree(omega["weights"])
        scales = jnp.exp(ravel_pytree(omega["log_scales"])[0])
        best, total = flat, PROBLEM.rule.play(omega["weights"], task.start)
        for noise in task.noise[:, 0]:
            other = best + scales * noise
            found = PROBLEM.rule.play(restore(other), task.start)
            best, total = jnp.where(found > total, other, best), jnp.maximum(found, total)
        _, learner = learning_curve(PROBLEM, key, omega, task, (2,))
        return best, ravel_pytree(learner.weights)[0], flat, learner.total, total

    runs = [jax.device_get(run(key)) for key in jax.random.split(KEY, 4)]
    for best, weights, _, found, total in runs:
        np.testing.assert_allclose(weights, best, atol=1e-5)
        assert found == pytest.approx(total, rel=1e-4)
    assert any(not np.array_equal(best, first) for best, _, first, _, _ in runs)


def test_bad_settings() -> None:
    with pytest.raises(ConfigurationError, match="inner_steps"):
        Locomotion(inner_steps=0)
