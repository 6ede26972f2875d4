"""Double pole balancing with velocities, by a network of evolving topology.

Branch of meta-learning: architectures, topology. ω is a network with its weights; there is no inner loop and no
differentiation.
"""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problem import Evaluation, Problem
from evometa.settings import Count, Natural
from evometa.topology import Network, Topology
from evometa.types import Key, Scalar

GRAVITY = -9.8
FORCE = 10.0
CART = 1.0
HALF_LENGTHS = np.array([0.5, 0.05], np.float32)
MASSES = np.array([0.1, 0.01], np.float32)
FRICTION = 2e-6
"""Friction of a pole's joint."""
TRACK = 2.4
"""Maximum distance of the cart from the middle, in metres."""
LEAN = 36 * np.pi / 180
"""Maximum angle of a pole from upright, in radians."""
SECONDS = 0.01
"""Step of the integration; an action lasts for two of them."""
ANGLE = 0.07
"""Initial angle of the long pole: four degrees."""
SCALES = np.array([4.8, 2.0, 0.52, 0.52, 2.0, 2.0], np.float32)
"""Divisors of position, speed, angles and angular speeds, the network's inputs."""
STARTS = 16


class Cart(NamedTuple):
    """The state of cart and poles; metres, radians, seconds; float32."""

    position: Scalar
    speed: Scalar
    angles: jax.Array
    """``[2]``, angles from upright."""
    spins: jax.Array
    """``[2]``, angular speeds."""


@dataclasses.dataclass(frozen=True)
class DoublePole(Problem):
    """Balance two poles of different length on a cart, given position, speed, angles and angular speeds.

    ω is a network with its topology and weights. It pushes the cart with a force of -10 to 10 newtons, chosen every
    0.02 seconds. Fitness, to be maximised, is the number of actions until a pole leans more than 36 degrees or the cart
    is more than 2.4 metres from the middle, at most ``limit``; the metric ``solved`` is 1 if that is reached, and
    ``hidden`` the number of hidden nodes. The dynamics are Wieland's (1991), integrated by the Runge-Kutta method of
    order 4 in steps of 0.01 seconds, as in Gomez & Miikkulainen (1999). Start (the long pole at 0.07 radians, all else
    at rest in the middle), scaling of inputs and lack of friction between cart and track are those of the NEAT
    software. The held-out fitness is the mean over 16 other starts: the cart up to half the track from the middle, the
    long pole up to 0.1 radians from upright.

    Paper: Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies", 2002, table 1: NEAT with
    150 networks needs 3,600 evaluations on average to balance for 100,000 actions. Result: ours needs 5,790,
    mean of 20 runs, all successful (standard deviation 3,689; ``benchmarks/topology.py``).

    Args:
        limit: maximum number of actions.
        max_hidden: maximum number of hidden nodes.

    Raises:
        ConfigurationError: a limit below 1.
    """

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"
    card: ClassVar[ProblemCard] = ProblemCard(
        branch="architectures: topology",
        omega="a growing network with its weights",
        learner="none",
        paper="Stanley & Miikkulainen 2002",
        recipe=Recipe("NEAT", {}, {"target": 100_000, "evaluations": 15_000}),
    )

    limit: Count = 100_000
    max_hidden: Natural = 8

    @property
    def space(self) -> Topology:
        """Networks with six inputs and one output."""
        return Topology(6, 1, self.max_hidden)

    def evaluate(self, key: Key, omega: Network) -> Evaluation:
        """Count the actions from the standard start."""
        zero = jnp.zeros((), jnp.float32)
        actions = self.balanced(
            omega, Cart(zero, zero, jnp.array([ANGLE, 0.0], jnp.float32), jnp.zeros(2, jnp.float32))
        )
        hidden = omega.nodes.astype(jnp.float32)
        return Evaluation(actions, {"solved": (actions >= self.limit).astype(jnp.float32), "hidden": hidden})

    def evaluate_test(self, key: Key, omega: Network) -> Evaluation:
        """Count the actions from 16 other starts."""
        drawn = jax.random.uniform(key, (STARTS, 2), jnp.float32, -1.0, 1.0)

        def one(draw: jax.Array) -> Scalar:
            zero = jnp.zeros((), jnp.float32)
            angles = jnp.stack([0.1 * draw[1], zero])
            return self.balanced(omega, Cart(TRACK / 2 * draw[0], zero, angles, jnp.zeros(2, jnp.float32)))

        actions = jax.lax.map(one, drawn)
        return Evaluation(jnp.mean(actions), {"solved": jnp.mean(actions >= self.limit, dtype=jnp.float32)})

    def balanced(self, omega: Network, start: Cart) -> Scalar:
        """Return the number of actions until a pole or the cart is out of bounds, float32."""

        def up(carry: tuple[jax.Array, Cart]) -> jax.Array:
            actions, cart = carry
            return (actions < self.limit) & inside(cart)

        def act(carry: tuple[jax.Array, Cart]) -> tuple[jax.Array, Cart]:
            actions, cart = carry
            return actions + 1, move(cart, omega.run(observation(cart))[0])

        actions: Scalar = jax.lax.while_loop(up, act, (jnp.int32(0), start))[0]
        return actions.astype(jnp.float32)


def observation(cart: Cart) -> jax.Array:
    """Return the network's inputs, ``[6]``."""
    return jnp.concatenate([jnp.stack([cart.position, cart.speed]), cart.angles, cart.spins]) / jnp.asarray(SCALES)


def inside(cart: Cart) -> jax.Array:
    """Return whether the cart is on the track and both poles are up."""
    return (jnp.abs(cart.position) <= TRACK) & jnp.all(jnp.abs(cart.angles) <= np.float32(LEAN))


def move(cart: Cart, action: Scalar) -> Cart:
    """Return the state after an action from 0 (full force to the left) to 1: two Runge-Kutta steps."""
    force = (action - 0.5) * (2 * FORCE)
    for _ in range(2):
        cart = _runge_kutta(cart, force)
    return cart


def changes(cart: Cart, force: Scalar) -> Cart:
    """Return the time derivative of the state, given the force on the cart in newtons (Wieland 1991)."""
    sine, cosine = jnp.sin(cart.angles), jnp.cos(cart.angles)
    weight = GRAVITY * sine
    friction = FRICTION * cart.spins / (HALF_LENGTHS * MASSES)
    pushes = HALF_LENGTHS * MASSES * cart.spins**2 * sine + 0.75 * MASSES * cosine * (friction + weight)
    masses = MASSES * (1.0 - 0.75 * cosine**2)
    acceleration = (force + jnp.sum(pushes)) / (CART + jnp.sum(masses))
    turns = -0.75 * (acceleration * cosine + weight + friction) / HALF_LENGTHS
    return Cart(cart.speed, acceleration, cart.spins, turns)


def _runge_kutta(cart: Cart, force: Scalar) -> Cart:
    def after(seconds: float, change: Cart) -> Cart:
        return Cart(*(value + seconds * by for value, by in zip(cart, change, strict=True)))

    first = changes(cart, force)
    second = changes(after(SECONDS / 2, first), force)
    third = changes(after(SECONDS / 2, second), force)
    fourth = changes(after(SECONDS, third), force)
    mean = Cart(*((a + 2.0 * (b + c) + d) / 6.0 for a, b, c, d in zip(first, second, third, fourth, strict=True)))
    return after(SECONDS, mean)
