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


def told_transformation(
    begin: Callable[[dict[str, jax.Array]], Any], change: Callable[[Any, dict[str, jax.Array], Scalar], Any]
) -> optax.GradientTransformationExtraArgs:
    """Return an optimizer of any pytree of weights that is told the loss, from one of tensors by their paths.

    It is computed in float32. What it remembers is a NamedTuple with the ``weights`` among its fields.

    Args:
        begin: from the weights, what is remembered before the first step.
        change: from that, the gradient and the loss to what is remembered after the step, the new weights among it.
    """

    def init(params: Any) -> Any:
        return begin(_named(params))._replace(weights=())  # which the caller keeps

    def update(updates: Any, state: Any, params: Any = None, *, value: Any = None, **others: Any) -> tuple[Any, Any]:
        if params is None or value is None:
            raise ConfigurationError(
                "The optimizer expects the weights and the training loss: "
                "optimizer.update(gradients, state, params, value=loss)."
            )
        before = _named(params)
        after = change(state._replace(weights=before), _named(updates), jnp.asarray(value, jnp.float32))
        added = [after.weights[name] - weight for name, weight in before.items()]
        leaves, structure = jax.tree.flatten(params)
        steps = [part.astype(leaf.dtype) for part, leaf in zip(added, leaves, strict=True)]
        return jax.tree.unflatten(structure, steps), after._replace(weights=())

    return optax.GradientTransformationExtraArgs(init, update)


def _named(tree: Any) -> dict[str, jax.Array]:
    """Return the tensors of a pytree by their paths."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): jnp.asarray(leaf, jnp.float32) for path, leaf in paths
    }


def _flat(tree: Any) -> jax.Array:
    return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(tree)])
