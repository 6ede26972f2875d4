"""Names: how a class is written down, and how an object is described as JSON and built again.

The run directory, the command line and the worker processes all need a problem or a strategy in another process, at
another time. Nothing is pickled: a class is a *reference*, ``evometa.problems.sinusoid:Sinusoid`` when a fresh
interpreter can import its module by name, ``/home/ada/study.py:Study`` when it comes from a file of the user's own
(the running script included); an object is its class and the values of its dataclass fields, as readable JSON.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import math
import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from evometa.errors import ConfigurationError, EvometaError, nearest

_PRIVATE = "_evometa_file_"
"""Start of the module names under which users' files are imported."""

_importing: list[pathlib.Path] = []
"""The users' files being imported right now, outermost first."""


def reference(cls: type) -> str:
    """Return the name under which :func:`load` finds a class, also in another process.

    Args:
        cls: a class at the top level of a module (or nested in another class there).

    Returns:
        ``module:Class`` for installed modules and modules of packages, ``/absolute/file.py:Class`` for others.

    Raises:
        ConfigurationError: the class was made inside a function, or in a session or notebook without a file.
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
    return f"{name}:{cls.__qualname__}"


def user_file(cls: type) -> pathlib.Path | None:
    """Return the file by which a class is referred to, or None when its module can be imported by name.

    Raises:
        ConfigurationError: the class has neither: it was typed into an interactive session or a notebook.
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__ != "__main__" and (file is None or _found_by_name(cls.__module__, file)):
        return None
    spec = getattr(module, "__spec__", None)  # set in a __main__ that was started with -m
    if spec and "." in spec.name:
        return None
    if not file or not os.path.isfile(file):
        raise ConfigurationError(
            f"{cls.__name__} expects to be defined in a file, from which resume and worker processes import it, but "
            "it was typed into an interactive session or a notebook; put it in a file and import it from there."
        )
    return pathlib.Path(file).resolve()


def _found_by_name(name: str, file: str) -> bool:
    """Return whether another process finds a module's file by the module's name.

    It may for a module of a package. A module on its own counts only when it is installed: any other was found through
    the folder of the script, the current folder or PYTHONPATH, which another process need not share.
    """
    parts = name.split(".")
    if len(parts) == 1:
        places = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
        if not any(pathlib.Path(file).is_relative_to(place) for place in places):
            return False
    spec, inside = None, None
    for i in range(len(parts)):
        wanted = ".".join(parts[: i + 1])
        spec = next(filter(None, (finder.find_spec(wanted, inside) for finder in sys.meta_path)), None)
        if spec is None:
            return False
        inside = spec.submodule_search_locations
    return spec is not None and spec.origin is not None and os.path.realpath(spec.origin) == os.path.realpath(file)


def fingerprint(cls: type) -> dict[str, str] | None:
    """Return ``{"file": path, "sha256": digest}`` of a user's file, None for a class that is imported by name.

    Raises:
        ConfigurationError: the class has no file, see :func:`reference`.
    """
    file = user_file(cls)
    return {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} if file else None


def load(name: str, kind: type = object) -> type:
    """Import the class that a reference names.

    A module that this process has imported already is used as it is, so ``load(reference(cls)) is cls``. Any other
    file is imported once for each content it had, under a private module name, with its folder first on ``sys.path``
    meanwhile, so that it can import its neighbours.

    Args:
        name: ``module:Class`` or ``path/to/file.py:Class``.
        kind: the class that it must be, or be derived from.

    Raises:
        ConfigurationError: not a reference, no such module, file or class (with the nearest names), not of the kind
            asked for, or the module fails when it is imported.
    """
    place, colon, path = name.rpartition(":")
    if not (colon and place and path):
        raise ConfigurationError(
            f"A class expects to be named as 'module:Class' or 'path/to/file.py:Class', got {name!r}."
        )
    module = _file_module(place) if place.endswith(".py") or os.sep in place else _named_module(place)
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, kind):
        return found
    expected = f"a class derived from {kind.__name__}" if kind is not object else "a class"
    given = f"{path} is {_a(found)}" if found is not None else f"it has no {path}"
    known = [
        n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, kind) and not n.startswith("_")
    ]
    raise ConfigurationError(f"{place} expects to hold {expected} named {path}, but {given}. {nearest(path, known)}")


