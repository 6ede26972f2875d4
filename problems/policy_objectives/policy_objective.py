"""Training of agents with a learned objective: what objectives as formulas and as networks have in common."""

import abc
import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.problem import InnerTraining
from evometa.problems.policy_objectives.actor_critic import ActorCritic, ActorCriticLearner
from evometa.problems.policy_objectives.environment_set import EnvironmentSet
from evometa.problems.policy_objectives.rated_environments import RatedEnvironment, rated_environment
from evometa.settings import Count, Positive
from evometa.types import Key, Omega, Scalar

EPOCHS, MINIBATCHES = 4, 4
"""How often an update goes through what was experienced, and in how many parts."""
CLIP = 0.2
"""How far PPO lets the ratio of probabilities go from 1."""
NEARLY_ZERO = 1e-6
"""What is taken off a drift, as in the paper, so that its derivative is 0 where the drift is."""


def ppo(ratio: jax.Array, advantage: jax.Array, clip: float | Scalar = CLIP) -> jax.Array:
    """Return the drift with which the objective is PPO's clipped one (Schulman et al. 2017)."""
    return jnp.maximum((ratio - jnp.clip(ratio, 1 - clip, 1 + clip)) * advantage, 0.0)


def dpo(ratio: jax.Array, advantage: jax.Array) -> jax.Array:
    """Return the drift of discovered policy optimisation (Lu et al. 2022, equation 8)."""
    better, worse = (ratio - 1) * advantage, jnp.log(jnp.maximum(ratio, 1e-6)) * advantage
    drift = jnp.where(advantage >= 0, better - 2 * jnp.tanh(better / 2), worse - 0.6 * jnp.tanh(worse / 0.6))
    return jnp.maximum(drift, 0.0)


@dataclasses.dataclass(frozen=True)
class PolicyObjective(InnerTraining):
    """Train agents on the objective whose drift function ω defines.

    An agent is a network with an actor and a critic (:class:`ActorCritic`). Its actor ascends the mean of
    ratio · advantage - drift(ratio, advantage), where the ratio is that of the new and the old probability of an
    action. An inner step is an update: 64 steps in 16 copies of the environment, then 4 epochs of 4 minibatches. Each
    candidate trains one agent in each of the environments; tasks differ by everything that is drawn.

    Fitness, to be maximised, is the mean over environments of the rating of the trained agent: its mean return in new
    episodes, 0 for that of an untrained agent and 1 for that of a good one. Subclasses define the drift; their
    docstrings describe the fields.
    """

    direction: ClassVar[Literal["minimize", "maximize"]] = "maximize"

    num_tasks: Count = 1
    inner_steps: Count = 20
    environments: tuple[str, ...] = ("CartPole-v1", "Pendulum-v1")
    learning_rate: Positive = 0.032
    hidden: tuple[Count, ...] = (16, 16)
    copies: Count = 16
    rollout: Count = 64
    episodes: Count = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if not self.environments:
            raise ConfigurationError(f"{name} expects at least one environment, got environments=().")
        if self.copies * self.rollout % MINIBATCHES:
            raise ConfigurationError(
                f"{name} expects copies · rollout, the steps of an update, to be a multiple of {MINIBATCHES}, its "
                f"minibatches, got {self.copies} · {self.rollout}."
            )
        _ = self.rated_environments

    @property
    def rated_environments(self) -> tuple[RatedEnvironment, ...]:
        """Where agents are trained."""
        return tuple(rated_environment(name) for name in self.environments)

    @functools.cached_property
    def trainer(self) -> ActorCritic:
        """How agents learn."""
        environments = EnvironmentSet(tuple(rated.environment for rated in self.rated_environments))
        return ActorCritic(
            environments, self.hidden, self.copies, self.rollout, EPOCHS, MINIBATCHES, self.learning_rate
        )

    @abc.abstractmethod
    def drift(self, omega: Omega, ratio: jax.Array, advantage: jax.Array) -> jax.Array:
        """Return the drift of ratios and advantages, ``[B]`` each; what is negative counts as 0."""

    def valid_drift(self, omega: Omega, ratio: jax.Array, advantage: jax.Array) -> jax.Array:
        """Return the drift ``[B]`` as it is used: never negative, and where it is 0 its derivative is 0 too."""
        return jnp.maximum(self.drift(omega, ratio, advantage) - NEARLY_ZERO, 0.0)

    def shifted(self) -> dict[str, typing.Self]:
        """Environments that need no other package; wider networks."""
        others = dataclasses.replace(self, environments=("navigation", "cart-pole-swing-up"))
        wider = dataclasses.replace(self, hidden=tuple(2 * width for width in self.hidden))
        return {"other environments": others, "wider networks": wider}

    def sample_task(self, key: Key) -> Key:
        """Return the key of all that is drawn."""
        return key

    def init(self, key: Key, omega: Omega, task: Key) -> ActorCriticLearner:
        """Return an untrained agent for each environment, leading axis E."""
        begun: ActorCriticLearner = self._each(lambda number: self.trainer.begin(number, task))
        return begun

    def step(self, key: Key, omega: Omega, task: Key, learner: ActorCriticLearner) -> ActorCriticLearner:
        """Act and learn once in each environment."""
        drift = functools.partial(self.valid_drift, omega)
        updated: ActorCriticLearner = self._each(
            lambda number, one: self.trainer.update(number, key, one, drift), learner
        )
        return updated

    def loss(self, key: Key, omega: Omega, task: Key, learner: ActorCriticLearner) -> Scalar:
        """Return the mean rating."""
        return jnp.mean(self.ratings(key, learner))

    def ratings(self, key: Key, learner: ActorCriticLearner) -> jax.Array:
        """Return the rating of the agent of each environment, ``[E]``."""
        returns = self._each(lambda number, one: self.trainer.score(number, key, one, self.episodes), learner)
        untrained, good = np.array([rated[1:] for rated in self.rated_environments], np.float32).T
        return jnp.asarray((returns - untrained) / (good - untrained))

    def _each(self, function: Callable[..., Any], *given: Any) -> Any:
        """Return ``function(number, ...)`` of each environment, one after the other: the program holds it once."""
        return jax.lax.map(lambda each: function(*each), (jnp.arange(len(self.environments)), *given))
