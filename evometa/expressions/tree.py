"""Trees as arrays: the genotype of an expression, and functions of its structure.

A tree is stored as its nodes in *prefix order*: each node before its inputs, and these from left to right. Since a code
determines the number of its inputs, the order alone determines the tree, and a subtree is a range of consecutive
places. The structure is computed by comparing all pairs of places, without a loop: small matrices that batch over a
population.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions.primitives import PADDING, PrimitiveSet


class Tree(NamedTuple):
    """An expression in prefix order, padded to length L."""

    op: jax.Array
    """The code of each node, int32 ``[L]``; -1 after the last node."""
    constant: jax.Array
    """The value of each constant, float ``[L]``; 0 at all other places."""


class Structure(NamedTuple):
    """The structure of a tree; values at the places after its last node are meaningless."""

    size: jax.Array
    """The number of nodes, int32 scalar."""
    used: jax.Array
    """Which places hold a node, bool ``[L]``."""
    span: jax.Array
    """The number of nodes of the subtree at each place, int32 ``[L]``."""
    within: jax.Array
    """``within[i, j]``: whether place j belongs to the subtree at i, its root included, bool ``[L, L]``."""
    depth: jax.Array
    """The distance of each node from the root, int32 ``[L]``."""
    parent: jax.Array
    """The place of each node's parent, int32 ``[L]``; -1 for the root."""
    slot: jax.Array
    """The index of each node among its parent's inputs, int32 ``[L]``."""


def structure(primitives: PrimitiveSet, op: jax.Array) -> Structure:
    """Return the structure of a tree given by its codes ``[L]``."""
    place = jnp.arange(op.shape[0], dtype=jnp.int32)
    used = op != PADDING
    span = spans(primitives, op)
    last = place + span - 1
    within = (place[None, :] >= place[:, None]) & (place[None, :] <= last[:, None]) & used[:, None] & used[None, :]
    above = within & (place[None, :] > place[:, None])
    parent = jnp.max(jnp.where(above, place[:, None], -1), axis=0)
    siblings = (parent[:, None] == parent[None, :]) & used[:, None]
    slot = jnp.sum(siblings & (place[:, None] < place[None, :]), axis=0, dtype=jnp.int32)
    depth = jnp.sum(above, axis=0, dtype=jnp.int32)
    return Structure(jnp.sum(used, dtype=jnp.int32), used, span, within, depth, parent, slot)


def spans(primitives: PrimitiveSet, op: jax.Array) -> jax.Array:
    """Return the number of nodes of the subtree at each place, int32 ``[L]``; meaningless after the last node."""
    place = jnp.arange(op.shape[0], dtype=jnp.int32)
    # A subtree ends where no input is missing any more: where the sum of (arity - 1) over its nodes is -1 for the first
    # time.
    change = jnp.where(op == PADDING, 0, jnp.asarray(primitives.arities)[op] - 1)
    total = jnp.cumsum(change, dtype=jnp.int32)
    ends = (total[None, :] < (total - change)[:, None]) & (place[None, :] >= place[:, None])
    return jnp.min(jnp.where(ends, place[None, :], op.shape[0]), axis=1) - place + 1


def sizes(trees: Tree) -> jax.Array:
    """Return the number of nodes of each tree of a population, int32 ``[P]``."""
    return jnp.sum(trees.op != PADDING, axis=-1, dtype=jnp.int32)


def node_types(primitives: PrimitiveSet, op: jax.Array) -> jax.Array:
    """Return the number of the type of each node, int32 ``[L]``."""
    return jnp.asarray(primitives.results)[op]


def nodes(tree: Tree) -> list[tuple[int, float]]:
    """Return the code and the constant of each node of one tree, in prefix order, as Python numbers.

    Raises:
        ConfigurationError: the arrays are not one tree, its nodes first and then padding.
    """
    op, constant = np.asarray(tree.op), np.asarray(tree.constant)
    if op.ndim != 1 or op.shape != constant.shape:
        raise ConfigurationError(
            f"A tree expects op and constant of one shape [L], got {list(op.shape)} and {list(constant.shape)}; "
            "take one tree out of a population by jax.tree.map(lambda leaf: leaf[0], trees)."
        )
    used = op != PADDING
    if not used.any() or not used[: used.sum()].all():
        raise ConfigurationError(f"A tree expects its nodes first and then padding of -1, got {op.tolist()}.")
    return [(int(code), float(value)) for code, value in zip(op[used], constant[used], strict=True)]


def from_nodes(prefix: list[tuple[int, float]], length: int) -> Tree:
    """Return a tree of arrays of a length from the code and the constant of each node in prefix order.

    Raises:
        ConfigurationError: there are more nodes than that.
    """
    if len(prefix) > length:
        raise ConfigurationError(
            f"A tree expects at most {length} nodes, its max_size, got {len(prefix)}; raise max_size."
        )
    op = np.full(length, PADDING, np.int32)
    constant = np.zeros(length, jnp.result_type(float))
    for place, (code, value) in enumerate(prefix):
        op[place], constant[place] = code, value
    return Tree(jnp.asarray(op), jnp.asarray(constant))


def require_valid(primitives: PrimitiveSet, prefix: list[tuple[int, float]], max_depth: int | None = None) -> int:
    """Check nodes in prefix order against a primitive set and a depth limit.

    Returns:
        The depth of the tree.

    Raises:
        ConfigurationError: an unknown code, an input of the wrong type, inputs missing or left over, a constant that is
            not finite, or a tree deeper than ``max_depth``.
    """
    wanted: list[tuple[str, int, str]] = [(primitives.returns, 0, "An expression")]
    deepest = 0
    for number, (code, value) in enumerate(prefix):
        if not 0 <= code <= primitives.constant:
            raise ConfigurationError(f"A tree expects codes from 0 to {primitives.constant}, got {code} at {number}.")
        if not wanted:
            raise ConfigurationError(f"A tree expects one root, and {len(prefix) - number} nodes follow after its end.")
        type_, depth, owner = wanted.pop()
        given = primitives.types[primitives.results[code]]
        name = repr(value) if code == primitives.constant else repr(primitives.names[code])
        if given != type_:
            raise ConfigurationError(f"{owner} expects the type {type_!r}, got {name} of type {given!r}.")
        if code == primitives.constant and not np.isfinite(value):
            raise ConfigurationError(f"A tree expects constants that are finite numbers, got {value}.")
        deepest = max(deepest, depth)
        if code < len(primitives.primitives):
            primitive = primitives.primitives[code]
            wanted += [(t, depth + 1, f"Primitive {primitive.name!r}") for t in reversed(primitive.types)]
    if wanted:
        raise ConfigurationError(
            f"A tree expects all inputs of its primitives, and {len(wanted)} are missing at its end."
        )
    if max_depth is not None and deepest > max_depth:
        raise ConfigurationError(
            f"A tree expects a depth of at most {max_depth}, its max_depth, got {deepest}; raise max_depth."
        )
    return deepest


def check_tree(primitives: PrimitiveSet, tree: Tree, max_depth: int | None = None) -> None:
    """Check one tree against a primitive set and a depth limit.

    Raises:
        ConfigurationError: the tree is not valid, see :func:`require_valid`.
    """
    require_valid(primitives, nodes(tree), max_depth)


def stack(trees: list[Tree]) -> Tree:
    """Stack single trees into a population ``[P, L]``."""
    return Tree(*(jnp.stack([jnp.asarray(part) for part in parts]) for parts in zip(*trees, strict=True)))
