"""Genetic operators on expressions: subtree crossover, and subtree, hoist, point and constant mutation.

Every child is valid: an operator chooses among the nodes at which types, size and depth allow the change, so nothing is
tried twice. Where there is no such node, the parent is returned. No operator contains a loop, except the one that grows
a new subtree.

Randomness comes in as an array of uniform draws from [0, 1). Drawing all that an operator needs at once runs and
compiles several times faster than one draw for each choice. L is the length of a tree's arrays.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.expressions.growth import choose_allowed, grow, sample_constants
from evometa.expressions.primitives import PADDING, PrimitiveSet
from evometa.expressions.tree import Structure, Tree, structure
from evometa.types import Scalar

MAX_NEW_DEPTH = 2
"""Largest depth to which mutation grows a random subtree, the usual value."""


def splice(tree: Tree, at: Scalar, span: Scalar, donor: Tree, first: Scalar, count: Scalar) -> Tree:
    """Replace the ``span`` nodes from ``at`` on by the ``count`` nodes of the donor from ``first`` on."""
    length = tree.op.shape[0]
    place = jnp.arange(length)
    inserted = (place >= at) & (place < at + count)
    origin = jnp.where(place < at, place, place - count + span)
    exists = origin < length
    origin = jnp.clip(origin, 0, length - 1)
    source = jnp.clip(place - at + first, 0, length - 1)
    op = jnp.where(inserted, donor.op[source], jnp.where(exists, tree.op[origin], PADDING))
    constant = jnp.where(inserted, donor.constant[source], jnp.where(exists, tree.constant[origin], 0.0))
    return Tree(op, constant)


def subtree_crossover(
    uniforms: jax.Array, primitives: PrimitiveSet, first: Tree, second: Tree, max_size: int, max_depth: int
) -> Tree:
    """Return the first tree with one subtree replaced by one of the second, of the same type (Koza 1992).

    Args:
        uniforms: ``[2]``.
        primitives: the primitive set of both trees.
        first: the tree that is changed.
        second: the tree that the new subtree is copied from.
        max_size: nodes at most.
        max_depth: depth at most.
    """
    receiver, donor = structure(primitives, first.op), structure(primitives, second.op)
    # The root is replaced only where it is the only node.
    at = choose_allowed(uniforms[0], receiver.used & ((jnp.arange(max_size) > 0) | (receiver.size == 1)))
    results = jnp.asarray(primitives.results)
    fits = donor.used & (results[second.op] == results[first.op[at]])
    fits &= receiver.size - receiver.span[at] + donor.span <= max_size
    fits &= receiver.depth[at] + heights(donor) <= max_depth
    source = choose_allowed(uniforms[1], fits)
    return select(fits.any(), splice(first, at, receiver.span[at], second, source, donor.span[source]), first)


def subtree_mutation(uniforms: jax.Array, primitives: PrimitiveSet, tree: Tree, max_size: int, max_depth: int) -> Tree:
    """Return the tree with one subtree replaced by a random one; ``uniforms`` is ``[3 + 2 L]``."""
    shape = structure(primitives, tree.op)
    at = choose_allowed(uniforms[0], shape.used)
    branch = grow(
        uniforms[3:],
        primitives,
        max_size,
        type_=jnp.asarray(primitives.results)[tree.op[at]],
        max_size=max_size - shape.size + shape.span[at],
        max_depth=max_depth - shape.depth[at],
        depth=(uniforms[1] * (MAX_NEW_DEPTH + 1)).astype(jnp.int32),
        full=uniforms[2] < 0.5,
    )
    return splice(tree, at, shape.span[at], branch, jnp.int32(0), jnp.sum(branch.op != PADDING, dtype=jnp.int32))


def hoist_mutation(uniforms: jax.Array, primitives: PrimitiveSet, tree: Tree) -> Tree:
    """Return a smaller tree: one node is replaced by a subtree below it of the same type; ``uniforms`` is ``[2]``."""
    shape = structure(primitives, tree.op)
    types = jnp.asarray(primitives.results)[tree.op]
    place = jnp.arange(tree.op.shape[0])
    pairs = shape.within & (place[:, None] != place[None, :]) & (types[:, None] == types[None, :])
    roots = pairs.any(axis=1)
    # The node is chosen first, as in the other operators; a uniform pair would favour nodes near the root.
    at = choose_allowed(uniforms[0], roots)
    below = choose_allowed(uniforms[1], pairs[at])
    return select(roots.any(), splice(tree, at, shape.span[at], tree, below, shape.span[below]), tree)


def point_mutation(uniforms: jax.Array, primitives: PrimitiveSet, tree: Tree, rate: float) -> Tree:
    """Return the tree with single nodes replaced by others of the same types; a constant gets a new value.

    Args:
        uniforms: ``[1 + 3 L]``.
        primitives: the primitive set.
        tree: the tree.
        rate: chance of each node to be replaced; at least one is, where any can be.
    """
    length = tree.op.shape[0]
    alternatives = jnp.asarray(interchangeable(primitives))[tree.op]
    mask = mutation_mask(uniforms[: length + 1], (tree.op != PADDING) & alternatives.any(axis=1), rate)
    code = choose_allowed(uniforms[length + 1 : 2 * length + 1], alternatives)
    drawn = sample_constants(uniforms[2 * length + 1 :], primitives)
    value = jnp.where(code == primitives.constant, drawn, 0.0)
    return Tree(jnp.where(mask, code, tree.op), jnp.where(mask, value, tree.constant))


def constant_mutation(uniforms: jax.Array, primitives: PrimitiveSet, tree: Tree, rate: float, scale: float) -> Tree:
    """Return the tree with constants moved by a normal step, or drawn anew where a set of allowed values is given.

    Args:
        uniforms: ``[1 + 2 L]``.
        primitives: the primitive set.
        tree: the tree.
        rate: chance of each constant to change; at least one does, where there is any.
        scale: size of the step, in standard deviations of the distribution that constants are drawn from.
    """
    length = tree.op.shape[0]
    mask = mutation_mask(uniforms[: length + 1], tree.op == primitives.constant, rate)
    drawn = sample_constants(uniforms[length + 1 :], primitives)
    value = drawn if isinstance(primitives.ephemeral, tuple) else tree.constant + scale * drawn
    return Tree(tree.op, jnp.where(mask, value, tree.constant))


def interchangeable(primitives: PrimitiveSet) -> NDArray[np.bool_]:
    """Return which codes can replace which, ``[codes, codes]``: other codes with the same input and result types.

    The constant can replace itself, by another value.
    """
    signature = np.concatenate([primitives.results[:, None], primitives.inputs], axis=1)
    same = (signature[:, None] == signature[None, :]).all(axis=2) & primitives.drawable[None, :]
    codes = np.arange(len(same))
    same[codes, codes] = (codes == primitives.constant) & primitives.drawable
    return np.asarray(same)


def heights(shape: Structure) -> jax.Array:
    """Return the depth of the subtree at each node, int32 ``[L]``."""
    return jnp.max(jnp.where(shape.within, shape.depth[None, :], 0), axis=1) - shape.depth


def mutation_mask(uniforms: jax.Array, allowed: jax.Array, rate: float) -> jax.Array:
    """Return which of the allowed nodes change, bool ``[L]``: each with chance ``rate``, and at least one of them.

    Args:
        uniforms: ``[1 + L]``.
        allowed: bool ``[L]``.
        rate: chance in [0, 1].
    """
    drawn = allowed & (uniforms[1:] < rate)
    one = allowed & (jnp.arange(allowed.size) == choose_allowed(uniforms[0], allowed))
    return jnp.where(drawn.any(), drawn, one)


def select(condition: jax.Array, first: Tree, second: Tree) -> Tree:
    """Return the first tree where the condition holds, otherwise the second."""
    return Tree(*(jnp.where(condition, a, b) for a, b in zip(first, second, strict=True)))
