"""Classes that were typed into a notebook: their source as a file, which other processes import.

A class in a cell has no file. Its own source is known to :mod:`linecache` (IPython keeps each cell there), and with it
go the other classes and functions of the notebook that it uses, the imports, and constants that are plain values.
Anything else that it uses, such as an array that a cell has computed, cannot be kept, and the class is refused.
"""

import ast
import builtins
import hashlib
import linecache
import os
import pathlib
import re
import sys
import tempfile
import textwrap
import types
from typing import Any

from evometa.errors import ConfigurationError

HEADER = '"""Kept from a notebook by evometa: what a problem or strategy that was typed there needs."""\n'
PLAIN = (int, float, complex, str, bytes, bool, type(None))
"""Types whose values are kept as they are written; and tuples, lists, sets and dicts of them."""


def folder() -> pathlib.Path:
    """Return the folder of kept sources of this user; their names are digests of their content."""
    return pathlib.Path(tempfile.gettempdir()) / f"evometa-cells-{os.getuid()}"


def cell_file(cls: type) -> pathlib.Path | None:
    """Return the file with the source of a class that was typed into a notebook, written if need be.

    None where its source is not known, as in Python's own interactive session.

    Raises:
        ConfigurationError: it uses what cannot be kept.
    """
    source = _Collector(vars(sys.modules["__main__"]), cls.__name__).module(cls)
    if source is None:
        return None
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    path = folder() / f"notebook_{digest}.py"
    if not path.exists():
        folder().mkdir(mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder())
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    return path


def is_cell_file(file: str) -> bool:
    """Return whether a file is one that :func:`cell_file` wrote, or a copy of one."""
    return re.fullmatch(r"notebook_[0-9a-f]{16}\.py", os.path.basename(file)) is not None


class _Collector:
    """Collects what a class needs, each part after those that it needs itself."""

    def __init__(self, names: dict[str, Any], wanted: str) -> None:
        self._names, self._wanted = names, wanted
        self._imports: list[str] = []
        self._parts: dict[str, str] = {}

    def module(self, cls: type) -> str | None:
        """Return the source of a module with the class; None where the class's own source is not known."""
        if _definition(cls) is None:
            return None
        self._define(cls.__name__, cls)
        return "\n".join([HEADER, *sorted(self._imports), "\n", "\n\n\n".join(self._parts.values())]) + "\n"

    def _define(self, name: str, value: Any) -> None:
        """Add the definition of a class or function of the notebook, after what it uses."""
        found = _definition(value)
        if found is None:
            raise self._cannot(name, "whose source is not known")
        text, node = found
        self._parts[name] = ""  # it may use itself
        for used in sorted({part.id for part in ast.walk(node) if isinstance(part, ast.Name)}):
            if used in self._names and used not in self._parts and used not in _bound(node):
                self._add(used, self._names[used])
        del self._parts[name]
        self._parts[name] = text

    def _add(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType):
            self._imports.append(f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}")
            return
        module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
        if isinstance(value, type | types.FunctionType) and module == "__main__":
            self._define(name, value)
        elif _found_in(module, qualified) is value:
            self._imports.append(f"from {module} import {qualified} as {name}")
        elif _is_plain(value):
            self._parts[name] = f"{name} = {value!r}"
        elif (place := _place_of(value, name)) is not None:
            self._imports.append(f"from {place} import {name}")
        elif not hasattr(builtins, name):
            raise self._cannot(name, f"of type {type(value).__name__}")

    def _cannot(self, name: str, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._wanted} was typed into a notebook and uses {name}, {what}, which cannot be kept with the run; "
            "make it a field of the class or compute it in a method, or put the class in a file and import it from "
            "there."
        )


def _definition(value: Any) -> tuple[str, ast.AST] | None:
    """Return the source of a class or function of the notebook, and its syntax tree; the newest of its cell."""
    functions = [value] if isinstance(value, types.FunctionType) else _functions(value)
    name = value.__name__
    for function in functions:
        lines = linecache.getlines(function.__code__.co_filename)
        for node in reversed(_parsed("".join(lines))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip(), node
    return None


def _functions(cls: type) -> list[types.FunctionType]:
    """Return the functions of a class that its body defines, not those that decorators made."""
    found = [getattr(value, "fget", value) for value in vars(cls).values()]
    found = [getattr(value, "__func__", value) for value in found]
    return [value for value in found if isinstance(value, types.FunctionType) and value.__module__ == cls.__module__]


def _parsed(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError:  # a cell with magics
        return []


def _bound(node: ast.AST) -> set[str]:
    """Return the names of a definition's parameters, which hide those of the notebook."""
    return {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}


def _found_in(module: str | None, qualified: str | None) -> Any:
    found: Any = sys.modules.get(module or "")
    for part in (qualified or "<none>").split("."):
        found = getattr(found, part, None)
    return found


def _place_of(value: Any, name: str) -> str | None:
    """Return an imported module that holds a value under a name, such as ``jax.numpy`` for ``pi``."""
    for place, module in list(sys.modules.items()):
        if place != "__main__" and not place.startswith("_") and vars(module or types).get(name) is value:
            return place
    return None


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(_is_plain, value))
    return type(value) in PLAIN
