"""A point robot learns from a few episodes: its updates are those of numpy, and derivatives those of the return."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa import At, Final
from evometa.environments import Agent, play
from evometa.errors import ConfigurationError
from evometa.problems import Navigation, PointRobot
from evometa.problems.control.point_robot import Robot
from evometa.testing import check_environment

PROBLEM = Navigation(num_tasks=1, inner_steps=2, hidden=(3,), episodes=2, horizon=4, discount=0.9)


RATES, SCALES = (0.1, 0.05), (0.3, -0.4, 0.0)
"""Step sizes of two updates, and logarithms of what deviations are multiplied by before and after these."""


def drawn(problem: Navigation, seed: int) -> tuple[Any, Any]:
    """Return random weights, with step sizes and scales for the policy gradient, and a task."""
    key = jax.random.key(seed)
    given = weights = problem.rule.policy.draw(key)
    if problem.adaptation == "policy-gradient":
        log_rates = np.log(np.asarray(RATES[: problem.inner_steps], np.float32))
        of_weights = jax.tree.map(lambda w: jnp.stack([jnp.full_like(w, rate) for rate in log_rates]), weights)
        scales = jnp.asarray(SCALES[: problem.inner_steps + 1])
        given = {"weights": weights, "log_rates": of_weights, "log_scales": scales}
    return given, problem.sample_task(jax.random.fold_in(key, 1))


def test_the_robot_keeps_the_contract() -> None:
    check_environment(PointRobot(), steps=20)


@pytest.mark.parametrize(("robot", "to", "reward"), [
    (PointRobot(), (0.1, -0.05), -np.hypot(0.2, 0.05)),  # the step along the first coordinate is too long
    (PointRobot(squared=True, wall=0.02), (0.02, -0.02), -(0.28**2 + 0.02**2)),
])  # fmt: skip
def test_steps_are_clipped_and_the_reward_is_minus_the_distance(robot: PointRobot, to: Any, reward: float) -> None:
    state = Robot(jnp.zeros(2), jnp.asarray([0.3, 0.0]))
    after = robot.step(jax.random.key(0), state, jnp.asarray([0.4, -0.05]))
    np.testing.assert_allclose(after.state.position, to, rtol=1e-6)
    assert float(after.reward) == pytest.approx(reward, rel=1e-5)


def test_an_episode_ends_when_both_coordinates_are_near() -> None:
    state = Robot(jnp.zeros(2), jnp.asarray([0.1, 0.0]))
    ended = [bool(PointRobot().step(None, state, jnp.asarray([0.095, y])).terminated) for y in (0.008, 0.012)]
    assert ended == [True, False]


def numpy_objective(problem: Navigation, episodes: Any, weights: dict[str, Any], scale: float) -> float:
    """The mean over steps of log density times normalised advantage, step by step, in double precision."""
    log_densities, returns, features = [], [], []
    layers = [(weights[f"Dense_{n}"]["kernel"], weights[f"Dense_{n}"]["bias"]) for n in range(2)]
    for number in range(problem.episodes):
        later = 0.0
        for step in reversed(range(int(episodes.running[:, number].sum()))):
            seen, action = (x[step, :, number].astype(np.float64) for x in (episodes.observations, episodes.drawn))
            outputs = np.maximum(seen @ layers[0][0] + layers[0][1], 0) @ layers[1][0] + layers[1][1]
            deviation = np.exp(outputs[2:] + scale)
            log_densities.append(np.sum(-(((action - outputs[:2]) / deviation) ** 2) / 2 - np.log(deviation)))
            later = episodes.rewards[step, number] + problem.discount * later
            returns.append(later)
            time = step / 100
            features.append([*seen, *seen**2, time, time**2, time**3, 1.0])
    x, y = np.asarray(features), np.asarray(returns)
    ridge = 1e-5 * problem.episodes * problem.horizon * np.eye(x.shape[1])
    advantages = y - x @ np.linalg.solve(x.T @ x + ridge, x.T @ y)
    return float(np.mean(np.asarray(log_densities) * (advantages - advantages.mean()) / advantages.std()))


def test_an_update_is_a_step_along_the_policy_gradient() -> None:
    given, task = drawn(PROBLEM, 0)
    rule = PROBLEM.rule

    @jax.jit
    def updates() -> Any:
        first = rule.begin(given, task.start, task.noise)
        second = rule.update(first, task.start, task.noise)
        return first, second, rule.update(second, task.start, task.noise)

    stages = jax.device_get(updates())
    for before, after, rate, scale in zip(stages, stages[1:], RATES, SCALES, strict=False):
        double = jax.tree.map(lambda leaf: leaf.astype(np.float64), before.weights)
        for layer, name, place in (
            ("Dense_0", "kernel", (1, 2)),
            ("Dense_1", "kernel", (2, 0)),
            ("Dense_1", "bias", 3),
        ):
            values = []
            for change in (1e-5, -1e-5):
                moved = jax.tree.map(np.copy, double)
                moved[layer][name][place] += change
                values.append(numpy_objective(PROBLEM, before.episodes, moved, scale))
            step = after.weights[layer][name][place] - before.weights[layer][name][place]
            assert step == pytest.approx(rate * (values[0] - values[1]) / 2e-5, rel=0.02, abs=2e-6)


def test_the_gradient_through_the_simulator_is_that_of_the_return() -> None:
    problem = dataclasses.replace(PROBLEM, inner_steps=1, objective=At((1,)))
    by_policy = dataclasses.replace(problem, through="policy")
    given, task = drawn(problem, 1)
    given["weights"] = jax.tree.map(lambda w: w + 0.3, given["weights"])  # kinks lie elsewhere than at the start
    direction = jax.tree.map(jnp.ones_like, given)

    def along(change: jax.Array, one: Navigation) -> jax.Array:
        moved = jax.tree.map(lambda w, d: w + change * d, given, direction)
        return jnp.asarray(one.evaluate_task(jax.random.key(0), moved, task).fitness)

    @jax.jit
    def slopes() -> Any:
        values = jax.lax.map(lambda change: along(change, problem), jnp.asarray([0.0, 2e-3, -2e-3]))
        return values, jax.grad(along)(0.0, problem), along(jnp.float32(0), by_policy)

    values, slope, by_policy_value = slopes()
    assert float(slope) == pytest.approx(float(values[1] - values[2]) / 4e-3, rel=0.02)
    assert float(by_policy_value) == pytest.approx(float(values[0]), rel=1e-6)


def test_queries_climb_or_step_along_what_helped() -> None:
    problem = dataclasses.replace(PROBLEM, adaptation="hill-climbing", episodes=4, inner_steps=1, objective=Final())
    weights, task = drawn(problem, 2)
    stepping = dataclasses.replace(problem, adaptation="evolution-strategy").rule
    key = jax.random.key(0)
    flat, restore = jax.flatten_util.ravel_pytree(weights)

    def total(vector: jax.Array) -> jax.Array:
        policy = problem.rule.policy
        return play(problem.environment, policy, restore(vector), key, Agent.new(policy), task.start)[0].total

    @jax.jit
    def run() -> Any:
        climbed = problem.rule.update(problem.rule.begin(weights, task.start, task.noise), task.start, task.noise)
        pairs = task.noise[:, :2]
        stepped = stepping.update(stepping.begin(weights, task.start, pairs), task.start, pairs)
        queries = jax.vmap(total)(flat + jnp.concatenate([pairs[0], -pairs[0]]) * np.float32(0.1))
        return total(flat), climbed, total(jax.flatten_util.ravel_pytree(climbed.weights)[0]), stepped, queries

    before, climbed, again, stepped, queries = jax.device_get(run())
    assert climbed.total == again
    assert climbed.total > before
    difference = queries[:2] - queries[2:]
    step = 0.1 * (difference / np.sqrt(np.mean(difference**2))) @ task.noise[0, :2] / 2
    np.testing.assert_allclose(jax.flatten_util.ravel_pytree(stepped.weights)[0], flat + step, rtol=1e-4, atol=1e-6)


def test_an_odd_number_of_queries_has_no_pairs() -> None:
    with pytest.raises(ConfigurationError, match="expects an even number of episodes"):
        Navigation(adaptation="evolution-strategy", episodes=5)
