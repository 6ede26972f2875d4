"""Random trees that are always valid: of the type asked for, within a size and a depth.

A tree is grown in prefix order with a stack of the inputs still to come. At each place a code may be used only if what
it makes necessary, the smallest tree for each of its inputs and for all that waits on the stack, still fits. So no
draw is ever thrown away, and any number of trees is grown in one batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.expressions.primitives import MOST_INPUTS, NOTHING, PrimitiveSet
from evometa.expressions.tree import Tree
from evometa.types import Scalar


def grow(
    lots: jax.Array,
    primitives: PrimitiveSet,
    length: int,
    *,
    type_: Scalar | int,
    max_size: Scalar | int,
    max_depth: Scalar | int,
    depth: Scalar | int,
    full: Scalar | bool,
) -> Tree:
    """Grow a tree.

    Args:
        lots: uniform draws from [0, 1), ``[2 L]``.
        primitives: what it is made of.
        length: the length L of its arrays.
        type_: number of the type of its root.
        max_size: nodes at most, at least the smallest tree of that type.
        max_depth: depth at most, at least that of the shallowest tree of that type.
        depth: how deep to grow: above, nodes have inputs; from there on, the shallowest end is taken.
        full: whether all nodes above that depth have inputs, where the limits allow it (Koza's "full"); otherwise,
            below the root, only if drawn so ("grow").
    """
    sizes, depths = needs(primitives)
    results, arities, inputs = (jnp.asarray(t) for t in (primitives.results, primitives.arities, primitives.inputs))
    least = jnp.asarray(np.minimum(primitives.least_sizes, length + 1), jnp.int32)
    slots = jnp.arange(MOST_INPUTS)

    def place_one(place: Scalar, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        op, types, levels, height, owed = carry
        top = jnp.maximum(height - 1, 0)
        wanted, level, growing = types[top], levels[top], height > 0
        room = max_size - place - (owed - least[wanted])
        fits = (results == wanted) & primitives.drawable & (sizes <= room) & (level + depths <= max_depth)
        inner = fits & (arities > 0)
        closing = fits & (depths == jnp.min(jnp.where(fits, depths, length)))
        opening = jnp.where(inner.any() & (jnp.asarray(full) | (level == 0)), inner, fits)
        code = draw(lots[place], jnp.where(level < depth, opening, closing))
        # The inputs go on the stack, the first one on top.
        arity = jnp.where(growing, arities[code], 0)
        where = jnp.where(slots < arity, top + arity - 1 - slots, types.shape[0])
        made = jnp.sum(jnp.where(slots < arity, least[inputs[code]], 0), dtype=jnp.int32)
        owed = jnp.where(growing, owed - least[wanted] + made, 0)
        return (
            op.at[place].set(jnp.where(growing, code, NOTHING)),
            types.at[where].set(inputs[code], mode="drop"),
            levels.at[where].set(level + 1, mode="drop"),
            jnp.where(growing, top + arity, 0),
            owed,
        )

    type_ = jnp.asarray(type_, jnp.int32)
    stack = jnp.zeros(length + MOST_INPUTS, jnp.int32)
    start = (jnp.full(length, NOTHING, jnp.int32), stack.at[0].set(type_), stack, jnp.int32(1), least[type_])
    op = jax.lax.fori_loop(0, length, place_one, start)[0]
    return Tree(op, jnp.where(op == primitives.constant, constants(lots[length:], primitives), 0.0))


def needs(primitives: PrimitiveSet) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the least size and the least depth of a tree whose root has a code, for each code."""
    children = [primitives.inputs[code, :arity] for code, arity in enumerate(primitives.arities)]
    size = [1 + sum(int(primitives.least_sizes[t]) for t in types) for types in children]
    depth = [max((1 + int(primitives.least_depths[t]) for t in types), default=0) for types in children]
    return np.array(size, np.int32), np.array(depth, np.int32)


def constants(lots: jax.Array, primitives: PrimitiveSet) -> jax.Array:
    """Draw constants as the primitive set says, one for each uniform draw."""
    drawn = primitives.ephemeral
    if isinstance(drawn, tuple):
        return jnp.asarray(drawn, lots.dtype)[(lots * len(drawn)).astype(jnp.int32)]
    inside = jnp.maximum(2 * lots - 1, jnp.nextafter(jnp.asarray(-1, lots.dtype), 0))
    normal: jax.Array = 2**0.5 * jax.lax.erf_inv(inside)
    return (drawn or 0.0) * normal


def draw(lot: jax.Array, mask: jax.Array) -> jax.Array:
    """Return one of the entries of the last axis that a mask allows, equally likely; the first where it allows none.

    Args:
        lot: uniform draws from [0, 1), ``[...]``.
        mask: ``[..., N]``.
    """
    count = jnp.cumsum(mask, axis=-1, dtype=jnp.int32)
    total = count[..., -1]
    nth = jnp.minimum((lot * total).astype(jnp.int32), total - 1)
    return jnp.argmax(count > nth[..., None], axis=-1).astype(jnp.int32)
