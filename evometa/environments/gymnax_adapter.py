"""The environments of gymnax, by their names."""

import dataclasses
import difflib
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.environments.environment import Continuous, Discrete, Environment, State, Transition, actions_of
from evometa.errors import ConfigurationError
from evometa.settings import Count
from evometa.types import Key


class GymnaxState(NamedTuple):
    """The state of gymnax's environment, and what it showed last."""

    inner: Any
    observation: jax.Array
    """``[O]``, flat."""


@dataclasses.dataclass(frozen=True)
class Gymnax(Environment):
    """An environment of gymnax, the package, which ``pip install "evometa[gymnax]"`` brings.

    Observations of several dimensions are flattened. An episode ends as gymnax's environment says; its time limit is
    the environment's own unless ``limit`` is given.

    Args:
        name: a name that ``gymnax.make`` knows, such as "CartPole-v1".
        limit: the time limit in steps; None: the environment's own.

    Raises:
        ConfigurationError: gymnax is not installed, has no environment of that name, or one with actions that are
            neither discrete nor a bounded vector.
    """

    name: str
    limit: Count | None = None

    def __post_init__(self) -> None:
        _ = self.actions

    @property
    def max_steps(self) -> int:
        """The time limit in steps."""
        return self.limit or int(self._made[1].max_steps_in_episode)

    @property
    def actions(self) -> Discrete | Continuous:
        """What the actions are."""
        environment, parameters = self._made
        with jax.ensure_compile_time_eval():  # some bounds are made by JAX, also while a program is traced
            return actions_of(f"{self.name} of gymnax", environment.action_space(parameters))

    def reset(self, key: Key) -> State:
        """Return the state at the start of an episode."""
        environment, parameters = self._made
        observation, inner = environment.reset_env(key, parameters)
        return GymnaxState(jax.tree.map(jnp.asarray, inner), _flat(observation))

    def step(self, key: Key, state: State, action: jax.Array) -> Transition:
        """Return the next state, the reward, and whether the episode has ended by itself."""
        environment, parameters = self._made
        actions = environment.action_space(parameters)
        action = jnp.reshape(action, actions.shape).astype(actions.dtype)
        observation, inner, reward, terminated, _ = environment.step_env(key, state.inner, action, parameters)
        # Some of its environments start with Python's numbers and go on with arrays, which a loop may not.
        inner = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), inner, state.inner)
        return Transition(
            GymnaxState(inner, _flat(observation)),
            jnp.reshape(jnp.asarray(reward, jnp.float32), ()),
            jnp.reshape(jnp.asarray(terminated, bool), ()),
        )

    def observe(self, state: State) -> jax.Array:
        """Return what the agent sees, ``[O]``."""
        observation: jax.Array = state.observation
        return observation

    @property
    def _made(self) -> tuple[Any, Any]:
        return _make(self.name)


@functools.cache
def _make(name: str) -> tuple[Any, Any]:
    """Return the environment of a name and its parameters."""
    try:
        import gymnax  # an optional dependency
    except ImportError as error:
        raise ConfigurationError(
            f"The environments of gymnax need the package gymnax ({error}); install it with "
            'pip install "evometa[gymnax]".'
        ) from error
    if name not in gymnax.registered_envs:
        near = difflib.get_close_matches(name, gymnax.registered_envs, n=1, cutoff=0.0)
        raise ConfigurationError(f"gymnax has no environment {name!r}; the nearest name is {near[0]!r}.")
    with jax.ensure_compile_time_eval():  # some parameters are made by JAX, and kept beyond what is traced now
        made: tuple[Any, Any] = gymnax.make(name)
    return made


def _flat(observation: Any) -> jax.Array:
    leaves = [jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(observation)]
    return jnp.concatenate(leaves)
