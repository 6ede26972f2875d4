"""Policies: networks from observations to actions."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.environments.arrays import library
from evometa.environments.environment import Continuous, Discrete
from evometa.environments.gru import GRU
from evometa.errors import ConfigurationError
from evometa.types import Key


@dataclasses.dataclass(frozen=True)
class Policy:
    """A network from observations to the actions of an environment; float32.

    Its methods take arrays of numpy as well as those of JAX, for environments in plain Python.

    Args:
        observations: O, how many numbers an observation has.
        actions: what the actions are.
        hidden: width of each hidden layer, of tanh units; without any, the policy is linear.
        recurrent: whether the hidden layer, then only one, is a gated recurrent unit, which remembers.

    Raises:
        ConfigurationError: a recurrent policy with another number of hidden layers than one.
    """

    observations: int
    actions: Discrete | Continuous
    hidden: tuple[int, ...] = ()
    recurrent: bool = False

    def __post_init__(self) -> None:
        if self.recurrent and len(self.hidden) != 1:
            raise ConfigurationError(
                f"A recurrent policy has one hidden layer, such as hidden=(32,), got hidden={self.hidden}."
            )

    def draw(self, key: Key) -> dict[str, Any]:
        """Draw weights of variance 1 / inputs, a hundredth of that in the last layer, and biases of zero."""
        if self.recurrent:
            return self._gru.draw(key)
        sizes = list(itertools.pairwise((self.observations, *self.hidden, self.actions.outputs)))
        weights = {}
        for number, (k, (inputs, outputs)) in enumerate(zip(jax.random.split(key, len(sizes)), sizes, strict=True)):
            scale = (0.1 if number == len(sizes) - 1 else 1.0) / math.sqrt(inputs)
            kernel = scale * jax.random.normal(k, (inputs, outputs), jnp.float32)
            weights[f"layer_{number}"] = {"kernel": kernel, "bias": jnp.zeros(outputs, jnp.float32)}
        return weights

    def memory(self) -> jax.Array:
        """Return the memory at the start of an episode, zeros; empty without recurrence."""
        return jnp.zeros(self.hidden[0] if self.recurrent else 0, jnp.float32)

    def run(self, weights: Any, memory: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the network's outputs for an observation ``[O]``, and the memory after it."""
        if self.recurrent:
            memory, outputs = self._gru.run(weights, memory, observation)
            return outputs, memory
        for number in range(len(self.hidden) + 1):
            layer = weights[f"layer_{number}"]
            observation = observation @ layer["kernel"] + layer["bias"]
            if number < len(self.hidden):
                observation = library(observation).tanh(observation)
        return observation, memory

    def choose(self, outputs: jax.Array) -> jax.Array:
        """Return the action that the outputs prefer: the largest, or tanh of each scaled to its bounds."""
        if isinstance(self.actions, Discrete):
            preferred: jax.Array = library(outputs).argmax(outputs).astype(np.int32)
            return preferred
        low, high = self._bounds(self.actions)
        action: jax.Array = low + (high - low) * (library(outputs).tanh(outputs) + 1) / 2
        return action

    @staticmethod
    def _bounds(actions: Continuous) -> tuple[Any, Any]:
        return np.asarray(actions.low, np.float32), np.asarray(actions.high, np.float32)

    @property
    def _gru(self) -> GRU:
        return GRU(self.observations, self.hidden[0], self.actions.outputs)
