"""The parameters of a command as JSON or TOML: names, types and bounds, nested groups and conditions."""

import dataclasses
import functools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa.errors import ConfigurationError, nearest
from evometa.settings import Checked
from evometa.spaces import Box, Categorical, Dict, Fixed, Integer, VectorSpace, When
from evometa.spaces.base import INTEGER, Coordinates
from evometa.types import Omega

RESERVED = ("candidate", "candidate_directory", "parameters", "seed")
"""What a command may name besides its parameters."""

_KEYS = {
    "float": ("low", "high", "log", "step", "start", "shape"),
    "integer": ("low", "high", "log", "step", "start", "shape"),
    "categorical": ("choices", "start"),
    "fixed": ("value",),
}
_TYPES = {name: name for name in _KEYS} | {"int": "integer", "real": "float", "box": "float", "category": "categorical"}
_EXAMPLE = '{"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": true}}'


class Steps(VectorSpace):
    """One real number in steps from a lower bound; a genotype counts them.

    Args:
        low: the lowest number.
        step: the difference of neighbours.
        count: how many steps there are.
        start: the number at which a search begins; None draws it.
    """

    def __init__(self, low: float, step: float, count: int, start: float | None = None) -> None:
        self.lowest, self.width = low, step
        self.coordinates = Coordinates.of(1, 0, count, INTEGER)
        self._start = None if start is None else self.encode(start)

    def encode(self, omega: Omega) -> NDArray[np.float64]:
        """Encode the number that is nearest as a genotype ``[1]``."""
        count = np.round((np.asarray(omega, np.float64).reshape(1) - self.lowest) / self.width)
        if not 0 <= count[0] <= self.coordinates.upper[0]:
            raise ConfigurationError(
                f"A parameter with steps expects its start from {self.lowest} to "
                f"{self.readable(self.lowest + self.width * self.coordinates.upper[0])}, got {omega}."
            )
        return np.asarray(count)

    def decode(self, genotype: jax.Array) -> jax.Array:
        """Decode a genotype ``[1]`` to its number."""
        return self.lowest + self.width * jnp.round(genotype[0])

    def readable(self, omega: Omega) -> Omega:
        """Return numbers without the dust of binary fractions: 0.3, not 0.30000000000000004."""
        return np.vectorize(lambda x: float(f"{float(x):.12g}"), otypes=[float])(omega)[()]


@dataclasses.dataclass(frozen=True)
class CommandSpace(metaclass=Checked):
    """The parameters of a command, as a file describes them.

    Args:
        content: the description as JSON text; :meth:`read` takes a file, :meth:`of` a dict.

    Raises:
        ConfigurationError: it is not JSON, or describes no space.
    """

    content: str

    def __post_init__(self) -> None:
        """Build the space once, so that mistakes are told here, and keep the description in one line."""
        object.__setattr__(self, "content", json.dumps(self.described))
        _ = self.space

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "CommandSpace":
        """Return the parameters that a dict describes."""
        try:
            content = json.dumps(dict(described))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"A command's parameters expect a dict of numbers, strings, lists and dicts, as in {_EXAMPLE}: {error}."
            ) from None
        return cls(content)

    @classmethod
    def read(cls, path: str | Path) -> "CommandSpace":
        """Return the parameters that a JSON or TOML file describes.

        Raises:
            ConfigurationError: the file cannot be read, or describes no space.
        """
        path = Path(path).expanduser()
        try:
            text = path.read_text(encoding="utf-8-sig")
            content = json.dumps(tomllib.loads(text)) if path.suffix.lower() == ".toml" else text
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"{path} was expected to be a JSON or TOML file with the parameters of a command: {reason}; give "
                f"one such as {_EXAMPLE}."
            ) from None
        try:
            return cls(content)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from None

    @classmethod
    def from_word(cls, word: str) -> "CommandSpace":
        """Return the parameters that a word of a command line gives: a file, or JSON text itself."""
        return cls(word) if word.lstrip().startswith("{") else cls.read(word)

    def as_word(self) -> str:
        """Return the JSON text."""
        return self.content

    @functools.cached_property
    def described(self) -> dict[str, Any]:
        """The description as a dict."""
        try:
            found = json.loads(self.content, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                f"A command's parameters expect JSON such as {_EXAMPLE}, got text that is not: {error.msg} in line "
                f"{error.lineno}, column {error.colno}."
            ) from None
        if not isinstance(found, dict) or not found:
            raise ConfigurationError(
                f"A command's parameters expect a JSON object of at least one name, such as {_EXAMPLE}, got "
                f"{self.content.strip()[:60] or 'nothing'}."
            )
        return found

    @functools.cached_property
    def space(self) -> Dict:
        """The space; ω is a dict with an entry for each name, constants that are no numbers left out."""
        return _group(self.described, ())

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters, those in groups with dots: ``optimizer.lr``."""
        return tuple(".".join(path) for path, _ in _leaves(self.described))

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield each string that a parameter may be, with the parameter's name."""
        for path, entry in _leaves(self.described):
            for choice in [*entry.get("choices", ()), entry.get("value")]:
                if isinstance(choice, str):
                    yield ".".join(path), choice

    def examples(self) -> Iterator[dict[str, Any]]:
        """Yield values of the types that the program may be given, by name, so that each choice occurs."""
        leaves = [(".".join(path), entry) for path, entry in _leaves(self.described)]
        for place in range(max(len(entry.get("choices", "x")) for _, entry in leaves)):
            yield {name: _example(entry, name, place) for name, entry in leaves}

    def values(self, omega: Omega) -> dict[str, Any]:
        """Return what the program is given for one ω, by name, as JSON holds it; without inactive parameters."""
        found: dict[str, Any] = {}
        for path, entry in _leaves(self.described):
            name, part, space = ".".join(path), omega, self.space
            if _type(entry, name) == "fixed":
                found[name] = entry["value"]
                continue
            for step in path[:-1]:
                part, space = part[step], space.spaces[step]  # type: ignore[assignment]
            if path[-1] in part:
                found[name] = _value(entry, space.spaces[path[-1]], part[path[-1]])
        return found


