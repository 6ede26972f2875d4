"""The objective of reinforcement learning as a small network.

Branch of meta-learning: losses, for reinforcement learning. ω holds the weights of a network that changes PPO's drift
function; every candidate really trains agents with it.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.problems.policy_objectives.objective_pictures import drift_pictures
from evometa.problems.policy_objectives.policy_objective import PolicyObjective, ppo
from evometa.settings import Count
from evometa.spaces import Like
from evometa.types import Key, Omega

INPUTS = 8


@dataclasses.dataclass(frozen=True)
class LearnedPolicyObjectiveNetwork(PolicyObjective):
    """Find the drift function, as a small network, with which agents learn best by their policy's gradient.

    ω holds the weights of a network without biases of tanh units. Its inputs are x, x², log ratio and its square, where
    x is the ratio minus 1, each alone and times the advantage, as in the paper: all are 0 where old and new policy
    agree. Its output is added to PPO's drift, so that a search starts at PPO. Agents, tasks and fitness are those of
    :class:`LearnedPolicyObjective`.

    Paper: Lu et al., "Discovered policy optimisation", NeurIPS 2022, section 5; their network has more units, is found
    from nothing, and their environments and budgets are far larger. Measured by
    ``benchmarks/policy_objectives.py --agents 40``, 3 searches of 240 seconds, ratings beside PPO with clipping range
    and learning rate tuned in the same two environments: there 0.79 and 0.60; held out, swing-up 0.42 and 0.29, Reacher
    0.70 and 0.59, navigation -0.41 and -0.83, Acrobot 0.87 and 0.95.

    Args:
        environments: names of the environments: "navigation" (with a visible goal) and "cart-pole-swing-up", and of
            gymnax "CartPole-v1", "Pendulum-v1", "Acrobot-v1" and "Reacher-misc".
        learning_rate: of the agents' optimizer Adam, positive.
        hidden: width of each hidden layer of actor and critic.
        copies: copies of an environment in which an agent acts at once.
        rollout: steps in each before an update.
        episodes: new episodes in which a trained agent is rated.
        drift_hidden: hidden units of the drift network.

    Raises:
        ConfigurationError: an unknown environment, or an update's steps do not divide into 4 minibatches.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="losses",
        omega="weights of a network from probability ratio and advantage",
        learner="actor-critic agents",
        paper="Lu et al. 2022",
        recipe=Recipe("CMAES", {"population_size": 16}, {"seconds": 240}),
    )

    drift_hidden: Count = 8

    @property
    def space(self) -> Like:
        """The weights of the network; a search starts where its output is 0 for every input."""
        hidden = np.random.default_rng(0).standard_normal((INPUTS, self.drift_hidden)) / np.sqrt(INPUTS)
        return Like({"hidden": np.float32(hidden), "output": np.zeros(self.drift_hidden, np.float32)})

    def drift(self, omega: Omega, ratio: jax.Array, advantage: jax.Array) -> jax.Array:
        """Return PPO's drift plus the network's output."""
        x, log = ratio - 1, jnp.log(jnp.maximum(ratio, 1e-6))
        inputs = jnp.stack([x, x**2, log, log**2], axis=-1)
        inputs = jnp.concatenate([inputs, inputs * advantage[..., None]], axis=-1)
        change: jax.Array = jnp.tanh(inputs @ omega["hidden"]) @ omega["output"]
        return ppo(ratio, advantage) + change

    def pictures(self, key: Key, omega: Omega) -> dict[str, Any]:
        """Draw the gradient of the objective beside that of PPO and DPO."""
        return drift_pictures(self, omega)
