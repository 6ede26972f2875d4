"""A gated recurrent unit with an output layer; float32."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.environments.arrays import library, sigmoid
from evometa.types import Key


class GRU(NamedTuple):
    """A GRU of one layer (Cho et al. 2014, arXiv:1406.1078).

    The three gates share one matrix product, which dominates the time of a small network.
    """

    inputs: int
    units: int
    outputs: int

    def draw(self, key: Key) -> dict[str, jax.Array]:
        """Draw weights of variance 1 / inputs, and biases of zero."""
        shapes = {
            "input": (self.inputs, 3 * self.units),
            "memory": (self.units, 3 * self.units),
            "output": (self.units, self.outputs),
        }
        weights = {
            name: jax.random.normal(k, shape, jnp.float32) / math.sqrt(shape[0])
            for k, (name, shape) in zip(jax.random.split(key, len(shapes)), shapes.items(), strict=True)
        }
        biases = {"bias": (3 * self.units,), "memory_bias": (self.units,), "output_bias": (self.outputs,)}
        return weights | {name: jnp.zeros(shape, jnp.float32) for name, shape in biases.items()}

    def run(self, weights: Any, memory: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the hidden state ``[units]`` after the input ``[inputs]``, and the outputs ``[outputs]``."""
        of_input, of_memory = x @ weights["input"] + weights["bias"], memory @ weights["memory"]
        gates = sigmoid(of_input[: 2 * self.units] + of_memory[: 2 * self.units])
        reset, keep = library(x).split(gates, 2)
        candidate = of_memory[2 * self.units :] + weights["memory_bias"]
        proposed = library(x).tanh(of_input[2 * self.units :] + reset * candidate)
        memory = keep * memory + (1 - keep) * proposed
        return memory, memory @ weights["output"] + weights["output_bias"]
