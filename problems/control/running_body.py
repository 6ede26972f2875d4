"""A body with two legs that runs in the plane, at a speed that it is told only by its reward."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.environments import Continuous, Environment, State, Transition
from evometa.settings import Count, NonNegative, Positive
from evometa.types import Key, Scalar

SECONDS, SUBSTEPS = 0.04, 4
"""Of a step, and how many steps of the integrator (semi-implicit Euler) it has."""
GRAVITY, INERTIA, HALF, LIMB = 9.81, 0.2, 0.5, 0.35
"""m/s²; of a trunk of 1 kg, in kg m²; half its length, and the length of thigh and shin, in m."""
STIFFNESS, DAMPING = 300.0, 10.0
"""Of the ground, N/m and N s/m; the latter along the ground too, up to the friction."""
REST = (0.5, -1.0, 0.5, -1.0)
"""Hip and knee of the back leg and of the front leg at actions of zero, in radians; zeros are straight downwards."""
REACH, LAG, FASTEST = 0.6, 0.06, 12.0
"""What an action of 1 adds to that, in radians; the time constant in which a joint follows, in s, and its rad/s."""
ROUNDS = 2.0
"""Of the clock in a second."""


class Body(NamedTuple):
    """The state: numbers ``[]``, float32. The ground is at height 0; the trunk's middle starts at x = 0."""

    place: tuple[Scalar, Scalar, Scalar]
    """x and height of the trunk's middle, in m, and its pitch in radians."""
    speed: tuple[Scalar, Scalar, Scalar]
    """Of these, a second."""
    joints: tuple[Scalar, ...]
    """Hip and knee of the back leg, then of the front leg, in radians."""
    turning: tuple[Scalar, ...]
    """Their rad/s."""
    time: Scalar
    """s"""
    target: Scalar
    """The speed that is rewarded, in m/s, which the body does not see."""