def _group(described: Mapping[str, Any], path: tuple[str, ...]) -> Dict:
    spaces: dict[str, VectorSpace | When] = {}
    for name, entry in described.items():
        where = ".".join((*path, name))
        if not name or any(mark in name for mark in "{}:!.") or name != name.strip() or where in RESERVED:
            raise ConfigurationError(
                f"A command's parameter expects a name without {{ }} : ! . and spaces at its ends, other than "
                f"{', '.join(RESERVED)}, got {where!r}; rename it."
            )
        if not isinstance(entry, Mapping):
            raise ConfigurationError(
                f"Parameter {where!r} expects an object with its type and bounds, as in {_EXAMPLE}, got {entry!r}; a "
                f'constant is {{"value": {json.dumps(entry)}}}.'
            )
        try:
            if _is_leaf(entry):
                if (space := _space(entry, where)) is not None:
                    spaces[name] = _conditional(space, entry, described, where)
            else:
                spaces[name] = _group(entry, (*path, name))
        except ConfigurationError as error:
            told = str(error).startswith(("Parameter", "A command's"))
            raise ConfigurationError(str(error) if told else f"Parameter {where!r}: {error}") from None
    if not spaces:
        raise ConfigurationError(
            f"A command's parameters expect at least one to search in {'.'.join(path) or 'the whole'}, got only "
            "constants; give a parameter bounds or choices, or write the constants into the command."
        )
    try:
        return Dict(spaces)
    except ConfigurationError as error:
        raise ConfigurationError(f"A command's parameters: {error}") from None


def _is_leaf(entry: Mapping[str, Any]) -> bool:
    """Return whether an object describes a parameter, rather than a group of them."""
    plain = [key for key, value in entry.items() if not isinstance(value, Mapping)]
    return bool(plain) or not entry


