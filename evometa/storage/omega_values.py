"""ω as plain values, which JSON and tables hold: nested dicts and lists of numbers, names and texts."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.backend.static_leaves import is_array
from evometa.types import Omega

MOST_SETTINGS = 32
"""Numbers of an ω up to which they are settings, each shown by itself, and no weights."""


def is_formula(node: Any) -> bool:
    """Return whether a part of an ω is an expression, such as a :class:`~evometa.expressions.Program`."""
    return callable(node) and hasattr(type(node), "tree")  # which, of a whole formula, takes time to compute


def arrays(omega: Omega) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ω by their paths, such as ``layers.0.kernel``; ``omega`` where it is a single one.

    Types that NumPy only knows as bytes, such as bfloat16, become float32.
    """
    named = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(omega)[0]:
        if is_array(leaf) or isinstance(leaf, numbers.Number):
            array = np.asarray(leaf)
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "omega"
            named[name] = array.astype(np.float32) if array.dtype.kind == "V" else array
    return named


def weights(omega: Omega) -> dict[str, NDArray[Any]]:
    """Return the arrays of floats in an ω, the layers; none where they are few numbers, which are settings then."""
    found = {name: array for name, array in arrays(omega).items() if array.ndim and array.dtype.kind == "f"}
    return found if sum(array.size for array in found.values()) > MOST_SETTINGS else {}


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: formulas as text, arrays as lists, numbers that are not finite as text."""
    if is_formula(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if is_array(value):
        return plain(_shortest(np.asarray(value)).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return plain(arrays(value))  # a module, or another pytree


def cells(value: Any, name: str = "omega") -> dict[str, Any]:
    """Return plain values one by one, by names such as ``omega/layer.kernel[0]``; ``omega`` where there is one."""
    if isinstance(value, dict):
        mark = "/" if name == "omega" else "."
        named: Any = ((f"{name}{mark}{key}", part) for key, part in value.items())
    elif isinstance(value, list):
        named = ((f"{name}[{place}]", part) for place, part in enumerate(value))
    else:
        return {name: value}
    return {key: cell for inner, part in named for key, cell in cells(part, inner).items()}


def from_cells(texts: Mapping[str, str], like: Any, name: str = "omega") -> Any:
    """Return the texts of cells, by their names, in the structure of a plain value; None where there are none.

    Parts of a dict without cells are left out.
    """
    if isinstance(like, dict):
        mark = "/" if name == "omega" else "."
        parts = {key: from_cells(texts, part, f"{name}{mark}{key}") for key, part in like.items()}
        return {key: part for key, part in parts.items() if part is not None} or None
    if isinstance(like, list):
        items = [from_cells(texts, part, f"{name}[{place}]") for place, part in enumerate(like)]
        return None if None in items else items
    return texts.get(name)


def _shortest(array: NDArray[Any]) -> NDArray[Any]:
    """Return floats of less than double precision as doubles with the fewest digits that identify them."""
    if array.dtype.kind not in "fV" or array.dtype == np.float64:
        return array
    return array.astype(np.float32).astype(str).astype(np.float64)