def _a(value: object) -> str:
    if isinstance(value, type):
        return f"derived from {', '.join(base.__name__ for base in value.__bases__)}"
    return f"of type {type(value).__name__}"


def _named_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except EvometaError:
        raise
    except Exception as error:
        parts = name.split(".")
        prefixes = [".".join(parts[: i + 1]) for i in range(len(parts))]
        if isinstance(error, ModuleNotFoundError) and error.name in prefixes:
            raise ConfigurationError(
                f"The module {name} cannot be found by this interpreter; install it, start from the folder that "
                f"holds it, or name a file as 'path/to/file.py:Class'."
            ) from None
        raise ConfigurationError(f"The module {name} fails to import: {type(error).__name__}: {error}") from error


def _file_module(place: str) -> ModuleType:
    file = pathlib.Path(place).expanduser().resolve()
    for module in list(sys.modules.values()):
        known = getattr(module, "__file__", None)
        same = isinstance(known, str) and os.path.basename(known) == file.name and pathlib.Path(known).resolve() == file
        if same and not module.__name__.startswith(_PRIVATE):
            return module
    if not file.is_file():
        raise ConfigurationError(
            f"The file {file} does not exist. {nearest(file.name, (other.name for other in file.parent.glob('*.py')))}"
        )
    source = file.read_bytes()
    # The source is compiled here, not by importlib, whose bytecode cache misses edits within one second.
    digest = hashlib.sha256(str(file).encode() + b"\0" + source).hexdigest()[:16]
    name = f"{_PRIVATE}{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise ConfigurationError(f"The file {file} is not a Python source file; its name expects to end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look the module up while its classes are made
    try:
        with _first_on_path(file):
            exec(compile(source, str(file), "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, EvometaError) or not isinstance(error, Exception | SystemExit):
            raise
        raise ConfigurationError(
            f"The file {file} fails to import: {type(error).__name__}: {error} "
            "(a file inside a package is named by its module, 'package.module:Class')."
        ) from error
    return module


@contextlib.contextmanager
def _first_on_path(file: pathlib.Path) -> Iterator[None]:
    folder = str(file.parent)
    sys.path.insert(0, folder)
    _importing.append(file)
    try:
        yield
    finally:
        _importing.pop()
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def refuse_while_importing(what: str) -> None:
    """Raise when called from a user's file that is only being imported, to stop a script from starting itself anew.

    Args:
        what: what was about to be started, such as "a search".

    Raises:
        ConfigurationError: a user's file is being imported.
    """
    if _importing:
        raise ConfigurationError(
            f"{_importing[-1]} starts {what} while it is being imported for a class it defines; "
            "put the lines that start it under `if __name__ == '__main__':`."
        )


def describe(obj: Any) -> dict[str, Any]:
    """Describe a frozen dataclass instance, such as a problem or a strategy, as plain JSON.

    Numbers, strings, booleans and None are written as they are, tuples as arrays, nested dataclasses like the whole.
    What JSON has no word for is an object with one member: ``{"list": [...]}``, ``{"dict": [[key, value], ...]}``,
    ``{"path": "..."}`` and ``{"float": "nan" | "inf" | "-inf"}``.

    Returns:
        ``{"type": reference, "fields": {name: value}}``, from which :func:`rebuild` makes an equal object.

    Raises:
        ConfigurationError: not a frozen dataclass instance, a class without a reference, or a field with a value
            that has no exact description, such as an array or a function.
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
    if kind in (tuple, list):
        items = [_encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if kind is tuple else {"list": items}
    if kind is dict:
        return {"dict": [[_encode(k, f"{where} key"), _encode(item, f"{where}[{k!r}]")] for k, item in value.items()]}
    if isinstance(value, pathlib.Path):
        return {"path": str(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return describe(value)
    raise ConfigurationError(
        f"{where} expects a number, string, tuple, path or frozen dataclass, which the run's manifest can hold, got "
        f"{kind.__module__}.{kind.__qualname__}; use a plain Python value in the field and build the rest from it "
        "inside the class."
    )


def rebuild(description: Any) -> Any:
    """Build the object that :func:`describe` described.

    Raises:
        ConfigurationError: not a description, a class that cannot be loaded, or fields that are not those of the
            class as it is now.
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
    return rebuild(value)
