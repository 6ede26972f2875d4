"""Several environments as one, so that a program that acts in any of them holds all but their steps only once."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.environments import Continuous, Discrete, Environment, State
from evometa.types import Key, Scalar


class Seen(NamedTuple):
    """What one step leads to."""

    states: State
    """One of each environment."""
    observation: jax.Array
    """``[O]``, of the state after the step."""
    reward: Scalar
    """float32."""
    terminated: Scalar
    """Whether the episode ended by itself, a bool."""
    over: Scalar
    """Whether it ended so or at the time limit, a bool."""


@dataclasses.dataclass(frozen=True)
class EnvironmentSet:
    """Environments that are told apart by their number, which may be traced.

    Observations and the outputs that choose an action are padded to the longest. A state holds one of each environment,
    of which only that of the number is used: a branch that is not taken costs nothing, unless numbers are batched.

    Args:
        environments: E of them.
    """

    environments: tuple[Environment, ...]

    @functools.cached_property
    def observation_sizes(self) -> NDArray[Any]:
        """How many numbers an observation of each has, ``[E]``."""
        return np.array([environment.observation_size for environment in self.environments])

    @property
    def observation_size(self) -> int:
        """O: how many numbers the longest observation has."""
        return int(self.observation_sizes.max())

    @functools.cached_property
    def used(self) -> NDArray[Any]:
        """Which outputs choose an action in each, ``[E, A]``, bools."""
        counts = np.array([environment.actions.outputs for environment in self.environments])
        return np.arange(counts.max()) < counts[:, None]

    @property
    def outputs(self) -> int:
        """A: how many outputs choose an action, at most."""
        return int(self.used.shape[1])

    @property
    def discrete(self) -> NDArray[Any]:
        """Whether the actions of each are discrete, ``[E]``."""
        return np.array([isinstance(environment.actions, Discrete) for environment in self.environments])

    def blank(self) -> State:
        """Return states in which no episode has begun."""
        shapes = (jax.eval_shape(each.reset, jax.random.key(0)) for each in self.environments)
        return tuple(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape) for shape in shapes)

    def begin(self, number: int | Scalar, key: Key, states: State, over: Scalar) -> tuple[State, jax.Array]:
        """Begin a new episode in one environment if the last is over; return states, and the observation ``[O]``."""

        def branch(at: int, key: Key, states: State, over: Scalar) -> tuple[State, jax.Array]:
            new = self.environments[at].reset(key)
            state = jax.tree.map(lambda new, old: jnp.where(over, new, old), new, states[at])
            return _with(states, at, state), self._observe(at, state)

        begun: tuple[State, jax.Array] = self._switch(number, branch, key, states, over)
        return begun

    def step(self, number: int | Scalar, key: Key, states: State, steps: Scalar, drawn: jax.Array) -> Seen:
        """Take one step in one environment.

        Args:
            number: of the environment.
            key: of the step.
            states: one of each environment.
            steps: steps of the episode so far.
            drawn: ``[A]``; the action is the place of the largest or, where it is a vector, tanh of each scaled to its
                bounds.
        """

        def branch(at: int, key: Key, states: State, steps: Scalar, drawn: jax.Array) -> Seen:
            environment = self.environments[at]
            after = environment.step(key, states[at], _action(environment.actions, drawn))
            over = after.terminated | (steps + 1 >= environment.max_steps)
            observation, reward = self._observe(at, after.state), after.reward.astype(jnp.float32)
            return Seen(_with(states, at, after.state), observation, reward, after.terminated, over)

        seen: Seen = self._switch(number, branch, key, states, steps, drawn)
        return seen

    def _observe(self, at: int, state: State) -> jax.Array:
        observation = self.environments[at].observe(state)
        return jnp.pad(observation, (0, self.observation_size - observation.size))

    def _switch(self, number: int | Scalar, branch: Callable[..., Any], *given: Any) -> Any:
        branches = [functools.partial(branch, at) for at in range(len(self.environments))]
        return jax.lax.switch(number, branches, *given)


def _with(states: tuple[State, ...], at: int, state: State) -> tuple[State, ...]:
    return (*states[:at], state, *states[at + 1 :])


def _action(actions: Discrete | Continuous, drawn: jax.Array) -> jax.Array:
    if isinstance(actions, Discrete):
        return jnp.argmax(drawn[: actions.count]).astype(jnp.int32)
    low, high = (np.asarray(bound, np.float32) for bound in (actions.low, actions.high))
    return jnp.asarray(low + (high - low) * (jnp.tanh(drawn[: actions.outputs]) + 1) / 2)
