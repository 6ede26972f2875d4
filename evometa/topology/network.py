"""Networks of any topology, stored as weight matrices: feed-forward ones, and those with links back in time."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from evometa.types import Scalar

STEEPNESS = 4.9
"""Slope of the sigmoid of all nodes, as in Stanley & Miikkulainen 2002."""

OutputActivation = Literal["sigmoid", "tanh", "identity"]
"""What the output nodes make of the sum that reaches them."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Output:
    """The activation of the output nodes, a static part of a network."""

    activation: OutputActivation = "sigmoid"

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the outputs for the sums ``x`` that reach them."""
        if self.activation == "identity":
            return x
        # The same curve from -1 to 1, and from 0 to 1.
        return jnp.tanh(STEEPNESS / 2 * x) if self.activation == "tanh" else _activation(x)


class Network(NamedTuple):
    """A network of I inputs, a bias, at most H hidden nodes and O outputs, decoded from a ``Topology``."""

    hidden: jax.Array
    """``[H, I + 1 + H]``, the weights into the hidden nodes, in the order in which these are computed."""
    output: jax.Array
    """``[O, I + 1 + H]``, the weights into the outputs."""
    nodes: Scalar
    """The number of hidden nodes, int32."""
    activation: Output = Output()
    """Of the outputs."""

    def run(self, inputs: jax.Array) -> jax.Array:
        """Return the outputs ``[O]`` for inputs ``[I]``; from 0 to 1 with the sigmoid."""
        values = _values(self.hidden, self.nodes, inputs)
        return self.activation(self.output @ values)


class RecurrentNetwork(NamedTuple):
    """A network that is run step after step, with links that carry values of the step before.

    Decoded from a ``Topology`` with ``recurrent`` above 0.
    """

    hidden: jax.Array
    """``[H, I + 1 + H]``, as in :class:`Network`: links within a step."""
    output: jax.Array
    """``[O, I + 1 + H]``, likewise."""
    hidden_back: jax.Array
    """``[H, H + O]``, the weights into the hidden nodes from hidden nodes and outputs of the step before."""
    output_back: jax.Array
    """``[O, H + O]``, the weights into the outputs, likewise."""
    nodes: Scalar
    """The number of hidden nodes, int32."""
    activation: Output = Output()
    """Of the outputs."""

    def start(self) -> jax.Array:
        """Return the memory before the first step, ``[H + O]`` zeros."""
        return jnp.zeros(self.output_back.shape[1], self.output.dtype)

    def step(self, memory: jax.Array, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the memory ``[H + O]`` after a step with inputs ``[I]``, and the outputs ``[O]``."""
        values = _values(self.hidden, self.nodes, inputs, self.hidden_back @ memory)
        total = self.output @ values + self.output_back @ memory
        outputs = self.activation(total)
        return jnp.concatenate([values[len(values) - len(self.hidden) :], outputs]), outputs


def _values(hidden: jax.Array, nodes: Scalar, inputs: jax.Array, remembered: jax.Array | None = None) -> jax.Array:
    """Return the values of inputs, bias and hidden nodes ``[I + 1 + H]``.

    Args:
        hidden: ``[H, I + 1 + H]``, the weights into the hidden nodes.
        nodes: how many of these there are.
        inputs: ``[I]``.
        remembered: what links from the step before add to each hidden node, ``[H]``.
    """
    max_hidden, columns = hidden.shape
    hidden = jnp.asarray(hidden)
    first = columns - max_hidden
    start = jnp.concatenate([inputs, jnp.ones(1, inputs.dtype), jnp.zeros(max_hidden, inputs.dtype)])

    def node(number: jax.Array, values: jax.Array) -> jax.Array:
        total = hidden[number] @ values
        return values.at[first + number].set(_activation(total if remembered is None else total + remembered[number]))

    # One iteration for each existing node: most networks are far smaller than the largest.
    return jax.lax.fori_loop(0, nodes, node, start) if max_hidden else start


def _activation(x: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(STEEPNESS * x)
