"""A gated recurrent unit with an output layer; float32."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Key


class GRU(NamedTuple):
    """A recurrent network of one layer (Cho et al. 2014, arXiv:1406.1078).

    The three gates share one matrix product, which is what small networks spend their time in.
    """

    inputs: int
    units: int
    outputs: int

    def draw(self, key: Key) -> dict[str, jax.Array]:
        """Draw weights of variance 1 over the number of inputs, and biases of zero."""
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
        """Return the memory ``[units]`` after the input ``[inputs]``, and the outputs ``[outputs]``."""
        seen, known = x @ weights["input"] + weights["bias"], memory @ weights["memory"]
        gates = jax.nn.sigmoid(seen[: 2 * self.units] + known[: 2 * self.units])
        reset, keep = jnp.split(gates, 2)
        proposed = jnp.tanh(seen[2 * self.units :] + reset * (known[2 * self.units :] + weights["memory_bias"]))
        memory = keep * memory + (1 - keep) * proposed
        return memory, memory @ weights["output"] + weights["output_bias"]
