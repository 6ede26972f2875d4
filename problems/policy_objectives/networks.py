"""Actor and critic as one vector of weights, and the actor's distribution over actions."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.environments import Continuous, Policy
from evometa.problems.policy_objectives.environment_set import EnvironmentSet
from evometa.types import Key, Scalar

IMPOSSIBLE = -1e9
"""The preference for an action that an environment does not have."""
LOG_DEVIATION = -0.5
"""The logarithm of the standard deviation of actions that are vectors, before an agent has learnt."""


@dataclasses.dataclass(frozen=True)
class Networks:
    """A network of tanh units for the actor and another for the critic, of the same shape.

    Their weights are one vector, since a program compiles several times as long where each layer is drawn and changed
    by itself. What depends on the environment depends on its number, which may be traced.

    Args:
        environments: where the agent acts; actions are discrete, or vectors with a Gaussian distribution before they
            are scaled to their bounds.
        hidden: width of each hidden layer.
    """

    environments: EnvironmentSet
    hidden: tuple[int, ...]

    def draw(self, number: int | Scalar, key: Key) -> jax.Array:
        """Draw weights ``[W]`` of variance 1 / inputs, a hundredth of that in the last layers; biases are 0."""
        outputs = self.environments.outputs
        deviations = np.stack([_flat(self._deviations(size)) for size in self.environments.observation_sizes])
        start = np.append(np.zeros(deviations.shape[1] - outputs), np.full(outputs, LOG_DEVIATION))
        noise = jax.random.normal(key, start.shape, jnp.float32)
        return jnp.asarray(start, jnp.float32) + jnp.asarray(deviations)[number] * noise

    def run(self, weights: jax.Array, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the actor's outputs ``[A]`` and the critic's value of an observation ``[O]``."""
        networks, _ = self._unpack(weights)
        both = jax.vmap(lambda own: self._policy.run(own, self._policy.memory(), observation)[0])(networks)
        return both[0], both[1, 0]

    def noise(self, number: int | Scalar, bits: jax.Array) -> jax.Array:
        """Return what decides between actions, ``[A]``, of random bits, uint32: Gumbel's noise, for vectors Gauss's."""
        uniform = (bits >> 9).astype(jnp.float32) * 2.0**-23 + 2.0**-24  # neither 0 nor 1
        gaussian = math.sqrt(2) * jax.lax.erf_inv(2 * uniform - 1)
        return jnp.where(self._discrete(number), -jnp.log(-jnp.log(uniform)), gaussian)

    def choose(self, weights: jax.Array, number: Any, outputs: Any, noise: Any) -> tuple[jax.Array, jax.Array]:
        """Draw an action from the actor's outputs ``[A]``, and return the logarithm of its density.

        A discrete action is drawn as a 1 at its place, a vector before it is scaled to its bounds.
        """
        noisy = jnp.where(self._used(number), outputs + noise, IMPOSSIBLE)
        chosen = jax.nn.one_hot(jnp.argmax(noisy), self.environments.outputs)
        vector = outputs + jnp.exp(self._unpack(weights)[1]) * noise
        drawn = jnp.where(self._discrete(number), chosen, vector)
        return drawn, self.density(weights, number, outputs, drawn)[0]

    def density(self, weights: jax.Array, number: Any, outputs: Any, drawn: Any) -> tuple[Scalar, Scalar]:
        """Return the logarithm of the density of what was drawn, and the entropy; both up to a constant."""
        used, discrete = self._used(number), self._discrete(number)
        logs = jax.nn.log_softmax(jnp.where(used, outputs, IMPOSSIBLE))
        log_deviation = self._unpack(weights)[1]
        gaussian = -(((drawn - outputs) * jnp.exp(-log_deviation)) ** 2) / 2 - log_deviation
        density = jnp.where(discrete, drawn * logs, gaussian)
        entropy = jnp.where(discrete, -jnp.exp(logs) * logs, log_deviation)
        return jnp.sum(jnp.where(used, density, 0.0)), jnp.sum(jnp.where(used, entropy, 0.0))

    def _used(self, number: int | Scalar) -> jax.Array:
        return jnp.asarray(self.environments.used)[number]

    def _discrete(self, number: int | Scalar) -> jax.Array:
        return jnp.asarray(self.environments.discrete)[number]

    @property
    def _policy(self) -> Policy:
        actions = Continuous((0.0,) * self.environments.outputs, (1.0,) * self.environments.outputs)
        return Policy(self.environments.observation_size, actions, self.hidden)

    def _deviations(self, observed: int) -> tuple[Any, NDArray[Any]]:
        """Return the standard deviations of initial weights of both networks, and of ``log_deviation``."""
        sizes = (self.environments.observation_size, *self.hidden, self.environments.outputs)
        layers = {}
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            scale = (0.1 if layer == len(self.hidden) else 1.0) / math.sqrt(observed if layer == 0 else inputs)
            kernel = np.full((2, inputs, outputs), scale, np.float32)
            layers[f"layer_{layer}"] = {"kernel": kernel, "bias": np.zeros((2, outputs), np.float32)}
        return layers, np.zeros(self.environments.outputs, np.float32)

    def _unpack(self, weights: jax.Array) -> tuple[Any, jax.Array]:
        """Return the weights of both networks, leading axis 2, and logarithms of standard deviations ``[A]``."""
        leaves, structure = jax.tree.flatten(self._deviations(1))
        parts = jnp.split(weights, np.cumsum([leaf.size for leaf in leaves[:-1]]))
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        networks, log_deviation = jax.tree.unflatten(structure, shaped)
        return networks, log_deviation


def _flat(tree: Any) -> NDArray[Any]:
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])
