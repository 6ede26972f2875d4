"""A controller that swings up and balances a cart-pole: energy pumping, and a linear regulator near the top."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.problems.control.cart_pole_swing_up import Cart
from evometa.problems.simulators.driven_swing_up import KEPT, Driven, DrivenSwingUp
from evometa.types import Key, Scalar

GAINS = 10
"""Numbers of a controller that are trained."""
_COSTS = np.diag([0.2, 0.05, 1.0, 0.1, 0.0, 0.0]).astype(np.float32)
_EFFORT = np.float32(0.1)
_RICCATI_STEPS = 100


class Controller(NamedTuple):
    """What a controller is; float32."""

    gains: jax.Array
    """``[10]``: of the energy, position and speed while swinging up; the angle in radians within which it balances; and
    of position, speed, angle, spin and the last two commands while balancing."""
    signs: jax.Array
    """``[10]``, -1 or 1."""
    value: jax.Array
    """``[6, 6]``: what balancing costs from a state, in units of the cost from an angle of 1 radian."""
    pace: Scalar
    """Length over gravity, in s²: how the energy of the pole is calculated."""

    def scaled(self, logs: jax.Array) -> "Controller":
        """Return the controller with each gain multiplied by exp(log)."""
        return self._replace(gains=self.gains * jnp.exp(logs))

    def command(self, state: Driven) -> Scalar:
        """Return the command from -1 to 1 for a state."""
        cart = state.cart
        angle = jnp.mod(cart.angle + jnp.pi, 2 * jnp.pi) - jnp.pi
        energy = cart.spin**2 * self.pace / 3 + jnp.cos(angle) - 1  # 0 for an upright pole at rest, -2 at the bottom
        pump, center, brake, catch, *_ = self.gains
        swing = -pump * energy * cart.spin * jnp.cos(angle) - center * cart.position - brake * cart.speed
        seen = jnp.stack([cart.position, cart.speed, angle, cart.spin, *state.commands[: KEPT - 1]])
        balance = -jnp.sum(self.signs[4:] * self.gains[4:] * seen)
        near = seen @ self.value @ seen < catch**2
        return jnp.clip(jnp.where(near, balance, swing), -1.0, 1.0)


def design(simulator: DrivenSwingUp) -> Controller:
    """Return the controller of a simulator before any training: a linear-quadratic regulator, and usual gains.

    The regulator is that of the linearised simulator without dry friction and backlash; the last commands are part of
    its state, which accounts for the delay.
    """

    def step(seen: jax.Array, command: jax.Array) -> jax.Array:
        cart, commands = Cart(*seen[:4]), jnp.append(seen[4:], 0.0)
        after = simulator.step(jax.random.key(0), Driven(cart, commands, jnp.zeros((), jnp.float32)), command).state
        return jnp.concatenate([jnp.stack(after.cart), after.commands[: KEPT - 1]])

    simulator = dataclasses.replace(simulator, dry_friction=0.0, backlash=0.0)
    zero, none = jnp.zeros(4 + KEPT - 1, jnp.float32), jnp.zeros(1, jnp.float32)
    a, b = jax.jacfwd(step, argnums=(0, 1))(zero, none)

    def gain(value: jax.Array) -> jax.Array:
        found: jax.Array = (b.T @ value @ a) / (_EFFORT + b.T @ value @ b)
        return found

    def riccati(value: jax.Array, _: None) -> tuple[jax.Array, None]:
        value = _COSTS + a.T @ value @ (a - b @ gain(value))
        return (value + value.T) / 2, None

    value, _ = jax.lax.scan(riccati, jnp.asarray(_COSTS), None, length=_RICCATI_STEPS)
    regulator = gain(value)[0]
    gains = jnp.concatenate([jnp.array([0.8, 1.5, 0.1, 0.7], jnp.float32), jnp.abs(regulator)])
    signs = jnp.concatenate([jnp.ones(4, jnp.float32), jnp.sign(regulator)])
    return Controller(gains, signs, value / value[2, 2], jnp.float32(simulator.length / simulator.gravity))


class Rollout(NamedTuple):
    """An episode step by step."""

    states: Driven
    """Leading axis S: the state before each step."""
    rewards: jax.Array
    """``[S]``, zero after the cart has left the track."""


def roll_out(environment: DrivenSwingUp, controller: Controller, key: Key) -> Rollout:
    """Return the episode of a controller; the key is that of the start."""

    def step(carry: tuple[Driven, Scalar], _: None) -> tuple[tuple[Driven, Scalar], Rollout]:
        state, running = carry
        after = environment.step(key, state, controller.command(state)[None])
        reward = jnp.where(running, after.reward, 0.0)
        return (after.state, running & ~after.terminated), Rollout(state, reward)

    start = environment.reset(key), jnp.ones((), bool)
    rollout: Any = jax.lax.scan(step, start, None, length=environment.max_steps)[1]
    return Rollout(*rollout)
