"""Changing trees: every child is valid, and no child takes a loop.

A change picks its places among those that keep the types and the limits, so that nothing has to be tried twice; where
there is no such place, the parent is returned.

Chance comes as *lots*, uniform draws from [0, 1): all that a change needs are drawn at once, which runs and compiles
several times faster than a draw for each choice.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.expressions.growth import constants, draw, grow
from evometa.expressions.primitives import NOTHING, PrimitiveSet
from evometa.expressions.tree import Structure, Tree, structure
from evometa.types import Scalar

DEEPEST_BRANCH = 2
"""How deep a random subtree is grown by mutation, as is usual."""


def splice(tree: Tree, at: Scalar, span: Scalar, donor: Tree, first: Scalar, count: Scalar) -> Tree:
    """Replace the ``span`` nodes from ``at`` on by ``count`` nodes of the donor from ``first`` on."""
    length = tree.op.shape[0]
    place = jnp.arange(length)
    new = (place >= at) & (place < at + count)
    kept = jnp.clip(jnp.where(place < at, place, place - count + span), 0, length - 1)
    taken = jnp.clip(place - at + first, 0, length - 1)
    inside = jnp.where(place < at, place, place - count + span) < length
    op = jnp.where(new, donor.op[taken], jnp.where(inside, tree.op[kept], NOTHING))
    constant = jnp.where(new, donor.constant[taken], jnp.where(inside, tree.constant[kept], 0.0))
    return Tree(op, constant)


def exchange(
    lots: jax.Array, primitives: PrimitiveSet, first: Tree, second: Tree, max_size: int, max_depth: int
) -> Tree:
    """Return the first tree with one subtree replaced by one of the second, of the same type (Koza 1992); 2 lots."""
    own, other = structure(primitives, first.op), structure(primitives, second.op)
    # The root is replaced only where it is all there is.
    at = draw(lots[0], own.used & ((jnp.arange(max_size) > 0) | (own.size == 1)))
    results = jnp.asarray(primitives.results)
    fits = other.used & (results[second.op] == results[first.op[at]])
    fits &= own.size - own.span[at] + other.span <= max_size
    fits &= own.depth[at] + heights(other) <= max_depth
    source = draw(lots[1], fits)
    return choose(fits.any(), splice(first, at, own.span[at], second, source, other.span[source]), first)


def new_branch(lots: jax.Array, primitives: PrimitiveSet, tree: Tree, max_size: int, max_depth: int) -> Tree:
    """Return the tree with a random subtree in place of one of its own; 3 + 2 L lots."""
    own = structure(primitives, tree.op)
    at = draw(lots[0], own.used)
    branch = grow(
        lots[3:],
        primitives,
        max_size,
        type_=jnp.asarray(primitives.results)[tree.op[at]],
        max_size=max_size - own.size + own.span[at],
        max_depth=max_depth - own.depth[at],
        depth=(lots[1] * (DEEPEST_BRANCH + 1)).astype(jnp.int32),
        full=lots[2] < 0.5,
    )
    return splice(tree, at, own.span[at], branch, jnp.int32(0), jnp.sum(branch.op != NOTHING, dtype=jnp.int32))


def hoist(lots: jax.Array, primitives: PrimitiveSet, tree: Tree) -> Tree:
    """Return the tree with one node replaced by a subtree below it of the same type, smaller than before; 2 lots."""
    own = structure(primitives, tree.op)
    types = jnp.asarray(primitives.results)[tree.op]
    place = jnp.arange(tree.op.shape[0])
    pairs = own.within & (place[:, None] != place[None, :]) & (types[:, None] == types[None, :])
    roots = pairs.any(axis=1)
    # First the node, as the other changes choose theirs: nodes near the root are in most of the pairs.
    at = draw(lots[0], roots)
    below = draw(lots[1], pairs[at])
    return choose(roots.any(), splice(tree, at, own.span[at], tree, below, own.span[below]), tree)


def other_codes(lots: jax.Array, primitives: PrimitiveSet, tree: Tree, rate: float) -> Tree:
    """Return the tree with nodes, each with chance ``rate`` and at least one, exchanged for others of their kind.

    1 + 3 L lots.
    """
    length = tree.op.shape[0]
    kin = jnp.asarray(alike(primitives))[tree.op]
    mask = some(lots[: length + 1], (tree.op != NOTHING) & kin.any(axis=1), rate)
    code = draw(lots[length + 1 : 2 * length + 1], kin)
    value = jnp.where(code == primitives.constant, constants(lots[2 * length + 1 :], primitives), 0.0)
    return Tree(jnp.where(mask, code, tree.op), jnp.where(mask, value, tree.constant))


def other_constants(lots: jax.Array, primitives: PrimitiveSet, tree: Tree, rate: float, scale: float) -> Tree:
    """Return the tree with constants, each with chance ``rate`` and at least one, changed; 1 + 2 L lots.

    By a normal step of ``scale`` standard deviations of what constants are drawn from; or drawn anew where values are
    given.
    """
    length = tree.op.shape[0]
    mask = some(lots[: length + 1], tree.op == primitives.constant, rate)
    drawn = constants(lots[length + 1 :], primitives)
    value = drawn if isinstance(primitives.ephemeral, tuple) else tree.constant + scale * drawn
    return Tree(tree.op, jnp.where(mask, value, tree.constant))


def alike(primitives: PrimitiveSet) -> NDArray[np.bool_]:
    """Return which codes may stand in for which, ``[codes, codes]``: the same types, another code or value."""
    signature = np.concatenate([primitives.results[:, None], primitives.inputs], axis=1)
    same = (signature[:, None] == signature[None, :]).all(axis=2) & primitives.drawable[None, :]
    alone = np.arange(len(same))
    same[alone, alone] = (alone == primitives.constant) & primitives.drawable
    return np.asarray(same)


def heights(own: Structure) -> jax.Array:
    """Return the depth of the subtree at each place, int32 ``[L]``."""
    return jnp.max(jnp.where(own.within, own.depth[None, :], 0), axis=1) - own.depth


def some(lots: jax.Array, mask: jax.Array, rate: float) -> jax.Array:
    """Return each place that a mask allows with chance ``rate``, and one of them in any case; 1 + L lots."""
    drawn = mask & (lots[1:] < rate)
    one = mask & (jnp.arange(mask.size) == draw(lots[0], mask))
    return jnp.where(drawn.any(), drawn, one)


def choose(condition: jax.Array, first: Tree, second: Tree) -> Tree:
    """Return the first tree where the condition holds, otherwise the second."""
    return Tree(*(jnp.where(condition, a, b) for a, b in zip(first, second, strict=True)))
