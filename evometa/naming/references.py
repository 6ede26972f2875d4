"""References: the name under which another process finds a class, such as ``evometa.problems:Sinusoid``."""

import hashlib
import importlib
import os
import pathlib
import sys
from types import ModuleType
from typing import Any

from evometa.errors import ConfigurationError, nearest
from evometa.naming.cells import cell_file
from evometa.naming.modules import ModuleMissing, found_by_name, import_place, is_file

_PUBLIC = ("evometa", "evometa.strategies", "evometa.problems", "evometa.expressions")
"""The packages whose ``__all__`` is searched for a class of evometa that is no longer where its reference says."""


def reference(cls: Any) -> str:
    """Return the name under which :func:`load` finds a class (or a function), also in another process.

    Args:
        cls: a class at the top level of a module (or nested in another class there).

    Returns:
        ``package:Class`` for a public class of evometa, with the shortest package that exports it; ``module:Class``
        for other installed modules and modules of packages; ``/absolute/file.py:Class`` for the rest.

    Raises:
        ConfigurationError: the class was made inside a function, in a session without a file, or in a notebook and uses
            what cannot be kept.
    """
    if "<locals>" in cls.__qualname__:
        raise ConfigurationError(
            f"{cls.__name__} expects to be a class at the top level of a module, so that another process can import "
            f"it, but it was defined inside a function ({cls.__qualname__}); move it out of the function."
        )
    file = user_file(cls)
    if file:
        return f"{file}:{cls.__qualname__}"
    module = sys.modules[cls.__module__]
    name = module.__spec__.name if module.__name__ == "__main__" and module.__spec__ else cls.__module__
    return f"{_exporter(cls) or name}:{cls.__qualname__}"


def _exporter(cls: Any) -> str | None:
    """Return the outermost package of evometa around a class's module that exports the class, or None."""
    parts = cls.__module__.split(".")
    if parts[0] != "evometa":
        return None
    # A package is loaded before its modules, so nothing needs importing here.
    packages = (".".join(parts[:i]) for i in range(1, len(parts) + 1))
    return next((name for name in packages if _exported(sys.modules[name], cls.__qualname__) is cls), None)


def _exported(package: ModuleType, name: str) -> Any:
    return getattr(package, name, None) if name in getattr(package, "__all__", ()) else None


def user_file(cls: Any) -> pathlib.Path | None:
    """Return the file in the reference of a class, or None if its module can be imported by name.

    Raises:
        ConfigurationError: the class has neither, since it was defined in an interactive session; or in a notebook,
            whose source is kept in a file (:mod:`evometa.naming.cells`), and uses what cannot be kept.
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__ != "__main__" and (file is None or found_by_name(cls.__module__, file)):
        return None
    spec = getattr(module, "__spec__", None)  # set in a __main__ that was started with -m
    if spec and "." in spec.name:
        return None
    if not file or not os.path.isfile(file) or file.endswith(".ipynb"):
        kept = cell_file(cls) if "." not in cls.__qualname__ else None
        if kept is not None:
            return kept
        raise ConfigurationError(
            f"{cls.__name__} expects to be defined in a file or in a cell of a notebook, from which resume and worker "
            "processes import it, but it was typed into an interactive session; put it in a file and import it from "
            "there."
        )
    return pathlib.Path(file).resolve()


def fingerprint(cls: type) -> dict[str, str] | None:
    """Return ``{"file": path, "sha256": digest}`` of a user's file, or None for a class that is imported by name.

    Raises:
        ConfigurationError: the class has no file, see :func:`reference`.
    """
    file = user_file(cls)
    return {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} if file else None


def load(name: str, kind: type = object) -> type:
    """Import the class that a reference names.

    A class of evometa that is no longer where its reference says is found by its name among the public classes. A
    module that is already imported is used, so ``load(reference(cls)) is cls``. Any other file is imported under a
    private module name, again if its content has changed. Meanwhile its folder is first on ``sys.path``, so that it can
    import the files beside it.

    Args:
        name: ``module:Class`` or ``path/to/file.py:Class``.
        kind: the expected base class.

    Raises:
        ConfigurationError: the name is no reference, the module, file or class does not exist (the message suggests
            similar names), the class is not derived from ``kind``, or importing the module fails.
    """
    place, colon, path = name.rpartition(":")
    if not (colon and place and path):
        raise ConfigurationError(
            f"A class expects to be named as 'module:Class' or 'path/to/file.py:Class', got {name!r}."
        )
    ours = not is_file(place) and place.split(".")[0] == "evometa"
    found: Any
    known: dict[str, type]
    try:
        module = import_place(place)
    except ModuleMissing as error:
        found = _public_classes().get(path) if ours else None
        if found is None:
            raise ConfigurationError(f"{error} {nearest(path, _public_classes())}" if ours else f"{error}") from None
        known = {}
    else:
        known = {name: value for name, value in vars(module).items() if isinstance(value, type) and name[0] != "_"}
        found = attribute(module, path)
        if found is None and ours:
            known |= _public_classes()
            found = _public_classes().get(path)
    if isinstance(found, type) and issubclass(found, kind):
        return found
    expected = f"a class derived from {kind.__name__}" if kind is not object else "a class"
    given = f"{path} is {_a(found)}" if found is not None else f"it has no {path}"
    fitting = (name for name, value in known.items() if issubclass(value, kind))
    raise ConfigurationError(f"{place} expects to hold {expected} named {path}, but {given}. {nearest(path, fitting)}")


def classes(place: str, kind: type) -> list[type]:
    """Return the classes derived from ``kind`` that a file or module defines; imports it as :func:`load` does."""
    module = import_place(place)
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module.__name__
    ]


def attribute(module: ModuleType, path: str) -> Any:
    """Return what a module holds under a dotted path such as ``Outer.Inner``, None if nothing."""
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _public_classes() -> dict[str, type]:
    """Return the public classes of evometa by name; imports the packages that hold them."""
    packages = [importlib.import_module(name) for name in _PUBLIC]
    found = {name: getattr(package, name) for package in packages for name in package.__all__}
    return {name: value for name, value in found.items() if isinstance(value, type)}


def _a(value: object) -> str:
    if isinstance(value, type):
        return f"derived from {', '.join(base.__name__ for base in value.__bases__)}"
    return f"of type {type(value).__name__}"
