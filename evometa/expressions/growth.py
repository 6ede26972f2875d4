"""Random trees of a given type within a size and a depth limit; every draw is a valid tree.

A tree is grown in prefix order with a stack of the inputs that are still missing. A code is allowed at a place only if
the smallest possible trees for its own inputs and for all inputs on the stack still fit. So no draw is rejected, and
many trees can be grown in one batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.expressions.primitives import MAX_ARITY, PADDING, PrimitiveSet
from evometa.expressions.tree import Tree
from evometa.types import Scalar


def grow(
    uniforms: jax.Array,
    primitives: PrimitiveSet,
    length: int,
    *,
    type_: Scalar | int,
    max_size: Scalar | int,
    max_depth: Scalar | int,
    depth: Scalar | int,
    full: Scalar | bool,
) -> Tree:
    """Grow a random tree by Koza's (1992) "full" or "grow" method.

    Args:
        uniforms: draws from the uniform distribution on [0, 1), ``[2 L]``.
        primitives: the primitive set.
        length: the length L of the tree's arrays.
        type_: index of the type of its root, in ``primitives.types``.
        max_size: nodes at most; not below the size of the smallest tree of that type.
        max_depth: depth at most; not below the depth of the shallowest tree of that type.
        depth: the depth to grow to; branches that reach it end in the shallowest way that fits.
        full: True: all nodes above ``depth`` have inputs, where the limits allow it ("full"). False: only the root must
            have, others are drawn from all codes that fit ("grow").
    """
    sizes, depths = minimum_sizes(primitives)
    results, arities, inputs = (jnp.asarray(t) for t in (primitives.results, primitives.arities, primitives.inputs))
    smallest = jnp.asarray(np.minimum(primitives.least_sizes, length + 1), jnp.int32)
    slots = jnp.arange(MAX_ARITY)

    def add_node(place: Scalar, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        op, types, levels, height, reserved = carry
        top = jnp.maximum(height - 1, 0)
        wanted, level, growing = types[top], levels[top], height > 0
        available = max_size - place - (reserved - smallest[wanted])
        fits = (results == wanted) & primitives.drawable & (sizes <= available) & (level + depths <= max_depth)
        inner = fits & (arities > 0)
        shallowest = fits & (depths == jnp.min(jnp.where(fits, depths, length)))
        above = jnp.where(inner.any() & (jnp.asarray(full) | (level == 0)), inner, fits)
        code = choose_allowed(uniforms[place], jnp.where(level < depth, above, shallowest))
        # Push the inputs on the stack, the first one on top.
        arity = jnp.where(growing, arities[code], 0)
        where = jnp.where(slots < arity, top + arity - 1 - slots, types.shape[0])
        added = jnp.sum(jnp.where(slots < arity, smallest[inputs[code]], 0), dtype=jnp.int32)
        reserved = jnp.where(growing, reserved - smallest[wanted] + added, 0)
        return (
            op.at[place].set(jnp.where(growing, code, PADDING)),
            types.at[where].set(inputs[code], mode="drop"),
            levels.at[where].set(level + 1, mode="drop"),
            jnp.where(growing, top + arity, 0),
            reserved,
        )

    type_ = jnp.asarray(type_, jnp.int32)
    stack = jnp.zeros(length + MAX_ARITY, jnp.int32)
    start = (jnp.full(length, PADDING, jnp.int32), stack.at[0].set(type_), stack, jnp.int32(1), smallest[type_])
    op = jax.lax.fori_loop(0, length, add_node, start)[0]
    return Tree(op, jnp.where(op == primitives.constant, sample_constants(uniforms[length:], primitives), 0.0))


def minimum_sizes(primitives: PrimitiveSet) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return, for each code, the smallest size and the smallest depth of a tree with that code at its root."""
    children = [primitives.inputs[code, :arity] for code, arity in enumerate(primitives.arities)]
    size = [1 + sum(int(primitives.least_sizes[t]) for t in types) for types in children]
    depth = [max((1 + int(primitives.least_depths[t]) for t in types), default=0) for types in children]
    return np.array(size, np.int32), np.array(depth, np.int32)


def sample_constants(uniforms: jax.Array, primitives: PrimitiveSet) -> jax.Array:
    """Turn uniform draws into constants, distributed as ``primitives.ephemeral`` says."""
    ephemeral = primitives.ephemeral
    if isinstance(ephemeral, tuple):
        return jnp.asarray(ephemeral, uniforms.dtype)[(uniforms * len(ephemeral)).astype(jnp.int32)]
    inside = jnp.maximum(2 * uniforms - 1, jnp.nextafter(jnp.asarray(-1, uniforms.dtype), 0))
    normal: jax.Array = 2**0.5 * jax.lax.erf_inv(inside)
    return (ephemeral or 0.0) * normal


def choose_allowed(uniform: jax.Array, allowed: jax.Array) -> jax.Array:
    """Return the index of one of the allowed entries of the last axis, all equally likely; 0 where none is allowed.

    Args:
        uniform: draws from the uniform distribution on [0, 1), ``[...]``.
        allowed: bool ``[..., N]``.
    """
    count = jnp.cumsum(allowed, axis=-1, dtype=jnp.int32)
    total = count[..., -1]
    nth = jnp.minimum((uniform * total).astype(jnp.int32), total - 1)
    return jnp.argmax(count > nth[..., None], axis=-1).astype(jnp.int32)
