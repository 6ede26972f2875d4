"""A feed-forward network of any topology, as two matrices."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Scalar

STEEPNESS = 4.9
"""Of the sigmoid at all nodes, as Stanley & Miikkulainen 2002 have it."""


class Network(NamedTuple):
    """A network of I inputs, a bias, at most H hidden nodes and O outputs; what a ``Topology`` decodes to."""

    hidden: jax.Array
    """``[H, I + 1 + H]``, weights into the hidden nodes, which are in the order in which they are computed."""
    output: jax.Array
    """``[O, I + 1 + H]``, weights into the outputs."""
    nodes: Scalar
    """How many hidden nodes there are, int32."""

    def run(self, inputs: jax.Array) -> jax.Array:
        """Return the outputs ``[O]``, from 0 to 1, for inputs ``[I]``."""
        most, columns = self.hidden.shape
        hidden = jnp.asarray(self.hidden)
        first = columns - most
        start = jnp.concatenate([inputs, jnp.ones(1, inputs.dtype), jnp.zeros(most, inputs.dtype)])

        def node(number: jax.Array, values: jax.Array) -> jax.Array:
            return values.at[first + number].set(_activation(hidden[number] @ values))

        # As many rounds as there are nodes: most networks are far smaller than the largest.
        values = jax.lax.fori_loop(0, self.nodes, node, start) if most else start
        return _activation(self.output @ values)


def _activation(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(STEEPNESS * x)
