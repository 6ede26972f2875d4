"""Values as an annotation wants them, and annotations in words."""

import enum
import inspect
import math
import numbers
import os
import pathlib
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np

from evometa.errors import nearest
from evometa.settings.ranges import OutOfRange, Refused, Rule


def convert(value: Any, hint: Any) -> Any:
    """Return a value as its annotation wants it.

    Raises:
        Refused: it does not fit.
    """
    if isinstance(value, jax.core.Tracer) or hint in (Any, object):
        return value
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        value = convert(value, parts[0])
        for rule in parts[1:]:
            if isinstance(rule, Rule):
                value = rule.check(value)
        return value
    if origin in (Union, types.UnionType):
        return _one_of(value, parts)
    if isinstance(value, (np.generic, np.ndarray, jax.Array)) and value.shape == () and _is_plain(value):
        plain = value.item()
        if hint in (bool, int, float, str) or origin is Literal:
            value = plain
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in parts):
            known = [choice for choice in parts if isinstance(choice, str)]
            near = nearest(value, known)[:-1] if isinstance(value, str) and len(known) > 3 else ""
            raise Refused(f"; n{near[1:]}" if near.startswith("Nearest") else "")
        return value
    if hint in _PLAIN:
        return _PLAIN[hint](value)
    if origin in (tuple, list, Sequence, Iterable):
        return _sequence(value, origin, parts)
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise Refused("")
        key, item = parts or (Any, Any)
        return {convert(name, key): convert(one, item) for name, one in value.items()}
    if origin is Callable:
        if not callable(value):
            raise Refused("")
        return value
    if isinstance(hint, type) and issubclass(hint, pathlib.PurePath):
        if not isinstance(value, (str, os.PathLike)):
            raise Refused("")
        return value if isinstance(value, hint) else hint(value)
    expected = origin if isinstance(origin, type) else hint
    if expected is os.PathLike and not isinstance(value, os.PathLike):
        raise Refused("")
    strict = isinstance(expected, enum.EnumMeta) or getattr(type(expected), "instances_only", False)
    if strict and not isinstance(value, expected):
        instance = isinstance(value, type) and issubclass(value, expected)
        raise Refused(f"; make an instance, {value.__name__}(...)" if instance else "")
    return value


def _is_plain(value: Any) -> bool:
    return not jnp.issubdtype(value.dtype, jax.dtypes.extended)  # such as a random key


def _one_of(value: Any, hints: tuple[Any, ...]) -> Any:
    """Return a value as one of several annotations wants it: the one of its own type, or else the first that can."""
    refused: Refused | None = None
    for hint in sorted(hints, key=lambda hint: hint is not type(value)):
        try:
            return convert(value, hint)
        except Refused as error:
            refused = error if refused is None or isinstance(error, OutOfRange) else refused
    assert refused is not None
    raise refused


def _whole(value: Any) -> Any:
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return value if isinstance(value, int) else int(value)
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and abs(float(value)) < 2**53 and float(value).is_integer():
        raise Refused(f"; write {math.floor(value)}")
    raise Refused(_without_quotes(value, int))


def _real(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise Refused(_without_quotes(value, float))
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        raise Refused("") from None
    if number != number:
        raise Refused("")
    return value if isinstance(value, int | float) else number


def _without_quotes(value: Any, kind: type) -> str:
    if not isinstance(value, str):
        return ""
    try:
        kind(value)
    except ValueError:
        return ""
    return f"; write {value} without quotes"


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused("")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | os.PathLike):
        raise Refused("")
    return os.fspath(value)


def _nothing(value: Any) -> None:
    if value is not None:
        raise Refused("")


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    bool: _truth,
    int: _whole,
    float: _real,
    str: _text,
    None: _nothing,
    types.NoneType: _nothing,
}


def _sequence(value: Any, origin: Any, parts: tuple[Any, ...]) -> Any:
    known = Iterable if origin is Iterable else Sequence
    items = isinstance(value, known) and not isinstance(value, str | bytes | set | frozenset)
    if not items and not (isinstance(value, np.ndarray | jax.Array) and value.ndim):
        whole = not isinstance(value, str | bytes | set | frozenset | Mapping) and value is not None
        name = getattr(value, "__name__", None) if callable(value) else None
        bracket = "[{}]" if origin is list else "({},)"
        raise Refused(f"; write {bracket.format(name or shown(value))}" if whole else "")
    if origin is Iterable:
        value = tuple(value)
    if origin is tuple and parts[-1:] != (Ellipsis,):
        if len(value) != len(parts) and parts != ((),):
            raise OutOfRange("")
        hints: Sequence[Any] = parts
    else:
        hints = parts[:1] * len(value)
    converted = [convert(item, hint) for item, hint in zip(value, hints, strict=True)]
    return converted if origin is list else tuple(converted)


def described(hint: Any, many: bool = False) -> str:
    """Say what an annotation expects: "a whole number of at least 1", or in the plural for many."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        noun = described(parts[0], many)
        for rule in parts[1:]:
            noun = rule.describe(noun) if isinstance(rule, Rule) else noun
        return noun
    if origin in (Union, types.UnionType):
        *words, last = dict.fromkeys(described(part, many) for part in parts)
        return f"{', '.join(words)} or {last}" if words else last
    if origin is Literal:
        return " or ".join([", ".join(map(repr, parts[:-1])), repr(parts[-1])] if len(parts) > 1 else map(repr, parts))
    if origin in (tuple, list, Sequence, Iterable):
        kind = "list" if origin in (list, Iterable) else "tuple"
        noun = f"{kind}s" if many else f"a {kind}"
        if origin is tuple and parts[-1:] != (Ellipsis,):
            each = [described(part) for part in parts]
            same = len(set(map(repr, parts))) == 1
            return f"{noun} of {f'{len(parts)} {described(parts[0], True)}' if same else ' and '.join(each)}"
        return f"{noun} of {described(parts[0], True)}" if parts[0] is not Any else noun
    if origin in (dict, Mapping):
        noun = "dicts" if many else "a dict"
        sides = zip(parts or (Any, Any), ("keys", "values"), strict=True)
        known = [f"{described(part, True)} as {side}" for part, side in sides if part is not Any]
        return f"{noun} with {' and '.join(known)}" if known else noun
    if isinstance(hint, enum.EnumMeta):
        return " or ".join(map(str, hint.__members__.values()))
    singular = _NOUNS.get(origin or hint)
    if singular is None:
        name = getattr(origin or hint, "__name__", str(hint))
        singular = f"an instance of {name}"
    return re.sub(r"^an? (\w+(?: \w+)*?)( of .*)?$", r"\1s\2", singular) if many else singular


_NOUNS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    None: "None",
    types.NoneType: "None",
    dict: "a dict",
    Mapping: "a dict",
    Callable: "a function",
    pathlib.Path: "a path",
    os.PathLike: "a path",
    Any: "anything",
}


def shown(value: Any) -> str:
    """Return a value as a sentence shows it."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, np.ndarray | jax.Array) and value.shape:
        return f"an array of shape {value.shape} and type {value.dtype}"
    if inspect.isroutine(value):
        return f"the function {value.__name__}"
    text = repr(value.item() if isinstance(value, np.generic | np.ndarray | jax.Array) and _is_plain(value) else value)
    return text if len(text) <= 100 else f"{text[:97]}..."
