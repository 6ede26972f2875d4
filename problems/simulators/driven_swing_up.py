"""A cart-pole whose drive has a delay, and, as a real one, dry friction and backlash."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evometa.environments import Continuous, Environment, State, Transition
from evometa.problems.control.cart_pole_swing_up import Cart, SwingUp
from evometa.settings import Count, Finite, NonNegative, Positive
from evometa.types import Key, Scalar

SUBSTEPS = 4
"""Steps of the mechanics while one command is held."""
SUBSTEP = 0.01
"""Length of each in seconds."""
PERIOD = SUBSTEPS * SUBSTEP
KEPT = 3
"""The last commands that are kept: a delay of at most two periods."""
CREEP = 0.05
"""Speed in m/s at which dry friction has three quarters of its force."""


class Driven(NamedTuple):
    """The state of a cart-pole and its drive; float32."""

    cart: Cart
    commands: jax.Array
    """``[KEPT]``, the last commands, from -1 to 1, the latest first."""
    play: Scalar
    """Where the drive is in its play: it pulls at -1 and pushes at 1, and transmits nothing between."""


@dataclasses.dataclass(frozen=True)
class DrivenSwingUp(Environment):
    """The cart-pole of :class:`evometa.problems.SwingUp`, given a command every 0.04 seconds.

    Between the command and the cart are a delay, backlash (a drive that turns around transmits nothing until it has
    crossed its play, at a speed that is proportional to the command), and dry friction, which is the same at all
    speeds. The reward of a step is that of the swing-up, averaged over the time of a command.

    Args:
        gravity: acceleration of gravity in m/s².
        cart_mass: mass of the cart in kg.
        pole_mass: mass of the pole in kg.
        length: length of the pole in metres.
        friction: viscous friction between cart and track in N·s/m.
        delay: seconds until a command acts, at most 0.08.
        dry_friction: dry friction between cart and track in newtons.
        backlash: seconds that the whole force needs to cross the drive's play.
        start_deviation: standard deviation of position, speed, angle and spin at the start.
        max_steps: the time limit in steps of 0.04 seconds.
    """

    gravity: Finite = 9.82
    cart_mass: Positive = 0.5
    pole_mass: Positive = 0.5
    length: Positive = 0.6
    friction: NonNegative = 0.1
    delay: NonNegative = 0.0
    dry_friction: NonNegative = 0.0
    backlash: NonNegative = 0.0
    start_deviation: NonNegative = 0.1
    max_steps: Count = 100

    actions: ClassVar[Continuous] = SwingUp.actions

    def mechanics(self, speed: Scalar | float = 0.0) -> SwingUp:
        """Return cart and pole without their drive, with the friction of a speed of the cart in m/s."""
        # Dry friction as the viscous friction that has the same force at this speed.
        slow = jnp.abs(speed) < 1e-3 * CREEP
        # Of a simulator that is drawn, settings are traced arrays.
        dry: Any = jnp.where(slow, 1 / CREEP, jnp.tanh(speed / CREEP) / jnp.where(slow, 1.0, speed))
        return SwingUp(
            gravity=self.gravity,
            cart_mass=self.cart_mass,
            pole_mass=self.pole_mass,
            length=self.length,
            friction=self.friction + self.dry_friction * dry,
            seconds=SUBSTEP,
            start_deviation=self.start_deviation,
        )

    def reset(self, key: Key) -> State:
        """Return a cart near rest with its pole hanging down, and a drive in the middle of its play."""
        return Driven(self.mechanics().reset(key), jnp.zeros(KEPT, jnp.float32), jnp.zeros((), jnp.float32))

    def step(self, key: Key, state: Driven, action: jax.Array) -> Transition:
        """Hold a command for its time."""
        cart, play = state.cart, state.play
        commands = jnp.concatenate([jnp.clip(action, -1.0, 1.0), state.commands[:-1]])

        def substep(carry: tuple[Cart, Scalar], number: Scalar) -> tuple[tuple[Cart, Scalar], tuple[Scalar, Scalar]]:
            cart, play = carry
            # The command that was given ``delay`` seconds before this substep.
            age = jnp.ceil((self.delay - number * SUBSTEP) / PERIOD - 1e-6)
            drive = commands[jnp.clip(age, 0, KEPT - 1).astype(jnp.int32)]
            play, drive = self.transmitted(play, drive)
            cart, reward, ended = self.mechanics(cart.speed).step(key, cart, drive[None])
            return (cart, play), (reward, ended)

        (cart, play), (rewards, ended) = jax.lax.scan(substep, (cart, play), jnp.arange(SUBSTEPS))
        return Transition(Driven(cart, commands, play), rewards.mean(), ended.any())

    def transmitted(self, play: Scalar, drive: Scalar) -> tuple[Scalar, Scalar]:
        """Return where the drive is in its play after a substep, and what it transmits to the cart."""
        if isinstance(self.backlash, int | float) and not self.backlash:
            return play, drive
        play = jnp.clip(play + 2 * SUBSTEP / self.backlash * drive, -1.0, 1.0)
        return play, jnp.where(play * jnp.sign(drive) >= 1, drive, 0.0)

    def observe(self, state: Driven) -> jax.Array:
        """Return position, speed, cosine and sine of the angle, spin, and the last commands, ``[7]``."""
        # Without the commands that have yet to act, nothing could be known of what a delay will do.
        return jnp.concatenate([self.mechanics().observe(state.cart), state.commands[: KEPT - 1]])
