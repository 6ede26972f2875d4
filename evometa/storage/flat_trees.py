"""Pytrees as named arrays, for files that ``numpy.load`` reads without pickle."""

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.backend.static_leaves import array_mask


def flatten(name: str, tree: Any) -> dict[str, NDArray[Any]]:
    """Return the leaves of a pytree as numpy arrays, each under the name and the leaf's path: ``name['w1']``.

    Leaves that are no arrays, such as functions in modules, are left out.
    """
    found = {}
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    for (path, leaf), storable in zip(paths, array_mask(tree), strict=True):
        if not storable:
            continue
        array = np.asarray(leaf)
        # Types that numpy only knows as bytes, such as bfloat16, all fit into float32.
        found[name + jax.tree_util.keystr(path)] = array.astype(np.float32) if array.dtype.kind == "V" else array
    return found


def unflatten(name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return what :func:`flatten` named: an array, or a dict from paths to arrays; None where there is nothing."""
    if name in arrays:
        return arrays[name]
    found = {key.removeprefix(name): leaf for key, leaf in arrays.items() if key.startswith((f"{name}[", f"{name}."))}
    return found or None


def restore(found: Any, structure: Any) -> Any:
    """Return the pytree with the structure of another, from what :func:`unflatten` gave; types as in the structure.

    Parts of dicts that were not found, such as inactive ones of ω, are left out.
    """
    structure = _only(structure, tuple(found)) if isinstance(found, dict) else structure
    shapes, tree = jax.tree.flatten(structure)
    leaves = iter(list(found.values()) if isinstance(found, dict) else [found])
    return jax.tree.unflatten(
        tree,
        [
            np.asarray(next(leaves)).astype(shape.dtype)[()] if array else shape
            for shape, array in zip(shapes, array_mask(structure), strict=True)
        ],
    )


def _only(structure: Any, paths: tuple[str, ...], place: str = "") -> Any:
    """Return a structure without the entries of its dicts in which no path lies."""
    if not isinstance(structure, dict):
        return structure
    places = {name: f"{place}[{name!r}]" for name in structure}
    return {
        name: _only(part, paths, places[name])
        for name, part in structure.items()
        if any(path.startswith(places[name]) for path in paths)
    }
