"""Swing up a pole on a cart and balance it, by the weights of a policy.

Branch of meta-learning: black-box learners. There is no inner loop and no differentiation.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.environments import Continuous, Environment, State, Transition
from evometa.problems.control.policy_search import PolicySearch
from evometa.settings import Count, Finite, NonNegative, Positive
from evometa.types import Key, Scalar


class Cart(NamedTuple):
    """The state of cart and pole; metres, radians, seconds; float32."""

    position: Scalar
    speed: Scalar
    angle: Scalar
    """From upright; the pole hangs down at π."""
    spin: Scalar


@dataclasses.dataclass(frozen=True)
class SwingUp(Environment):
    """A pole that hangs from a cart, to be swung up and balanced by pushing the cart.

    An action from -1 to 1 is a share of ``force``. The reward of a step is (1 + cos angle) / 2 · cos(π/2 · position /
    track), which is 1 for an upright pole in the middle; leaving the track ends the episode. The mechanics are those of
    EvoJAX's cart-pole, integrated by Euler's method.

    Args:
        gravity: acceleration of gravity in m/s².
        cart_mass: mass of the cart in kg.
        pole_mass: mass of the pole in kg.
        length: length of the pole in metres.
        friction: friction between cart and track in N·s/m.
        force: greatest force on the cart in newtons.
        seconds: length of a step.
        track: greatest distance of the cart from the middle in metres.
        start_deviation: standard deviation of the start's position, speed, angle and spin around a cart at rest in the
            middle with its pole hanging down.
        max_steps: the time limit in steps.
    """

    gravity: Finite = 9.82
    cart_mass: Positive = 0.5
    pole_mass: Positive = 0.5
    length: Positive = 0.6
    friction: NonNegative = 0.1
    force: Positive = 10.0
    seconds: Positive = 0.01
    track: Positive = 2.4
    start_deviation: NonNegative = 0.2
    max_steps: Count = 1000

    actions: ClassVar[Continuous] = Continuous((-1.0,), (1.0,))

    def reset(self, key: Key) -> State:
        """Return a cart near rest with its pole hanging down."""
        drawn = self.start_deviation * jax.random.normal(key, (4,), jnp.float32)
        return Cart(drawn[0], drawn[1], jnp.float32(jnp.pi) + drawn[2], drawn[3])

    def step(self, key: Key, state: State, action: jax.Array) -> Transition:
        """Push the cart for one step."""
        sine, cosine = jnp.sin(state.angle), jnp.cos(state.angle)
        push = self.force * jnp.clip(action[0], -1.0, 1.0) - self.friction * state.speed
        mass, moment = self.cart_mass + self.pole_mass, self.pole_mass * self.length
        swing = moment * state.spin**2 * sine
        acceleration = (-2 * swing + 3 * self.pole_mass * self.gravity * sine * cosine + 4 * push) / (
            4 * mass - 3 * self.pole_mass * cosine**2
        )
        turn = (-3 * swing * cosine + 6 * mass * self.gravity * sine + 6 * push * cosine) / (
            4 * self.length * mass - 3 * moment * cosine**2
        )
        after = Cart(
            state.position + self.seconds * state.speed,
            state.speed + self.seconds * acceleration,
            state.angle + self.seconds * state.spin,
            state.spin + self.seconds * turn,
        )
        reward = (jnp.cos(after.angle) + 1) / 2 * jnp.cos(jnp.pi / 2 * after.position / self.track)
        return Transition(after, reward, jnp.abs(after.position) > self.track)

    def observe(self, state: State) -> jax.Array:
        """Return position, speed, cosine and sine of the angle, and spin, ``[5]``."""
        return jnp.stack([state.position, state.speed, jnp.cos(state.angle), jnp.sin(state.angle), state.spin])

    def draw(self, axes: Any, state: Cart) -> None:
        """Draw track, cart and pole."""
        x, tip = state.position, (state.position + self.length * np.sin(state.angle), self.length * np.cos(state.angle))
        axes.plot([-self.track, self.track], [0, 0], color="#b0b0b0", linewidth=1)
        axes.plot([x], [0], marker="s", markersize=9, color="#0072B2")
        axes.plot([x, tip[0]], [0, tip[1]], color="#D55E00", linewidth=2.5, solid_capstyle="round")
        axes.set(xlim=(-self.track - 0.2, self.track + 0.2), ylim=(-0.9, 0.9), aspect="equal")


@dataclasses.dataclass(frozen=True)
class CartPoleSwingUp(PolicySearch):
    """Swing up a pole that hangs from a cart, and balance it.

    ω holds the weights of a network of 64 tanh units, which pushes the cart for 1,000 steps of 0.01 seconds. The
    fitness, to be maximised, is the return of an episode, at most 1,000 (:class:`SwingUp`); it averages 16 starts
    that the population shares.

    Paper: Tang, Tian & Ha, "EvoJAX: hardware-accelerated neuroevolution", 2022, whose table of the task
    "cart-pole (easy)" has a mean return over 100 test episodes of 935 (PGPE), 929 (OpenAI-ES) and 927 (CMA-ES). Result
    (``benchmarks/control.py swing-up``), mean of 3 seeds after 1,738 generations, 300 seconds of one core: 937.

    Args:
        start_deviation: standard deviation of position, speed, angle and spin at the start.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="control",
        omega="weights of a policy",
        learner="none",
        paper="Tang et al. 2022",
        recipe=Recipe("PGPE", {"population_size": 128}, {"seconds": 240}),
    )

    start_deviation: NonNegative = 0.2
    num_tasks: Count = 16
    hidden: tuple[Count, ...] = (64,)

    @property
    def environment(self) -> SwingUp:
        """A cart with a hanging pole."""
        return SwingUp(start_deviation=self.start_deviation)

    def shifted(self) -> dict[str, "CartPoleSwingUp"]:
        """Starts that are further from rest."""
        return {"starts further away": dataclasses.replace(self, start_deviation=2.5 * self.start_deviation)}
