"""Search for the weights of a policy: what the problems of control have in common.

Branch of meta-learning: black-box learners. ω holds the weights of a policy, which acts in an environment that steps
inside the compiled program. Nothing is differentiated.
"""

import abc
import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from evometa.environments import ActingPolicy, Agent, Environment, Policy, Trajectory, play, record
from evometa.problem import BaseProblem, Evaluation, Problem
from evometa.problems.control.episode_pictures import episode_pictures
from evometa.settings import Count
from evometa.spaces import Like
from evometa.types import Key, Omega


@dataclasses.dataclass(frozen=True)
class HasPolicy(BaseProblem):
    """A problem whose ω holds the weights of a policy, and whose fitness, to be maximised, is its return.

    Args:
        hidden: width of each hidden layer of the policy; without any it is linear.
        recurrent: whether the one hidden layer is a gated recurrent unit, which remembers within the episode.
        normalize: whether observations are given in standard deviations from their mean, both as the agent has
            experienced them since its episode began.
    """

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"

    hidden: tuple[Count, ...] = dataclasses.field(default=(32,), kw_only=True)
    recurrent: bool = dataclasses.field(default=False, kw_only=True)
    normalize: bool = dataclasses.field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.policy

    @property
    @abc.abstractmethod
    def policy(self) -> Policy:
        """The network whose weights are searched."""

    @property
    def space(self) -> Like:
        """The policy's weights; a search starts at a random initialisation."""
        return Like(self.policy.draw)

    def export(self, omega: Omega) -> ActingPolicy:
        """Return the policy with its weights, a function from observations to actions."""
        return ActingPolicy(self.policy, omega, normalize=self.normalize)


@dataclasses.dataclass(frozen=True)
class PolicySearch(HasPolicy, Problem):
    """Find the weights of a policy with the largest return in an environment.

    ω holds the weights. The fitness, to be maximised, is the return (the sum of rewards) of an episode, averaged over
    ``num_tasks`` episodes that the whole population shares. A subclass names its :attr:`environment`.

    Args:
        num_tasks: episodes that an evaluation averages.
        hidden: width of each hidden layer of the policy; without any it is linear.
        recurrent: whether the one hidden layer is a gated recurrent unit, which remembers within the episode.
        normalize: whether observations are given in standard deviations from their mean, both as the agent has
            experienced them since its episode began.
    """

    num_tasks: Count = dataclasses.field(default=4, kw_only=True)

    @property
    @abc.abstractmethod
    def environment(self) -> Environment:
        """Where the policy acts."""

    @property
    def policy(self) -> Policy:
        """The network whose weights are searched."""
        environment = self.environment
        return Policy(environment.observation_size, environment.actions, self.hidden, self.recurrent)

    def evaluate(self, key: Key, omega: Omega) -> Evaluation:
        """Play one episode."""
        policy = self.policy
        episode, _ = play(self.environment, policy, omega, key, Agent.new(policy, normalize=self.normalize))
        return Evaluation(episode.total, {"steps": episode.steps.astype(jnp.float32)})

    def evaluate_test(self, key: Key, omega: Omega) -> Evaluation:
        """Play one episode with another start than any of the search."""
        return self.evaluate(key, omega)

    def record(self, key: Key, omega: Any) -> Trajectory:
        """Return the episode that :meth:`evaluate` plays with this key, step by step, as arrays of numpy."""
        policy = self.policy
        trajectory, _ = jax.jit(record, static_argnums=(0, 1))(
            self.environment, policy, omega, key, Agent.new(policy, normalize=self.normalize)
        )
        plain: Trajectory = jax.tree.map(np.asarray, trajectory)
        return plain

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw an episode of a random policy, and the same with ω."""
        key_random, key_episode = jax.random.split(key)
        policies = {"random weights": self.policy.draw(key_random), "found": omega}
        return episode_pictures(
            self.environment, {name: self.record(key_episode, weights) for name, weights in policies.items()}
        )
