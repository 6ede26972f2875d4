"""Descriptions: a problem or strategy as JSON, the reference of its class and the values of its fields."""

import dataclasses
import enum
import functools
import inspect
import math
import pathlib
import sys
from typing import Any

import numpy as np

from evometa.errors import ConfigurationError, nearest
from evometa.naming.modules import import_place
from evometa.naming.references import attribute, load, reference

_LIBRARIES = ("jax.numpy", "jax.nn", "jax.lax", "numpy")
"""Where functions of JAX and NumPy are looked for by their public names."""


def describe(obj: Any) -> dict[str, Any]:
    """Describe a frozen dataclass instance, such as a problem or a strategy, as JSON.

    Numbers, strings, booleans and None are written as they are, tuples as arrays, and nested dataclasses as
    descriptions. Other values are objects with one member: ``{"list": [...]}``, ``{"dict": [[key, value], ...]}``,
    ``{"path": "..."}``, ``{"float": "nan" | "inf" | "-inf"}``, ``{"dtype": "float32"}``, ``{"enum": [class, member]}``,
    ``{"name": "jax.numpy:tanh"}`` for functions and classes that can be imported, and ``{"partial": [function,
    arguments, keywords]}``. Numbers of numpy are written as Python's.

    Returns:
        ``{"type": reference, "fields": {name: value}}``, from which :func:`rebuild` makes an equal object.

    Raises:
        ConfigurationError: the object is no instance of a frozen dataclass, its class has no reference, or a field has
            a value without an exact description, such as an array or a function.
    """
    cls = type(obj)
    if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise ConfigurationError(
            f"{cls.__name__} expects to be a frozen dataclass, whose fields the run's manifest can hold; "
            "decorate the class with @dataclasses.dataclass(frozen=True)."
        )
    fields = {
        field.name: _encode(getattr(obj, field.name), f"{cls.__name__}.{field.name}")
        for field in dataclasses.fields(obj)
        if field.init
    }
    return {"type": reference(cls), "fields": fields}


def _encode(value: Any, where: str) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.generic) and kind is not np.void:
        return _encode(value.item(), where)
    if kind in (tuple, list):
        items = [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if kind is tuple else {"list": items}
    if kind is dict:
        return {"dict": [[_encode(k, f"{where} key"), _encode(item, f"{where}[{k!r}]")] for k, item in value.items()]}
    if isinstance(value, pathlib.Path):
        return {"path": str(value)}
    if isinstance(value, np.dtype) and value.kind in "biufcV" and not value.fields:  # V: bfloat16 and its like
        return {"dtype": value.name}
    if isinstance(value, enum.Enum):
        return {"enum": [reference(kind), value.name]}
    if kind is functools.partial:
        return {"partial": [_encode(part, where) for part in (value.func, value.args, value.keywords)]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return describe(value)
    if callable(value) and (name := _importable(value)):
        return {"name": name}
    given = (
        f"the function {value.__qualname__}" if inspect.isroutine(value) else f"{kind.__module__}.{kind.__qualname__}"
    )
    raise ConfigurationError(
        f"{where} expects a number, string, tuple, path, data type, Enum, frozen dataclass, or a function or class at "
        f"the top level of a module, which the run's manifest can hold, got {given}; use such a value in the field and "
        "build the rest from it inside the class."
    )


def _importable(value: Any) -> str | None:
    """Return the name by which another process finds a function or class, or None.

    Functions of JAX and NumPy have their public name: their modules are private and change.
    """
    name = str(getattr(value, "__qualname__", None) or getattr(value, "__name__", ""))
    for place in _LIBRARIES:
        if getattr(sys.modules.get(place), name, None) is value:
            return f"{place}:{name}"
    try:
        found = reference(value)
        return found if attribute(import_place(found.rpartition(":")[0]), name) is value else None
    except (ConfigurationError, AttributeError, KeyError):
        return None


def rebuild(description: Any) -> Any:
    """Build an object from the description by :func:`describe`.

    Raises:
        ConfigurationError: this is no description, the class cannot be loaded, or its fields have changed.
    """
    if not isinstance(description, dict) or set(description) != {"type", "fields"}:
        raise ConfigurationError(f"A description expects exactly the members 'type' and 'fields', got {description!r}.")
    cls = load(description["type"])
    given = description["fields"]
    if not dataclasses.is_dataclass(cls) or not isinstance(given, dict):
        raise ConfigurationError(f"{description['type']} expects to be a dataclass with named fields, got {given!r}.")
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    for name in given:
        if name not in names:
            raise ConfigurationError(
                f"{description['type']} has no field {name}, which its description names; "
                f"the class has changed since it was written. {nearest(name, names)}"
            )
    # A field that the class got later has a default, with which the class does what it did before.
    missing = [
        field.name
        for field in dataclasses.fields(cls)
        if field.init
        and field.name not in given
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigurationError(
            f"The description of {description['type']} lacks {', '.join(missing)}; "
            "the class has changed since it was written: add the fields to the description."
        )
    return cls(**{name: _decode(value) for name, value in given.items()})


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    match value:
        case {"float": str(text)}:
            return float(text)
        case {"list": list(items)}:
            return [_decode(item) for item in items]
        case {"dict": list(items)}:
            return {_decode(key): _decode(item) for key, item in items}
        case {"path": str(text)}:
            return pathlib.Path(text)
        case {"dtype": str(text)}:
            return np.dtype(text)
        case {"enum": [str(text), str(member)]}:
            return load(text, enum.Enum)[member]  # type: ignore[index]
        case {"partial": [function, arguments, keywords]}:
            return functools.partial(_decode(function), *_decode(arguments), **_decode(keywords))
        case {"name": str(text)}:
            place, _, path = text.rpartition(":")
            found = attribute(import_place(place), path)
            if found is None:
                raise ConfigurationError(
                    f"{place} expects to hold {path}, which a setting names, and has none; add it."
                )
            return found
    return rebuild(value)


def without_modules(description: Any) -> Any:
    """Return a description with evometa's classes by their bare names.

    So the same settings compare equal whichever module an older version wrote for a class.
    """
    match description:
        case {"type": str(name), "fields": dict(fields)}:
            place, _, path = name.rpartition(":")
            ours = place.split(".")[0] == "evometa"
            values = {field: without_modules(value) for field, value in fields.items()}
            return {"type": path if ours else name, "fields": values}
        case list(items):
            return [without_modules(item) for item in items]
    return description