def _leaves(
    described: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for name, entry in described.items():
        if _is_leaf(entry):
            yield (*path, name), entry
        else:
            yield from _leaves(entry, (*path, name))


def _type(entry: Mapping[str, Any], where: str) -> str:
    named = entry.get("type", "categorical" if "choices" in entry else "fixed" if "value" in entry else None)
    if isinstance(named, str) and named.lower() in _TYPES:
        return _TYPES[named.lower()]
    advice = nearest(named, _KEYS) if isinstance(named, str) else f"Known: {', '.join(_KEYS)}."
    raise ConfigurationError(
        f"Parameter {where!r} expects a type, got {'none' if named is None else repr(named)}. {advice}"
    )


def _space(entry: Mapping[str, Any], where: str) -> VectorSpace | None:
    """Return the space of one parameter; None for a constant that is no number."""
    kind = _type(entry, where)
    for key in entry:
        if key not in (known := ("type", *_KEYS[kind], *(("when",) if kind != "fixed" else ()))):
            raise ConfigurationError(f"Parameter {where!r} has no setting {key!r} as a {kind}. {nearest(key, known)}")
    needed = {"integer": ("low", "high"), "categorical": ("choices",), "fixed": ("value",)}.get(kind, ())
    for key in (*needed, *(("low", "high") if "step" in entry else ())):
        if key not in entry:
            raise ConfigurationError(f"Parameter {where!r} expects {key!r} as a {kind}, got none; give it.")
    options = {key: value for key, value in entry.items() if key not in ("type", "when", "low", "high", "shape")}
    shape = entry.get("shape", ())
    shape = (shape,) if isinstance(shape, int) else shape
    if kind == "fixed":
        value = entry["value"]
        return Fixed(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "categorical":
        return _categorical(entry, where)
    if kind == "integer":
        return Integer(entry["low"], entry["high"], shape, **options)
    return _steps(entry, where) if "step" in entry else Box(shape, entry.get("low"), entry.get("high"), **options)


def _categorical(entry: Mapping[str, Any], where: str) -> Categorical:
    choices = entry["choices"]
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        raise ConfigurationError(f"Parameter {where!r} expects choices as a list of at least one, got {choices!r}.")
    names = list(map(as_text, choices))
    if len(set(names)) < len(names):
        raise ConfigurationError(f"Parameter {where!r} expects choices that differ as text, got {choices!r}.")
    if "start" not in entry:
        return Categorical(names)
    if (start := as_text(entry["start"])) not in names:
        raise ConfigurationError(f"Parameter {where!r} expects its start among {choices!r}, got {entry['start']!r}.")
    return Categorical(names, start=start)


def _steps(entry: Mapping[str, Any], where: str) -> Steps:
    numbers = {key: entry[key] for key in ("low", "high", "step", "start") if key in entry}
    wrong = [key for key, value in numbers.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong or entry.get("log") or entry.get("shape") or not numbers["step"] > 0 or numbers["low"] > numbers["high"]:
        raise ConfigurationError(
            f"Parameter {where!r} expects step > 0 with numbers low <= high, without log and shape, got {dict(entry)}."
        )
    low, step = float(numbers["low"]), float(numbers["step"])
    return Steps(low, step, int((numbers["high"] - low) / step + 1e-9), numbers.get("start"))


def _conditional(
    space: VectorSpace, entry: Mapping[str, Any], beside: Mapping[str, Any], where: str
) -> VectorSpace | When:
    when = entry.get("when")
    if when is None:
        return space
    if not isinstance(when, Mapping) or len(when) != 1:
        raise ConfigurationError(
            f'Parameter {where!r} expects "when" as an object with one name and its values, such as '
            f'{{"optimizer": "sgd"}} or {{"optimizer": ["sgd", "rmsprop"]}}, got {when!r}.'
        )
    ((name, values),) = when.items()
    values = values if isinstance(values, list) else [values]
    decides = beside.get(name)
    if not isinstance(decides, Mapping) or not _is_leaf(decides) or _type(decides, name) == "fixed":
        raise ConfigurationError(
            f"Parameter {where!r} expects to depend on a parameter of its own group, got {name!r}. "
            f"{nearest(name, [other for other in beside if other != where.rpartition('.')[2]])}"
        )
    return When(name, list(map(as_text, values)) if _type(decides, name) == "categorical" else values, space)


def _example(entry: Mapping[str, Any], name: str, place: int) -> Any:
    kind = _type(entry, name)
    if kind in ("categorical", "fixed"):
        return entry["choices"][place % len(entry["choices"])] if kind == "categorical" else entry["value"]
    one = 1 if kind == "integer" else 0.5
    return [one] if entry.get("shape") else one


def _value(entry: Mapping[str, Any], space: VectorSpace, part: Omega) -> Any:
    if isinstance(space, Categorical):
        return entry["choices"][int(part)]
    return np.asarray(space.readable(part)).tolist()


def as_text(value: Any) -> str:
    """Return a value as a word of a command line: strings as they are, everything else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"A command's parameters expect each name once, got {twice[0]!r} several times.")
    return dict(pairs)


def _refuse_constant(text: str) -> Any:
    raise ConfigurationError(
        f"A command's parameters expect finite numbers, got {text}; leave out a bound that is not there."
    )
