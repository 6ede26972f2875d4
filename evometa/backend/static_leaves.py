"""Pytrees with parts that are no arrays, such as the activation functions in an Equinox module.

What JAX traces must be arrays: inputs and outputs of compiled functions, carries of loops, items of a batch. A packed
tree has the arrays as its leaves and everything else in its structure. A tree without such parts is its own packed
form, so nothing changes for it.

Within a module (a node of a pytree that can be called) Python's own numbers and booleans are settings, not weights, and
are kept apart too.
"""

import dataclasses
import functools
import numbers
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


@functools.partial(jax.tree_util.register_dataclass, data_fields=["arrays"], meta_fields=["rest"])
@dataclasses.dataclass(frozen=True)
class Packed:
    """A pytree of which only the arrays are leaves."""

    arrays: list[Any]
    rest: "_Rest"


@dataclasses.dataclass(frozen=True)
class _Rest:
    """The structure of a tree, and its leaves that are no arrays; None where there is an array."""

    tree: Any
    static: tuple[tuple[Any] | None, ...]

    def __hash__(self) -> int:  # the leaves need not have one
        return hash(len(self.static))


def is_array(leaf: Any) -> bool:
    """Return whether a leaf is an array or the shape of one."""
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic, jax.ShapeDtypeStruct))


def array_mask(tree: Any) -> list[bool]:
    """Return for each leaf whether it is an array, or a number outside modules, which JAX takes for one."""
    mask = []
    for node in jax.tree.leaves(tree, is_leaf=callable):
        leaves = jax.tree.leaves(node)
        mask += [is_array(leaf) or (isinstance(leaf, numbers.Number) and not callable(node)) for leaf in leaves]
    return mask


def pack(tree: Any) -> Any:
    """Return a tree whose leaves are arrays; the tree itself if they are already."""
    mask = array_mask(tree)
    if all(mask):
        return tree
    leaves, structure = jax.tree.flatten(tree)
    arrays = [leaf for leaf, array in zip(leaves, mask, strict=True) if array]
    static = tuple(None if array else (leaf,) for leaf, array in zip(leaves, mask, strict=True))
    return Packed(arrays, _Rest(structure, static))


def unpack(tree: Any) -> Any:
    """Return the tree that :func:`pack` was given."""
    if not isinstance(tree, Packed):
        return tree
    arrays = iter(tree.arrays)
    return jax.tree.unflatten(tree.rest.tree, [next(arrays) if leaf is None else leaf[0] for leaf in tree.rest.static])


def packing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of packed trees, for JAX, from one of trees."""
    return lambda *args: pack(function(*map(unpack, args)))


def abstract(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function returns, with shapes in place of arrays; like :func:`jax.eval_shape`."""
    return unpack(jax.eval_shape(packing(function), *map(pack, args)))
