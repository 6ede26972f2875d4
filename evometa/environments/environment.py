"""What an agent acts in: the contract of environments, and the two kinds of action."""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from evometa.errors import ConfigurationError
from evometa.settings import Checked
from evometa.types import Key, Scalar

State = Any
"""The state of an environment: any pytree of arrays."""


class Transition(NamedTuple):
    """What one step of an environment leads to."""

    state: State
    """The state after the step; same structure, shapes and types as before."""
    reward: Scalar
    """The reward of the step, float32."""
    terminated: Scalar
    """Whether the episode has ended by itself (a goal, a fall), a bool; the time limit is not the environment's."""


@dataclasses.dataclass(frozen=True)
class Discrete:
    """Actions are whole numbers from 0 to ``count`` - 1, int32 scalars."""

    count: int

    @property
    def outputs(self) -> int:
        """How many outputs of a network choose an action: a preference for each."""
        return self.count


@dataclasses.dataclass(frozen=True)
class Continuous:
    """Actions are vectors ``[A]`` of float32 between two bounds.

    Args:
        low: the least value of each coordinate.
        high: the greatest value of each.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def outputs(self) -> int:
        """How many outputs of a network choose an action: one for each coordinate."""
        return len(self.low)


def actions_of(owner: str, space: Any) -> Discrete | Continuous:
    """Return the actions of a space of gymnax or Gymnasium.

    Args:
        owner: whose space it is, for the message, such as "CartPole-v1 of gymnax".
        space: the space.

    Raises:
        ConfigurationError: it is neither discrete from 0 on nor a vector with bounds.
    """
    if hasattr(space, "n") and space.shape == () and getattr(space, "start", 0) == 0:
        return Discrete(int(space.n))
    low, high = (np.ravel(np.broadcast_to(getattr(space, name, np.inf), space.shape or ())) for name in ("low", "high"))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ConfigurationError(
            f"A policy needs actions that are discrete (from 0 on) or a vector with bounds, and {owner} has {space}."
        )
    return Continuous(tuple(map(float, low)), tuple(map(float, high)))


@dataclasses.dataclass(frozen=True)
class Environment(metaclass=Checked):
    """An environment of pure functions; a frozen dataclass whose fields are its settings.

    Subclasses define :attr:`actions`, :meth:`reset`, :meth:`step` and :meth:`observe`. Each is written for one episode;
    the engine batches them.
    """

    @property
    def max_steps(self) -> int:
        """The time limit: steps after which an episode is cut off; 1,000 unless a field or class variable says so."""
        return 1000

    @property
    @abc.abstractmethod
    def actions(self) -> Discrete | Continuous:
        """What the actions are."""

    @abc.abstractmethod
    def reset(self, key: Key) -> State:
        """Return the state at the start of an episode."""

    @abc.abstractmethod
    def step(self, key: Key, state: State, action: jax.Array) -> Transition:
        """Return the next state, the reward, and whether the episode has ended by itself."""

    @abc.abstractmethod
    def observe(self, state: State) -> jax.Array:
        """Return what the agent sees of a state, ``[O]``, float32."""

    @property
    def observation_size(self) -> int:
        """O: how many numbers an observation has."""
        seen = jax.eval_shape(lambda: self.observe(self.reset(jax.random.key(0))))
        return int(seen.size)

    def draw(self, axes: Any, state: State) -> None:
        """Draw one state, of numpy arrays, on empty matplotlib axes; by default nothing.

        With it, the pictures of a problem of control are frames of episodes; without it, curves of what was observed.
        """
