"""Pytrees of real numbers such as a network's weights, modules of Equinox and Flax included."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evometa.backend.static_leaves import abstract, array_mask, is_array
from evometa.errors import ConfigurationError
from evometa.settings import Positive
from evometa.spaces.base import REAL, Coordinates, VectorSpace
from evometa.types import Key, Omega


class Like(VectorSpace):
    """An unbounded pytree of float arrays such as a network's weights; ω has the template's shapes and types.

    One genotype unit is one unit of a weight. In a module (a pytree that can be called, such as those of Equinox,
    ``flax.nnx`` and ``flax.struct``, and ``jax.tree_util.Partial``) the float arrays are searched, and all else
    stays as it is: functions, settings, arrays of integers.

    Args:
        template: either a pytree of arrays, at which a search begins, or a function ``key -> pytree`` such as a
            network's initializer, which draws the start from the search's seed. A callable pytree with float arrays
            among its leaves is a template, not a function.
        scale: standard deviation of :meth:`sample` around the template's values; not used if the template is a
            function, which draws the samples itself.

    Raises:
        ConfigurationError: the template has no float array, or it has another array or number outside of modules, or
            the function fails.
    """

    def __init__(self, template: Any | Callable[[Key], Any], *, scale: Positive = 1.0) -> None:
        self._draw = template if callable(template) and not any(map(_is_float, jax.tree.leaves(template))) else None
        shapes = _called(self._draw) if self._draw else template
        leaves, self._treedef = jax.tree.flatten(shapes)
        self._searched = _searched(shapes)
        weights = [leaf for leaf, searched in zip(leaves, self._searched, strict=True) if searched]
        self._leaves = [jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in weights]
        if not weights or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in self._leaves):
            raise ConfigurationError(
                "Like expects a pytree of float arrays (or a function from a key to one), "
                f"got leaves of type {[_kind(leaf) for leaf in leaves]}; "
                "use Integer or Categorical for other kinds of values."
            )
        others = [(leaf,) if not searched else None for leaf, searched in zip(leaves, self._searched, strict=True)]
        if self._draw and any(other is not None and is_array(other[0]) for other in others):
            drawn = jax.tree.leaves(self._draw(jax.random.key(0)))  # arrays of integers, which have shapes only so far
            others = [None if other is None else (leaf,) for other, leaf in zip(others, drawn, strict=True)]
        self._others = others
        self._values = None if self._draw else np.concatenate([np.ravel(np.asarray(leaf)) for leaf in weights])
        if self._values is not None and not np.isfinite(self._values.astype(np.float64)).all():
            raise ConfigurationError(
                "Like expects a template of finite numbers, at which a search begins, and got one with NaN or infinity."
            )
        self.scale = scale
        self._ends = np.cumsum([math.prod(leaf.shape) for leaf in self._leaves])
        self.coordinates = Coordinates.of(int(self._ends[-1]), -np.inf, np.inf, REAL)

    @property
    def start_given(self) -> bool:
        """Whether the template is a pytree of arrays."""
        return self._draw is None

    def start(self, key: Key) -> jax.Array:
        """Return the template's values, or a draw of the template function, as a genotype ``[D]``."""
        if self._draw is None:
            return jnp.asarray(self._values, jnp.result_type(float))
        return self._joined(self._weights(self._draw(key)))

    def sample(self, key: Key) -> jax.Array:
        """Draw a genotype ``[D]`` by the template function, or normally distributed around the template's values."""
        if self._draw is not None:
            return self.start(key)
        return self.start(key) + self.scale * jax.random.normal(key, (self.size,))

    def encode(self, omega: Omega) -> jax.Array:
        """Encode a pytree like the template as a genotype ``[D]``."""
        tree: Any = jax.tree.structure(omega)
        expected = [leaf.shape for leaf in self._leaves]
        weights = self._weights(omega) if tree == self._treedef else []
        if [jnp.shape(leaf) for leaf in weights] != expected:
            raise ConfigurationError(
                f"Like expects a start with the structure and the shapes of its template, {self._treedef} with "
                f"{expected}, got {tree} with {list(map(jnp.shape, weights))}."
            )
        return self._joined(weights)

    def _weights(self, omega: Omega) -> list[Any]:
        return [leaf for leaf, searched in zip(jax.tree.leaves(omega), self._searched, strict=True) if searched]

    def _joined(self, weights: list[Any]) -> jax.Array:
        return jnp.concatenate([jnp.ravel(leaf) for leaf in weights]).astype(jnp.result_type(float))

    def decode(self, genotype: jax.Array) -> Omega:
        """Decode a genotype ``[D]`` to a pytree like the template."""
        parts = jnp.split(genotype, self._ends[:-1])
        weights = (part.reshape(s.shape).astype(s.dtype) for part, s in zip(parts, self._leaves, strict=True))
        leaves = [next(weights) if other is None else other[0] for other in self._others]
        return jax.tree.unflatten(self._treedef, leaves)


def _called(draw: Callable[[Key], Any]) -> Any:
    """Return what a function draws, with shapes in place of arrays."""
    try:
        return abstract(draw, jax.random.key(0))
    except Exception as error:  # whatever a user's function raises
        raise ConfigurationError(
            "Like expects a pytree of float arrays or a function from a key to one, and calling "
            f"{getattr(draw, '__name__', type(draw).__name__)} with a key fails: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}; give a function of the key alone, such as "
            "lambda key: network.init(key, x)."
        ) from error


def _searched(tree: Any) -> list[bool]:
    """Return for each leaf whether it is searched: float arrays in modules, all numbers elsewhere."""
    mask: list[bool] = []
    for node in jax.tree.leaves(tree, is_leaf=callable):
        mask += map(_is_float, jax.tree.leaves(node)) if callable(node) else array_mask(node)
    return mask


def _is_float(leaf: Any) -> bool:
    return is_array(leaf) and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _kind(leaf: Any) -> str:
    return str(leaf.dtype) if is_array(leaf) else type(leaf).__name__
