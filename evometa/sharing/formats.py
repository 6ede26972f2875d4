"""ω in files that other programs read: arrays, JSON, and formulas as Python or LaTeX.

================  ==============================================================================
``npz``           the arrays of ω, by the paths of its leaves; for ``numpy.load``
``safetensors``   the same, for PyTorch and other libraries
``json``          ω as nested numbers, names and texts
``python``        a module with a function for each formula in ω, which needs only JAX
``latex``         each formula
================  ==============================================================================
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.expressions import latex, source
from evometa.storage.files import npz
from evometa.storage.omega_values import arrays, is_formula, plain
from evometa.types import Omega

Format = Literal["npz", "safetensors", "json", "python", "latex"]
SUFFIXES: Mapping[str, str] = {
    "npz": ".npz",
    "safetensors": ".safetensors",
    "json": ".json",
    "python": ".py",
    "latex": ".tex",
}


def usual_format(omega: Omega) -> Format:
    """Return the format that suits an ω: Python for formulas, JSON for settings, ``npz`` for weights."""
    if formulas(omega):
        return "python"
    weights = any(leaf.ndim and leaf.dtype.kind in "fc" for leaf in arrays(omega).values())
    return "npz" if weights else "json"


def content(omega: Omega, format_: Format, *, readable: Omega | None = None, name: str = "formula") -> bytes:
    """Return the content of a file.

    Args:
        omega: one ω, on the host.
        format_: the format.
        readable: ω as people read it (:meth:`evometa.Space.readable`), for JSON; None: ω itself.
        name: the name of a formula's function, where ω is a single formula.

    Raises:
        ConfigurationError: the format does not fit what ω is, or needs a package that is not installed.
    """
    if format_ == "json":
        return json.dumps(plain(omega if readable is None else readable), indent=2, ensure_ascii=False).encode() + b"\n"
    if format_ in ("python", "latex"):
        named = formulas(omega, name)
        if not named:
            raise ConfigurationError(
                f"--as {format_} expects an ω with a formula, and this one has none; use npz, safetensors or json."
            )
        return _python(named) if format_ == "python" else _latex(named)
    named = arrays(omega)
    if formulas(omega) or not named:
        raise ConfigurationError(
            f"--as {format_} expects an ω that consists of arrays, and this one is "
            f"{'a formula; use python, latex' if formulas(omega) else 'none; use python'} or json."
        )
    return npz(named) if format_ == "npz" else _safetensors(named)


def formulas(omega: Omega, name: str = "formula") -> dict[str, Any]:
    """Return the formulas in an ω by names that Python accepts; one that is the whole ω has the given name."""
    found = jax.tree_util.tree_flatten_with_path(omega, is_leaf=is_formula)[0]
    named = {}
    for path, leaf in found:
        if is_formula(leaf):
            words = jax.tree_util.keystr(path, simple=True, separator="_").split("_")
            named["_".join(filter(str.isidentifier, words)) or name] = leaf
    return named


def _python(named: Mapping[str, Any]) -> bytes:
    return "\n\n".join(source(one.primitives, one.tree, name) for name, one in named.items()).encode()


def _latex(named: Mapping[str, Any]) -> bytes:
    return "".join(f"{latex(one.primitives, one.tree, simplify=True)}\n" for one in named.values()).encode()


def _safetensors(named: Mapping[str, NDArray[Any]]) -> bytes:
    try:
        from safetensors.numpy import save
    except ImportError:
        raise ConfigurationError(
            "--as safetensors expects the package safetensors, which is not installed; pip install safetensors, or use "
            "npz."
        ) from None
    written: bytes = save({name: np.ascontiguousarray(array) for name, array in named.items()})
    return written
