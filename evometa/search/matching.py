"""ω of one space in another: where names, choices and shapes are the same, it is the same; what is missing is drawn."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from evometa.errors import ConfigurationError
from evometa.spaces import Box, Categorical, Dict, Integer, Space, VectorSpace
from evometa.types import Genotype, Key, Omega


class Matched(NamedTuple):
    """An ω of another space as a genotype."""

    genotype: Genotype
    names: frozenset[str]
    """The parts that were taken; those in groups with dots."""
    drawn: frozenset[str]
    """The parts that the other space does not have, or with other values."""


def matched(space: Space, omega: Omega, key: Key, genotype: Genotype | None = None) -> Matched:
    """Return an ω, as people read it, as a genotype of a space.

    Parts of a :class:`~evometa.Dict` are found by their names, categories by those of their choices; numbers outside of
    the bounds are moved to them. Parts that are not there are drawn.

    Args:
        space: the space.
        omega: what :meth:`Space.readable` of its own space returned.
        key: randomness for what is drawn.
        genotype: its own genotype, for spaces that cannot encode an ω.

    Raises:
        ConfigurationError: nothing of it fits the space.
    """
    if not isinstance(space, VectorSpace):
        return Matched(_encoded(space, omega, genotype), frozenset(), frozenset())
    if not isinstance(space, Dict):
        return Matched(_part(space, omega), frozenset(), frozenset())
    if not isinstance(omega, Mapping):
        raise ConfigurationError(f"it has an ω without names, and the space has {', '.join(space.spaces)}")
    found = _named(space, omega, key, "")
    if not found.names:
        raise ConfigurationError(f"it has {', '.join(map(str, omega))}, and the space {', '.join(space.spaces)}")
    return found


def _encoded(space: Space, omega: Omega, genotype: Genotype | None) -> Genotype:
    for given in (genotype, omega):
        if given is not None:
            try:
                return jax.tree.map(np.asarray, space.encode(given))
            except (ConfigurationError, TypeError, ValueError, AttributeError) as error:
                reason = error
    raise ConfigurationError(f"its candidates are none of {type(space).__name__}: {reason}")


def _named(space: Dict, omega: Mapping[str, Any], key: Key, where: str) -> Matched:
    parts, names, drawn = [np.zeros(0)], set[str](), set[str]()
    for name, own, draw in zip(
        space.spaces, space.spaces.values(), jax.random.split(key, len(space.spaces)), strict=True
    ):
        path = f"{where}{name}"
        if isinstance(own, Dict) and isinstance(omega.get(name), Mapping):
            inner = _named(own, omega[name], draw, f"{path}.")
            parts.append(inner.genotype)
            names |= inner.names
            drawn |= inner.drawn
            continue
        try:
            parts.append(_part(own, omega[name]))
            names.add(path)
        except (KeyError, ConfigurationError):
            parts.append(np.asarray(jax.device_get(own.sample(draw)), np.float64))
            if own.size:
                drawn.add(path)
    return Matched(np.concatenate(parts), frozenset(names), frozenset(drawn))


def _part(space: VectorSpace, value: Any) -> Any:
    """Return the genotype of a part; a number that a table has as text is one."""
    try:
        if isinstance(space, Categorical):
            names = [str(getattr(choice, "__name__", choice)) for choice in space.choices]
            value = np.reshape([names.index(name) for name in np.ravel(np.asarray(value).astype(str))], np.shape(value))
        elif isinstance(space, Box | Integer):
            if np.shape(value) != space.shape:
                raise ConfigurationError(f"it has an ω of shape {np.shape(value)}, and the space {space.shape}")
            value = np.asarray(value).astype(np.float64)
            if isinstance(space, Integer):
                value = space.low + space.step * np.round((value - space.low) / space.step)
                value = np.clip(value, space.low, space.high - (space.high - space.low) % space.step)
            else:
                low, high = (
                    (-np.inf if space.low is None else space.low),
                    (np.inf if space.high is None else space.high),
                )
                value = np.clip(value.ravel(), low, high).reshape(space.shape)
        elif not isinstance(value, Mapping) and (texts := np.asarray(value)).dtype.kind == "U":  # as a table has them
            numbers = texts.astype(np.float64)
            value = numbers.astype(np.int64) if (numbers % 1 == 0).all() else numbers
        genotype = np.asarray(space.encode(value), np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from None
    if not np.isfinite(genotype).all():
        raise ConfigurationError("it has numbers that are not finite")
    return genotype
