"""Feed-forward networks of any topology, stored as two weight matrices."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Scalar

STEEPNESS = 4.9
"""Slope of the sigmoid of all nodes, as in Stanley & Miikkulainen 2002."""


class Network(NamedTuple):
    """A network of I inputs, a bias, at most H hidden nodes and O outputs, decoded from a ``Topology``."""

    hidden: jax.Array
    """``[H, I + 1 + H]``, the weights into the hidden nodes, in the order in which these are computed."""
    output: jax.Array
    """``[O, I + 1 + H]``, the weights into the outputs."""
    nodes: Scalar
    """The number of hidden nodes, int32."""

    def run(self, inputs: jax.Array) -> jax.Array:
        """Return the outputs ``[O]``, from 0 to 1, for inputs ``[I]``."""
        max_hidden, columns = self.hidden.shape
        hidden = jnp.asarray(self.hidden)
        first = columns - max_hidden
        start = jnp.concatenate([inputs, jnp.ones(1, inputs.dtype), jnp.zeros(max_hidden, inputs.dtype)])

        def node(number: jax.Array, values: jax.Array) -> jax.Array:
            return values.at[first + number].set(_activation(hidden[number] @ values))

        # One iteration for each existing node: most networks are far smaller than the largest.
        values = jax.lax.fori_loop(0, self.nodes, node, start) if max_hidden else start
        return _activation(self.output @ values)


def _activation(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(STEEPNESS * x)
