"""Found optimizers as those of optax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evometa.errors import ConfigurationError
from evometa.types import Scalar


class FoundState(NamedTuple):
    """The state of a found optimizer: what it remembers of N weights, and the number of steps."""

    memory: Any
    steps: Scalar


def transformation(
    begin: Callable[[int], Any], change: Callable[[Any, jax.Array, jax.Array, list[int], Scalar], tuple[jax.Array, Any]]
) -> optax.GradientTransformation:
    """Return an optimizer of any pytree of weights, from one of vectors; computed in float32.

    Args:
        begin: from N, what is remembered before the first step.
        change: from memory, gradient ``[N]``, weights ``[N]``, where each tensor but the last ends in them, and the
            number of steps before this one, to what is added to the weights and the memory after.
    """

    def init(params: Any) -> FoundState:
        return FoundState(begin(sum(np.size(leaf) for leaf in jax.tree.leaves(params))), jnp.int32(0))

    def update(updates: Any, state: FoundState, params: Any = None) -> tuple[Any, FoundState]:
        if params is None:
            raise ConfigurationError(
                "A found optimizer expects the weights: optimizer.update(gradients, state, params)."
            )
        leaves, structure = jax.tree.flatten(params)
        ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1].tolist()
        added, memory = change(state.memory, _flat(updates), _flat(params), ends, state.steps)
        parts = jnp.split(added, ends)
        steps = [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, steps), FoundState(memory, state.steps + 1)

    return optax.GradientTransformation(init, update)


def _flat(tree: Any) -> jax.Array:
    return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(tree)])
