"""The objective of reinforcement learning as a formula, found by genetic programming.

Branch of meta-learning: losses, for reinforcement learning. ω is the drift function that keeps an updated policy near
the old one; every candidate really trains agents with it.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.expressions import Expression, PrimitiveSet, Program
from evometa.problems.policy_objectives.objective_pictures import drift_pictures
from evometa.problems.policy_objectives.policy_objective import PolicyObjective
from evometa.settings import Count
from evometa.types import Key

PPO = "mul(sub(ratio, min(max(ratio, 0.8), 1.2)), advantage)"
"""The drift of PPO (Schulman et al. 2017), as an expression of the space."""
DPO = (
    "if_then_else(less(advantage, 0.0), "
    "sub(mul(log(ratio), advantage), mul(0.6, tanh(div(mul(log(ratio), advantage), 0.6)))), "
    "sub(mul(sub(ratio, 1.0), advantage), mul(2.0, tanh(div(mul(sub(ratio, 1.0), advantage), 2.0)))))"
)
"""The drift that Lu et al. 2022 found (equation 8), as an expression of the space."""


@dataclasses.dataclass(frozen=True)
class LearnedPolicyObjective(PolicyObjective):
    """Find the drift function, as a formula, with which agents learn best by their policy's gradient.

    ω is an expression of ``ratio``, the new over the old probability of an action, and ``advantage``, how much better
    than expected the action was; what is negative counts as 0. An agent ascends the mean of
    ratio · advantage - drift: with :data:`PPO`, where a search starts, that is PPO's clipped objective. Each candidate
    trains an actor-critic agent in each of the environments, for ``inner_steps`` updates of 64 steps in 16 copies of an
    environment. Fitness, to be maximised, is the mean rating of the trained agents: 0 for the mean return of an
    untrained agent, 1 for that of a good one. The shifted problem has environments that a search never met.

    Paper: Lu et al., "Discovered policy optimisation", NeurIPS 2022, who found a drift as a network by an evolution
    strategy and read DPO from it; Houthooft et al., "Evolved policy gradients", NeurIPS 2018, for the idea. Their
    environments and budgets are far larger. Measured by ``benchmarks/policy_objectives.py --agents 40``, 3 searches of
    240 seconds, ratings beside PPO with clipping range and learning rate tuned in the same two environments: there 0.84
    and 0.60; held out, swing-up 0.44 and 0.29, Reacher 0.64 and 0.59, navigation -0.93 and -0.83, Acrobot 0.80 and
    0.95.

    Args:
        environments: names of the environments: "navigation" (with a visible goal) and "cart-pole-swing-up", and of
            gymnax "CartPole-v1", "Pendulum-v1", "Acrobot-v1" and "Reacher-misc".
        learning_rate: of the agents' optimizer Adam, positive.
        hidden: width of each hidden layer of actor and critic.
        copies: copies of an environment in which an agent acts at once.
        rollout: steps in each before an update.
        episodes: new episodes in which a trained agent is rated.
        max_size: maximum number of nodes of an expression.
        start: text of the expression a search starts from; None: all are random.

    Raises:
        ConfigurationError: an unknown environment, or an update's steps do not divide into 4 minibatches.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="losses",
        omega="a formula of probability ratio and advantage",
        learner="actor-critic agents",
        paper="Lu et al. 2022; Houthooft et al. 2018",
        recipe=Recipe("GeneticProgramming", {"population_size": 32}, {"seconds": 240}),
    )

    max_size: Count = 40
    start: str | None = PPO

    @property
    def space(self) -> Expression:
        """Expressions, compared by their derivative with respect to the ratio."""
        ratios, advantages = np.meshgrid(np.exp(np.linspace(-1.0, 1.0, 16)), np.array([-2.0, -0.7, 0.7, 2.0]))
        return Expression(
            PrimitiveSet(("ratio", "advantage")),
            self.max_size,
            start=self.start,
            differentiated=("ratio",),
            points=(ratios.ravel(), advantages.ravel()),
        )

    def drift(self, omega: Program, ratio: jax.Array, advantage: jax.Array) -> jax.Array:
        """Return the expression's value."""
        return omega(ratio, advantage)

    def pictures(self, key: Key, omega: Program) -> dict[str, Any]:
        """Draw the gradient of the objective beside that of PPO and DPO."""
        return drift_pictures(self, omega)
