"""Episodes: an agent acts in an environment until the episode ends."""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from evometa.environments.environment import Environment, State
from evometa.environments.statistics import Statistics
from evometa.types import Key, Scalar


class Acts(Protocol):
    """What an agent acts by: a :class:`Policy`, or a policy of your own with these methods."""

    @property
    def observations(self) -> int:
        """O, how many numbers an observation has."""

    def memory(self) -> jax.Array:
        """Return the memory at the start of the first episode."""

    def run(self, weights: Any, memory: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the outputs for an observation ``[O]``, and the memory after it."""

    def choose(self, outputs: jax.Array) -> jax.Array:
        """Return the action that the outputs prefer."""


class Agent(NamedTuple):
    """What a policy keeps while it acts."""

    memory: jax.Array
    """The memory of a recurrent policy."""
    statistics: Statistics | None = None
    """Mean and variance of what it observed, where its observations are normalised."""

    @classmethod
    def new(cls, policy: Acts, *, normalize: bool = False) -> "Agent":
        """Return the agent at the start of its first episode."""
        return cls(policy.memory(), Statistics.empty(policy.observations) if normalize else None)

    def act(self, policy: Acts, weights: Any, observation: Any) -> tuple[jax.Array, "Agent"]:
        """Return the action that the policy prefers after an observation ``[O]``, and the agent after it."""
        statistics = self.statistics
        if statistics is not None:
            statistics = statistics.seen(observation)
            observation = statistics.normalize(observation)
        outputs, memory = policy.run(weights, self.memory, observation)
        return policy.choose(outputs), Agent(memory, statistics)


class Episode(NamedTuple):
    """An episode that is over."""

    total: Scalar
    """The sum of its rewards, float32; not finite where the environment gave a reward or observation that is not."""
    steps: Scalar
    """How many steps it took, int32."""
    terminated: Scalar
    """Whether it ended by itself rather than at the time limit."""


class Trajectory(NamedTuple):
    """An episode step by step; the steps after its end repeat its last state."""

    states: State
    """Leading axis S: the state before each step."""
    observations: jax.Array
    """``[S, O]``."""
    actions: jax.Array
    """``[S]`` or ``[S, A]``."""
    rewards: jax.Array
    """``[S]``, zero after the end."""
    running: jax.Array
    """``[S]``, whether the episode was not over before the step."""


def play(
    environment: Environment, policy: Acts, weights: Any, key: Key, agent: Agent, start: State | None = None
) -> tuple[Episode, Agent]:
    """Play one episode.

    Args:
        environment: where.
        policy: the network.
        weights: its weights.
        key: the key of the start and of all steps; agents that share it meet the same chances.
        agent: what the agent brings along.
        start: the first state; None draws it.

    Returns:
        The episode, and the agent after it.
    """
    key_start, key_steps = jax.random.split(key)

    def running(carry: tuple[Episode, State, Agent]) -> Scalar:
        episode, _, _ = carry
        return ~episode.terminated & (episode.steps < environment.max_steps) & jnp.isfinite(episode.total)

    def step(carry: tuple[Episode, State, Agent]) -> tuple[Episode, State, Agent]:
        episode, state, agent = carry
        observation = environment.observe(state)
        action, agent = agent.act(policy, weights, observation)
        after = environment.step(jax.random.fold_in(key_steps, episode.steps), state, action)
        # Divided by 0 it is not finite; a constant NaN here would stop who debugs with jax_debug_nans.
        sound = jnp.all(jnp.isfinite(observation)).astype(jnp.float32)
        reward = after.reward.astype(jnp.float32) / sound
        return Episode(episode.total + reward, episode.steps + 1, after.terminated), after.state, agent

    state = environment.reset(key_start) if start is None else start
    none = Episode(jnp.float32(0), jnp.int32(0), jnp.zeros((), bool))
    episode, _, agent = jax.lax.while_loop(running, step, (none, state, agent))
    return episode, agent


def record(
    environment: Environment,
    policy: Acts,
    weights: Any,
    key: Key,
    agent: Agent,
    start: State | None = None,
    *,
    steps: int | None = None,
) -> tuple[Trajectory, Agent]:
    """Play one episode and keep every step, for pictures and for what learns from it.

    Args:
        environment: where.
        policy: the network.
        weights: its weights.
        key: the key of the start and of all steps, as of :func:`play`: the same episode.
        agent: what the agent brings along.
        start: the first state; None draws it.
        steps: S, how many steps; None: the time limit.

    Returns:
        The trajectory, and the agent after it.
    """
    key_start, key_steps = jax.random.split(key)

    def step(carry: tuple[State, Agent, Scalar], number: Scalar) -> tuple[tuple[State, Agent, Scalar], Trajectory]:
        state, agent, running = carry
        observation = environment.observe(state)
        action, acted = agent.act(policy, weights, observation)
        after = environment.step(jax.random.fold_in(key_steps, number), state, action)
        reward = jnp.where(running, after.reward, 0).astype(jnp.float32)
        seen = Trajectory(state, observation, action, reward, running)
        state, agent = jax.tree.map(lambda new, old: jnp.where(running, new, old), (after.state, acted), (state, agent))
        return (state, agent, running & ~after.terminated), seen

    state = environment.reset(key_start) if start is None else start
    numbers = jnp.arange(environment.max_steps if steps is None else steps)
    (_, agent, _), trajectory = jax.lax.scan(step, (state, agent, jnp.ones((), bool)), numbers)
    return trajectory, agent
