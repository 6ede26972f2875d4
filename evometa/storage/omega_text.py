"""ω in one line, for the terminal and for ``result.json``."""

from typing import Any

import jax
import numpy as np

from evometa.types import Omega

MOST = 8
"""Numbers that are written out; of an ω with more only the count is."""


def omega_text(omega: Omega) -> str:
    """Return an ω in one line: a formula whole, a few numbers by their names, of many their count."""
    if not hasattr(omega, "shape") and any("__str__" in vars(cls) for cls in type(omega).__mro__[:-1]):
        return str(omega)
    leaves = [
        (jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(omega)
    ]
    count = sum(leaf.size for _, leaf in leaves)
    if count > MOST:
        arrays = f" in {len(leaves)} arrays" if len(leaves) > 1 else ""
        return f"{count:,} numbers{arrays}"
    return ", ".join(f"{_name(path)}{_numbers(leaf)}" for path, leaf in leaves)


def _name(path: str) -> str:
    name = path.removeprefix(".").replace("']['", ".").removeprefix("['").removesuffix("']")
    return f"{name} = " if name else ""


def _numbers(leaf: Any) -> str:
    values = leaf.tolist()
    return f"{values:.6g}" if isinstance(values, float) else f"{_rounded(values)}"


def _rounded(values: Any) -> Any:
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.6g}") if isinstance(values, float) else values
