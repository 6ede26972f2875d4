"""Several spaces under their names, some of them conditional."""

import itertools
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.backend.static_leaves import pack, unpack
from evometa.errors import ConfigurationError
from evometa.spaces.base import Coordinates, VectorSpace
from evometa.spaces.conditional import When
from evometa.spaces.discrete import Categorical, Integer
from evometa.types import Key, Omega


class Dict(VectorSpace):
    """Several named spaces; ω is a dict of their ω, and a genotype is the concatenation of their genotypes.

    Args:
        spaces: name -> vector space, at least one, or a :class:`When` around one; their order is that of the
            coordinates.
        named: more of them, as keywords: ``Dict(rate=Box(()), units=Integer(1, 64))``.

    Raises:
        ConfigurationError: no space, a name given twice, a value that is not a vector space, or a condition on what is
            not named before.
    """

    def __init__(self, spaces: Mapping[str, VectorSpace | When] | None = None, /, **named: VectorSpace | When) -> None:
        twice = sorted(named.keys() & (spaces or {}))
        if twice:
            raise ConfigurationError(
                f"Dict expects a name once, got {', '.join(twice)} both in the dict and by keyword."
            )
        spaces = {**(spaces or {}), **named}
        inner = {name: space.space if isinstance(space, When) else space for name, space in spaces.items()}
        wrong = {name: type(space).__name__ for name, space in inner.items() if not isinstance(space, VectorSpace)}
        if wrong or not spaces:
            raise ConfigurationError(
                "Dict expects a space (Box, Like, Integer, Categorical, Permutation, Subset, Fixed, Dict, When around "
                f"one of them) for each name, got {wrong or '{}'}."
            )
        self.spaces = inner
        self._conditions: dict[str, _Condition] = {}
        for name, space in spaces.items():
            if isinstance(space, When):
                before = {other: inner[other] for other in itertools.takewhile(name.__ne__, inner)}
                self._conditions[name] = _condition(name, space, before)
        parts = [space.coordinates for space in self.spaces.values()]
        self.coordinates = Coordinates(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        self._ends = np.cumsum([space.size for space in self.spaces.values()])
        self.blocks = tuple(
            (int(end) - space.size + first, block)
            for space, end in zip(self.spaces.values(), self._ends, strict=True)
            for first, block in space.blocks
        )

    @property
    def start_given(self) -> bool:
        """Whether the user gave a start for each of the named spaces."""
        return all(space.start_given for space in self.spaces.values())

    def start(self, key: Key) -> jax.Array:
        """Concatenate the starts of the named spaces to one genotype ``[D]``."""
        return jnp.concatenate([s.start(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def sample(self, key: Key) -> jax.Array:
        """Concatenate a draw from each named space to one genotype ``[D]``."""
        return jnp.concatenate([s.sample(k) for s, k in zip(self.spaces.values(), self._keys(key), strict=True)])

    def _keys(self, key: Key) -> list[Key]:
        return list(jax.random.split(key, len(self.spaces)))

    def active(self, omega: Mapping[str, Omega]) -> dict[str, Any]:
        """Return for each conditional part of an ω whether it is active, a boolean scalar like ω's own leaves."""
        found: dict[str, Any] = {}
        for name, condition in self._conditions.items():
            met = (omega[condition.name] == condition.values).any() if condition.name in omega else False
            found[name] = met & found.get(condition.name, True)
        return found

    def present(self, omega: Omega) -> dict[str, Omega]:
        """Return ω without the parts that are not active, as plain-Python problems get it; on the host."""
        active = self.active(omega)
        return {name: s.present(omega[name]) for name, s in self.spaces.items() if active.get(name, True)}

    def readable(self, omega: Omega) -> dict[str, Omega]:
        """Return the active parts of an ω as people read them."""
        active = self.active(omega)
        given = {name: space for name, space in self.spaces.items() if name in omega and active.get(name, True)}
        return {name: space.readable(omega[name]) for name, space in given.items()}

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode a dict with the ω of each named space as a genotype ``[D]``.

        Parts that are not active, or are constant, may be absent.
        """
        constant = {name for name, space in self.spaces.items() if not space.size}
        given = set(omega) if isinstance(omega, Mapping) else {f"a {type(omega).__name__}"}
        if given - set(self.spaces) or set(self.spaces) - given - set(self._conditions) - constant:
            raise ConfigurationError(
                f"Dict expects a start with a value for each of {list(self.spaces)}, got {sorted(map(str, given))}."
            )
        deciding = {condition.name for condition in self._conditions.values()}
        parts, known = [np.zeros(0)], dict[str, Omega]()
        for name, space in self.spaces.items():
            if name in constant - given:
                continue
            if name not in self._conditions or self._meets(name, known):
                if name not in given:
                    raise ConfigurationError(f"Dict expects a start with {name!r}, which is active, got {omega}.")
                parts.append(np.asarray(space.encode(omega[name]), np.float64))
                if name in deciding:
                    known[name] = jax.device_get(space.decode(jnp.asarray(parts[-1])))
            else:  # whatever it is, it is not used
                parts.append(np.asarray(space.start(jax.random.key(0)), np.float64))
        return np.concatenate(parts)

    def _meets(self, name: str, known: Mapping[str, Omega]) -> bool:
        condition = self._conditions[name]
        return condition.name in known and bool(np.isin(known[condition.name], condition.values))

    def decode(self, genotype: jax.Array) -> dict[str, Omega]:
        """Decode a genotype ``[D]`` to a dict with the ω of each named space."""
        parts = jnp.split(genotype, self._ends[:-1])
        omega = {name: s.decode(part) for (name, s), part in zip(self.spaces.items(), parts, strict=True)}
        for name, active in self.active(omega).items():
            otherwise = self._conditions[name].otherwise
            part = jax.tree.map(
                lambda leaf, active=active, value=otherwise: jnp.where(active, leaf, jnp.asarray(value, leaf.dtype)),
                pack(omega[name]),
            )
            omega[name] = unpack(part)
        return omega


class _Condition(NamedTuple):
    """When a part of a :class:`Dict` is active."""

    name: str
    """Of the part that decides."""
    values: NDArray[np.int64]
    """Indices of its choices, or integers."""
    otherwise: float


def _condition(name: str, when: When, before: Mapping[str, VectorSpace]) -> _Condition:
    decides = before.get(when.name)
    if not isinstance(decides, Integer | Categorical) or decides.shape:
        raise ConfigurationError(
            f"Dict expects {name!r} to depend on an Integer or Categorical without a shape, named before it, got "
            f"When({when.name!r}, ...) after {list(before)}."
        )
    whole = isinstance(decides, Integer)
    choices = range(decides.low, decides.high + 1, decides.step) if isinstance(decides, Integer) else decides.choices
    several = not isinstance(when.values, str) and isinstance(when.values, Collection) and when.values not in choices
    values = list(when.values) if several else [when.values]
    unknown = [value for value in values if value not in choices]
    if unknown or not values:
        raise ConfigurationError(
            f"Dict expects {name!r} to be active for some of the values of {when.name!r}, {choices}, got "
            f"{when.values!r}."
        )
    index = [int(value) if whole else choices.index(value) for value in values]
    return _Condition(when.name, np.asarray(index, np.int64), when.otherwise)