@dataclasses.dataclass(frozen=True)
class RunningBody(Environment):
    """A trunk with two legs without mass, each with a hip and a knee, on ground that gives way and has friction.

    An action says where the four joints should be. The reward of a step is minus the difference of speed and target, in
    m/s, and minus ``cost`` times the sum of squared actions, as MAML's half cheetah has it. The body observes height,
    pitch, joints, what all of these do in time, its speed, and the sine and cosine of a clock. An episode never ends by
    itself.

    Args:
        slowest: least target, in m/s.
        fastest: greatest target.
        friction: greatest force along the ground, relative to that of the ground upwards.
        cost: of actions.
        max_steps: the time limit in steps of 0.04 s.
    """

    slowest: NonNegative = 0.0
    fastest: Positive = 2.0
    friction: Positive = 1.0
    cost: NonNegative = 0.05
    max_steps: Count = 200

    @property
    def actions(self) -> Continuous:
        """Where each joint should be: from -1 to 1 around its rest."""
        return Continuous((-1.0,) * 4, (1.0,) * 4)

    def reset(self, key: Key) -> State:
        """Let the body stand with slightly different joints, and draw its target."""
        key_target, key_joints = jax.random.split(key)
        joints = jnp.asarray(REST, jnp.float32) + jax.random.uniform(key_joints, (4,), jnp.float32, -0.1, 0.1)
        target = jax.random.uniform(key_target, (), jnp.float32, self.slowest, self.fastest)
        zero = jnp.float32(0)
        return Body((zero, jnp.float32(0.62), zero), (zero,) * 3, tuple(joints), (zero,) * 4, zero, target)

    def step(self, key: Key, state: State, action: jax.Array) -> Transition:
        """Move for 0.04 s."""
        action = jnp.clip(action, -1, 1)
        wanted = [rest + REACH * action[i] for i, rest in enumerate(REST)]
        after = jax.lax.fori_loop(0, SUBSTEPS, lambda _, body: self._moved(body, wanted), state)
        velocity = (after.place[0] - state.place[0]) / SECONDS
        reward = -jnp.abs(velocity - state.target) - self.cost * jnp.sum(action**2)
        return Transition(after, reward, jnp.zeros((), bool))

    def _moved(self, body: Body, wanted: list[Scalar]) -> Body:
        """Return the body one step of the integrator later; all in scalars, of which the compiler makes one loop."""
        seconds = SECONDS / SUBSTEPS
        turning = tuple(
            jnp.clip((goal - joint) / LAG, -FASTEST, FASTEST) for goal, joint in zip(wanted, body.joints, strict=True)
        )
        (x, height, pitch), (ahead, up, rate) = body.place, body.speed
        across, lift, moment = jnp.float32(0), jnp.float32(-GRAVITY), jnp.float32(0)
        for leg, hip in enumerate((-HALF, HALF)):
            angle, turn, at = pitch, rate, (hip * jnp.cos(pitch), hip * jnp.sin(pitch))
            limb = -rate * at[1], rate * at[0]
            touching = [(at, limb)]
            for joint in (2 * leg, 2 * leg + 1):
                angle, turn = angle + body.joints[joint], turn + turning[joint]
                side, down = LIMB * jnp.sin(angle), LIMB * jnp.cos(angle)
                at, limb = (at[0] + side, at[1] - down), (limb[0] + turn * down, limb[1] + turn * side)
            for (right, above), (to_right, upwards) in [*touching, (at, limb)]:
                depth = -(height + above)
                push = jnp.where(depth > 0, jnp.maximum(STIFFNESS * depth - DAMPING * (up + upwards), 0), 0)
                drag = jnp.clip(-DAMPING * (ahead + to_right), -self.friction * push, self.friction * push)
                across, lift, moment = across + drag, lift + push, moment + right * push - above * drag
        speed = ahead + seconds * across, up + seconds * lift, rate + seconds * moment / INERTIA
        place = x + seconds * speed[0], height + seconds * speed[1], pitch + seconds * speed[2]
        joints = tuple(joint + seconds * each for joint, each in zip(body.joints, turning, strict=True))
        return Body(place, speed, joints, turning, body.time + seconds, body.target)

    def observe(self, state: State) -> jax.Array:
        """Return what the body sees, ``[15]``, each number about as large as 1."""
        (_, height, pitch), (ahead, up, rate) = state.place, state.speed
        phase = 2 * math.pi * ROUNDS * state.time
        joints = [(joint - rest) / REACH for joint, rest in zip(state.joints, REST, strict=True)]
        turning = [each / FASTEST for each in state.turning]
        trunk = [5 * (height - 0.6), pitch, ahead / 2, up / 2, rate / 5]
        return jnp.stack([*trunk, *joints, *turning, jnp.sin(phase), jnp.cos(phase)])

    def draw(self, axes: Any, state: State) -> None:
        """Draw the body, and marks on the ground half a metre apart."""
        (x, height, pitch), joints = (np.asarray(part, np.float64) for part in (state.place, state.joints))
        middle, trunk = np.array([x, height]), HALF * np.array([np.cos(pitch), np.sin(pitch)])
        for number, (end, color) in enumerate(((-trunk, "#0072B2"), (trunk, "#D55E00"))):
            thigh, shin = pitch + np.cumsum(joints[2 * number : 2 * number + 2])
            knee = middle + end + LIMB * np.array([np.sin(thigh), -np.cos(thigh)])
            foot = knee + LIMB * np.array([np.sin(shin), -np.cos(shin)])
            axes.plot(*np.transpose([middle + end, knee, foot]), color=color, linewidth=2)
        axes.plot(*np.transpose([middle - trunk, middle + trunk]), color="#404040", linewidth=4)
        axes.axhline(0, color="#707070", linewidth=0.8)
        marks = np.arange(np.floor(2 * x) - 3, 2 * x + 4) / 2
        axes.plot(marks, np.full_like(marks, -0.06), "|", color="#707070")
        axes.set(xlim=(x - 1.1, x + 1.1), ylim=(-0.15, 1.15), aspect="equal")
