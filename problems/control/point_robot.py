"""A point robot in the plane that has to find a goal, which it may not see."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.environments import Continuous, Environment, State, Transition
from evometa.settings import Count, Positive
from evometa.types import Key


class Robot(NamedTuple):
    """The state: where the robot is, and where it should be; float32."""

    position: jax.Array
    """``[2]``."""
    goal: jax.Array
    """``[2]``."""


@dataclasses.dataclass(frozen=True)
class PointRobot(Environment):
    """A point that moves by at most ``speed`` in each coordinate of a step, from the origin to a goal.

    The reward of a step is minus the distance to the goal after it; the robot observes its position, and the goal only
    if that is ``visible``. An episode ends when both coordinates are within ``tolerance`` of the goal's.

    Args:
        goal_range: goals are drawn uniformly from the square of coordinates from minus this to this.
        speed: the longest step along each coordinate.
        tolerance: how near to the goal an episode ends.
        squared: whether the reward is minus the squared distance.
        wall: the robot stays within coordinates of this size; None: no walls.
        visible: whether the robot observes the goal too.
        max_steps: the time limit in steps.
    """

    goal_range: Positive = 0.5
    speed: Positive = 0.1
    tolerance: Positive = 0.01
    squared: bool = False
    wall: Positive | None = None
    visible: bool = False
    max_steps: Count = 100

    @property
    def actions(self) -> Continuous:
        """A step along each coordinate."""
        return Continuous((-self.speed,) * 2, (self.speed,) * 2)

    def reset(self, key: Key) -> State:
        """Return a robot in the origin, and draw its goal."""
        goal = jax.random.uniform(key, (2,), jnp.float32, -self.goal_range, self.goal_range)
        return Robot(jnp.zeros(2, jnp.float32), goal)

    def step(self, key: Key, state: State, action: jax.Array) -> Transition:
        """Move by the action, clipped to the longest step."""
        position = state.position + jnp.clip(action, -self.speed, self.speed)
        if self.wall is not None:
            position = jnp.clip(position, -self.wall, self.wall)
        difference = position - state.goal
        distance = jnp.sum(difference**2)
        # The root of zero has no derivative, and a robot may be exactly at its goal.
        reward = -distance if self.squared else -jnp.sqrt(jnp.maximum(distance, 1e-12))
        return Transition(Robot(position, state.goal), reward, jnp.all(jnp.abs(difference) < self.tolerance))

    def observe(self, state: State) -> jax.Array:
        """Return the position, ``[2]``, with a visible goal ``[4]``."""
        position: jax.Array = state.position
        return jnp.concatenate([position, state.goal]) if self.visible else position
