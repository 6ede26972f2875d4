"""Policies for the environments of gymnax, which step inside the compiled program.

Branch of meta-learning: black-box learners. There is no inner loop and no differentiation.
"""

import dataclasses
from typing import ClassVar

from evometa.card import ProblemCard, Recipe
from evometa.environments import Gymnax
from evometa.problems.control.policy_search import PolicySearch
from evometa.settings import Count


@dataclasses.dataclass(frozen=True)
class GymnaxPolicy(PolicySearch):
    """Find the weights of a policy for an environment of gymnax.

    Paper: Lange, "gymnax: a JAX-based reinforcement learning environment library", 2022.

    Args:
        name: a name that ``gymnax.make`` knows, such as "CartPole-v1" or "Pendulum-v1".
        limit: the time limit in steps; None: the environment's own.

    Raises:
        ConfigurationError: gymnax is not installed, has no such environment, or the actions are neither discrete nor
            a bounded vector.
    """

    card: ClassVar[ProblemCard] = ProblemCard(
        branch="control",
        omega="weights of a policy",
        learner="none",
        paper="Lange 2022",
        recipe=Recipe("PGPE", {"population_size": 64}, {"seconds": 60}),
    )

    name: str = "CartPole-v1"
    limit: Count | None = None

    @property
    def environment(self) -> Gymnax:
        """The environment of that name."""
        return Gymnax(self.name, self.limit)
