"""Policies for the environments of Gymnasium, in plain Python: MuJoCo and whatever else has its interface.

Branch of meta-learning: black-box learners. There is no inner loop and no differentiation.
"""

import dataclasses
import difflib
import functools
from typing import Any, ClassVar

import numpy as np

from evometa.card import ProblemCard, Recipe
from evometa.environments import Agent, Policy, actions_of
from evometa.errors import ConfigurationError
from evometa.problem import Evaluation, HostProblem
from evometa.problems.control.policy_search import HasPolicy
from evometa.settings import Count
from evometa.types import Omega


@dataclasses.dataclass(frozen=True)
class GymnasiumPolicy(HasPolicy, HostProblem):
    """Find the weights of a policy for an environment of Gymnasium, by plain Python in worker processes.

    ω holds the weights. The fitness, to be maximised, is the return of an episode, averaged over ``num_tasks``
    episodes. Each worker keeps one environment and resets it with a seed of the search. Needs
    ``pip install "evometa[gymnasium]"``, which brings MuJoCo.

    Result (``benchmarks/control.py HalfCheetah-v5``): a linear policy for HalfCheetah-v5 has mean returns of 5,045,
    5,722 and 3,560 after 10 minutes on one core.

    Args:
        name: a name that ``gymnasium.make`` knows, such as "HalfCheetah-v5".
        num_tasks: episodes that an evaluation averages.
        limit: the time limit in steps; None: the environment's own.
        hidden: width of each hidden layer of the policy; without any it is linear.
        recurrent: whether the one hidden layer is a gated recurrent unit, which remembers within the episode.
        normalize: whether observations are given in standard deviations from their mean, both as the agent has
            experienced them since its episode began.

    Raises:
        ConfigurationError: Gymnasium is not installed, cannot make the environment, or its actions are neither
            discrete nor a bounded vector, or its observations no array of numbers.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("steps",)
    card: ClassVar[ProblemCard] = ProblemCard(
        branch="control",
        omega="weights of a policy",
        learner="none",
        paper="Towers et al. 2024",
        recipe=Recipe(
            "OpenAIES",
            {"population_size": 32, "sigma": 0.05, "learning_rate": 0.02, "shaping": "pair_difference"},
            {"seconds": 120},
        ),
    )

    name: str = "CartPole-v1"
    limit: Count | None = None
    num_tasks: Count = dataclasses.field(default=1, kw_only=True)
    hidden: tuple[Count, ...] = dataclasses.field(default=(), kw_only=True)
    normalize: bool = dataclasses.field(default=True, kw_only=True)

    @property
    def policy(self) -> Policy:
        """The network whose weights are searched."""
        environment = _make(self.name, self.limit)
        size = int(np.prod(environment.observation_space.shape))
        actions = actions_of(f"{self.name} of Gymnasium", environment.action_space)
        return Policy(size, actions, self.hidden, self.recurrent)

    def evaluate(self, rng: np.random.Generator, omega: Omega) -> Evaluation:
        """Play one episode."""
        policy, environment = self.policy, _make(self.name, self.limit)
        agent = Agent.new(policy, normalize=self.normalize)
        observation, _ = environment.reset(seed=int(rng.integers(2**31)))
        total, steps, over = 0.0, 0, False
        while not over:
            seen = np.asarray(observation, np.float32).ravel()
            action, agent = agent.act(policy, omega, seen)
            action = action.reshape(environment.action_space.shape).astype(environment.action_space.dtype)
            observation, reward, terminated, truncated, _ = environment.step(action)
            total, steps, over = total + float(reward), steps + 1, bool(terminated or truncated)
        return Evaluation(total, {"steps": steps})

    def evaluate_test(self, rng: np.random.Generator, omega: Omega) -> Evaluation:
        """Play one episode with another start than any of the search."""
        return self.evaluate(rng, omega)


@functools.cache
def _make(name: str, limit: int | None) -> Any:
    """Return this process's environment of a name."""
    try:
        import gymnasium  # an optional dependency
    except ImportError as error:
        raise ConfigurationError(
            f"The environments of Gymnasium need the package gymnasium ({error}); install it with "
            'pip install "evometa[gymnasium]".'
        ) from error
    try:
        environment = gymnasium.make(name, max_episode_steps=limit)
    except gymnasium.error.UnregisteredEnv as error:
        near = difflib.get_close_matches(name, gymnasium.registry, n=1, cutoff=0.0)
        raise ConfigurationError(f"Gymnasium has no environment {name!r}; the nearest name is {near[0]!r}.") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise ConfigurationError(f"Gymnasium cannot make the environment {name!r}: {error}") from error
    if environment.spec is None or environment.spec.max_episode_steps is None:
        raise ConfigurationError(
            f"Episodes of {name} have no time limit and might never end; give one, such as limit=1000."
        )
    if not isinstance(environment.observation_space, gymnasium.spaces.Box):
        raise ConfigurationError(
            f"A policy needs observations that are an array of numbers (a Box of Gymnasium), and {name} has "
            f"{environment.observation_space}."
        )
    return environment
