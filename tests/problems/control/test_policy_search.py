"""Policies in environments: the mechanics are right, and recorded episodes are those that were evaluated."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evometa.errors import ConfigurationError
from evometa.problems import CartPoleSwingUp, GymnasiumPolicy, GymnaxPolicy, SwingUp
from evometa.problems.control.cart_pole_swing_up import Cart
from evometa.testing import check_environment


def energy(environment: SwingUp, cart: Cart) -> float:
    """Kinetic and potential energy of the cart and of a pole that is a uniform rod, whose middle is at half length."""
    half, pole = environment.length / 2, environment.pole_mass
    speed_x = cart.speed - half * cart.spin * jnp.cos(cart.angle)
    speed_y = half * cart.spin * jnp.sin(cart.angle)
    moving = environment.cart_mass * cart.speed**2 + pole * (speed_x**2 + speed_y**2)
    turning = pole * environment.length**2 / 12 * cart.spin**2
    return float((moving + turning) / 2 + pole * environment.gravity * half * jnp.cos(cart.angle))


def test_without_friction_and_force_energy_stays() -> None:
    environment = SwingUp(friction=0.0, seconds=1e-4)
    start = Cart(jnp.float32(0.3), jnp.float32(0.5), jnp.float32(2.0), jnp.float32(-1.0))

    def move(cart: Cart, _: Any) -> tuple[Cart, None]:
        return environment.step(jax.random.key(0), cart, jnp.zeros(1)).state, None

    after = jax.jit(lambda: jax.lax.scan(move, start, None, 5000)[0])()
    assert abs(float(after.angle - start.angle)) > 0.5
    assert energy(environment, after) == pytest.approx(energy(environment, start), abs=0.01)


def test_the_environment_keeps_the_contract() -> None:
    check_environment(SwingUp(), steps=20)


def test_the_fitness_is_the_return_of_the_episode_that_is_recorded() -> None:
    problem = CartPoleSwingUp(hidden=(4,))
    omega = jax.tree.map(lambda leaf: 20 * leaf, problem.policy.draw(jax.random.key(1)))
    key = jax.random.key(2)
    evaluation = jax.jit(problem.evaluate)(key, omega)
    trajectory = problem.record(key, omega)
    assert float(evaluation.fitness) == pytest.approx(trajectory.rewards.sum(), rel=1e-5)
    assert float(evaluation.metrics["steps"]) == trajectory.running.sum()
    assert np.abs(trajectory.states.position[trajectory.running]).max() <= 2.4


def test_gymnasium_s_episode_is_the_policy_s() -> None:
    import gymnasium

    problem = GymnasiumPolicy("CartPole-v1", limit=40, normalize=False)
    omega = jax.device_get(problem.policy.draw(jax.random.key(3)))
    found = problem.evaluate(np.random.default_rng(5), omega)
    environment = gymnasium.make("CartPole-v1", max_episode_steps=40)
    observation, _ = environment.reset(seed=int(np.random.default_rng(5).integers(2**31)))
    total, over = 0.0, False
    while not over:
        outputs = observation @ omega["layer_0"]["kernel"] + omega["layer_0"]["bias"]
        observation, reward, terminated, truncated, _ = environment.step(int(outputs.argmax()))
        total, over = total + float(reward), terminated or truncated
    assert found.fitness == total
    assert found.metrics == {"steps": total}


@pytest.mark.parametrize(("make", "sentence"), [
    (lambda: GymnaxPolicy("Acrobat-v1"), "gymnax has no environment 'Acrobat-v1'; the nearest name is 'Acrobot-v1'"),
    (lambda: GymnasiumPolicy("Cartpole-v1"), "no environment 'Cartpole-v1'; the nearest name is 'CartPole-v1'"),
    (lambda: GymnasiumPolicy("Blackjack-v1", limit=10), "observations that are an array of numbers"),
])  # fmt: skip
def test_environments_that_do_not_exist_or_fit_are_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        make()


def test_a_missing_gymnasium_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ConfigurationError, match=r'pip install "evometa\[gymnasium\]"'):
        GymnasiumPolicy("Acrobot-v1")
