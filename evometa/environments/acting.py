"""A found policy by itself, as a function from observations to actions."""

from typing import Any

import numpy as np

from evometa.environments.playing import Agent
from evometa.environments.policy import Policy
from evometa.errors import ConfigurationError


class ActingPolicy:
    """A policy with its weights: ``action = policy(observation)``.

    Call :meth:`reset` at the start of each episode: a recurrent policy forgets then, and one that normalises its
    observations begins their statistics anew, as in the search.

    Args:
        policy: the network.
        weights: its weights.
        normalize: whether observations are given in standard deviations from their mean since the episode began.
    """

    def __init__(self, policy: Policy, weights: Any, *, normalize: bool = False) -> None:
        self.policy, self.weights, self.normalize = policy, weights, normalize
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._agent = Agent.new(self.policy, normalize=self.normalize)

    def __call__(self, observation: Any) -> Any:
        """Return the action after an observation of O numbers: an int32, or an array ``[A]``."""
        seen = np.asarray(observation, np.float32).ravel()
        if len(seen) != self.policy.observations:
            raise ConfigurationError(
                f"The policy expects observations of {self.policy.observations} numbers, got {len(seen)}."
            )
        action, self._agent = self._agent.act(self.policy, self.weights, seen)
        return np.asarray(action)[()]
