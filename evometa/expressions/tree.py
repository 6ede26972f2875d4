"""Trees as arrays: the genotype of an expression, and what can be read off it.

A tree is its nodes in *prefix order*: each node before its inputs, these from left to right. Since each code says how
many inputs follow, the order alone is the tree; a subtree is a run of consecutive places. All structure is computed
by comparing each place with each other one, without a loop over places: small matrices, that batch over a population.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import ConfigurationError
from evometa.expressions.primitives import NOTHING, PrimitiveSet


class Tree(NamedTuple):
    """An expression in prefix order, padded to length L."""

    op: jax.Array
    """The code of each node, int32 ``[L]``; -1 behind the end."""
    constant: jax.Array
    """The value of each constant, float ``[L]``; 0 at other nodes."""


class Structure(NamedTuple):
    """What the places of a tree are to each other; for places behind the end, nothing of this means anything."""

    size: jax.Array
    """How many nodes the tree has, int32 scalar."""
    used: jax.Array
    """Which places hold a node, bool ``[L]``."""
    span: jax.Array
    """How many nodes the subtree at each place has, int32 ``[L]``."""
    within: jax.Array
    """Whether place j belongs to the subtree at i, itself included, bool ``[L, L]`` as [i, j]."""
    depth: jax.Array
    """How far each node is from the root, int32 ``[L]``."""
    parent: jax.Array
    """The place of the node whose input a node is, int32 ``[L]``; -1 at the root."""
    slot: jax.Array
    """Which of its parent's inputs a node is, from 0, int32 ``[L]``."""


def structure(primitives: PrimitiveSet, op: jax.Array) -> Structure:
    """Return the structure of a tree given by its codes ``[L]``."""
    place = jnp.arange(op.shape[0], dtype=jnp.int32)
    used = op != NOTHING
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
    """Return how many nodes the subtree at each place has, int32 ``[L]``; anything behind the end of the tree."""
    place = jnp.arange(op.shape[0], dtype=jnp.int32)
    # A subtree ends where the inputs still asked for, one at its start, are all there: where the sum of (arity - 1)
    # over its nodes is -1 for the first time.
    change = jnp.where(op == NOTHING, 0, jnp.asarray(primitives.arities)[op] - 1)
    total = jnp.cumsum(change, dtype=jnp.int32)
    ends = (total[None, :] < (total - change)[:, None]) & (place[None, :] >= place[:, None])
    return jnp.min(jnp.where(ends, place[None, :], op.shape[0]), axis=1) - place + 1


def sizes(trees: Tree) -> jax.Array:
    """Return how many nodes each tree of a population has, int32 ``[P]``."""
    return jnp.sum(trees.op != NOTHING, axis=-1, dtype=jnp.int32)


def node_types(primitives: PrimitiveSet, op: jax.Array) -> jax.Array:
    """Return the number of the type of each node, int32 ``[L]``."""
    return jnp.asarray(primitives.results)[op]


def nodes(tree: Tree) -> list[tuple[int, float]]:
    """Return code and constant of each node of one tree, in prefix order, as plain numbers.

    Raises:
        ConfigurationError: not one tree of arrays of equal length.
    """
    op, constant = np.asarray(tree.op), np.asarray(tree.constant)
    if op.ndim != 1 or op.shape != constant.shape:
        raise ConfigurationError(
            f"A tree expects op and constant of one shape [L], got {list(op.shape)} and {list(constant.shape)}; "
            "take one tree out of a population by jax.tree.map(lambda leaf: leaf[0], trees)."
        )
    used = op != NOTHING
    if not used.any() or not used[: used.sum()].all():
        raise ConfigurationError(f"A tree expects its nodes first and padding of -1 behind them, got {op.tolist()}.")
    return [(int(code), float(value)) for code, value in zip(op[used], constant[used], strict=True)]


def from_nodes(given: list[tuple[int, float]], length: int) -> Tree:
    """Return a tree of padded arrays from code and constant of each node in prefix order.

    Raises:
        ConfigurationError: more nodes than places.
    """
    if len(given) > length:
        raise ConfigurationError(
            f"A tree expects at most {length} nodes, its max_size, got {len(given)}; raise max_size."
        )
    op = np.full(length, NOTHING, np.int32)
    constant = np.zeros(length, jnp.result_type(float))
    for place, (code, value) in enumerate(given):
        op[place], constant[place] = code, value
    return Tree(jnp.asarray(op), jnp.asarray(constant))


def require_valid(primitives: PrimitiveSet, given: list[tuple[int, float]], max_depth: int | None = None) -> int:
    """Check nodes in prefix order against a primitive set, and return the depth of their tree.

    Raises:
        ConfigurationError: an unknown code, a type in the wrong place, inputs missing or left over, a constant that is
            not finite, or a tree deeper than ``max_depth``.
    """
    wanted: list[tuple[str, int, str]] = [(primitives.returns, 0, "An expression")]
    deepest = 0
    for number, (code, value) in enumerate(given):
        if not 0 <= code <= primitives.constant:
            raise ConfigurationError(f"A tree expects codes from 0 to {primitives.constant}, got {code} at {number}.")
        if not wanted:
            raise ConfigurationError(f"A tree expects one root, and {len(given) - number} nodes follow behind its end.")
        type_, depth, owner = wanted.pop()
        found = primitives.types[primitives.results[code]]
        name = repr(value) if code == primitives.constant else repr(primitives.names[code])
        if found != type_:
            raise ConfigurationError(f"{owner} expects the type {type_!r}, got {name} of type {found!r}.")
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
    """Check one tree, of arrays, against a primitive set and a depth limit.

    Raises:
        ConfigurationError: whatever makes it no valid tree.
    """
    require_valid(primitives, nodes(tree), max_depth)


def stack(trees: list[Tree]) -> Tree:
    """Return a population of trees ``[P, L]`` from single ones."""
    return Tree(*(jnp.stack([jnp.asarray(part) for part in parts]) for parts in zip(*trees, strict=True)))
