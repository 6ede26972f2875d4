"""Optimizers of vectors that are split over devices."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from evometa.backend.entrywise import is_entrywise
from evometa.backend.slices import Place, Sliced


def in_slices(made: optax.GradientTransformation, over: Sliced) -> optax.GradientTransformation:
    """Return a transformation of vectors ``[D]`` that each device applies to its slices, if it works entry by entry.

    Another one is applied to the whole, by every device.
    """

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(state)
        long = [leaf.ndim == 1 and len(leaf) == over.length for leaf in leaves]

        def joined(numbers: list[Any], vectors: list[Any]) -> Any:
            """Return a state of the numbers in this one and of other vectors."""
            numbers, vectors = [*numbers], [*vectors]
            return jax.tree.unflatten(structure, [(vectors if own else numbers).pop(0) for own in long])

        def parts(state: Any) -> tuple[list[Any], list[Any]]:
            both = list(zip(jax.tree.leaves(state), long, strict=True))
            return [leaf for leaf, own in both if not own], [leaf for leaf, own in both if own]

        def entries(_: Place, numbers: Any, vectors: Any) -> Any:
            gradient, params, own = vectors
            step, after = made.update(gradient, joined(numbers, own), params)
            return step, parts(after)[1]

        numbers, vectors = parts(state)
        few = jax.ShapeDtypeStruct((7,), gradient.dtype)
        shorter = joined(numbers, [jax.ShapeDtypeStruct(few.shape, leaf.dtype) for leaf in vectors])
        if not is_entrywise(made.update, few, shorter, few):
            found: tuple[Any, Any] = over.whole(made.update(*over.whole((gradient, state, params))))
            return found
        step, vectors = over.each(entries, numbers, (gradient, params, vectors))
        one = jnp.zeros(1, gradient.dtype)
        _, after = made.update(one, joined(numbers, [jnp.zeros(1, leaf.dtype) for leaf in vectors]), one)
        return step, joined(parts(after)[0], vectors)

    return optax.GradientTransformation(made.init, update)
