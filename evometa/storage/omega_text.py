"""ω in one line, for the terminal and for ``result.json``."""

import numbers
from typing import Any

import jax
import numpy as np

from evometa.backend.static_leaves import is_array
from evometa.types import Omega

MOST = 8
"""Numbers that are written out together; of arrays beyond that only the count is."""
MOST_WHOLE = 32
"""Whole numbers and names that are, such as those of an order."""


def omega_text(omega: Omega) -> str:
    """Return an ω in one line: a formula whole, a few numbers by their names, of large arrays their count.

    Args:
        omega: on the host, such as :meth:`evometa.Space.readable` returns it, which names categories. What is no number
            or string, such as the functions in a module, is left out.
    """
    if not hasattr(omega, "shape") and any("__str__" in vars(cls) for cls in type(omega).__mro__[:-1]):
        return str(omega)
    leaves = [
        (jax.tree_util.keystr(path, simple=True, separator="."), np.asarray(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(omega)
        if is_array(leaf) or isinstance(leaf, numbers.Number | str)
    ]
    few = sum(leaf.size for _, leaf in leaves) <= MOST
    written = [(name, leaf) for name, leaf in leaves if few or _is_short(leaf)]
    if sum(leaf.size for _, leaf in written) > MOST_WHOLE:
        written = []
    rest = [leaf.size for name, leaf in leaves if all(name != other for other, _ in written)]
    parts = [f"{name} = {_numbers(leaf)}" if name else f"{_numbers(leaf)}" for name, leaf in written]
    arrays = f" in {len(rest)} arrays" if len(rest) > 1 else ""
    return ", ".join([*parts, *([f"{sum(rest):,} numbers{arrays}"] if rest else [])])


def _is_short(leaf: Any) -> bool:
    return leaf.ndim == 0 or (leaf.size <= MOST_WHOLE and leaf.dtype.kind not in "fc")


def _numbers(leaf: Any) -> str:
    values = leaf.tolist()
    return f"{values:.6g}" if isinstance(values, float) else f"{_rounded(values)}"


def _rounded(values: Any) -> Any:
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.6g}") if isinstance(values, float) else values
