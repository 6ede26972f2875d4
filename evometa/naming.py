"""References to classes by name, and descriptions of problems and strategies as JSON.

Run directories, the command line and worker processes need a problem or a strategy in another process, without pickle.
A class is stored as a *reference*, ``evometa.problems:Sinusoid`` when a fresh interpreter can import it by name,
``/home/ada/study.py:Study`` when it comes from a file of the user's own (the running script included). An object is
stored as its class and the values of its dataclass fields, in JSON.

References to evometa's own classes name the public package, not the file, so files can move. References written before
that, such as ``evometa.problems.sinusoid:Sinusoid``, still find their class.
"""

import contextlib
import dataclasses
import enum
import functools
import hashlib
import importlib
import importlib.util
import inspect
import math
import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from evometa.errors import ConfigurationError, EvometaError, nearest

_PRIVATE = "_evometa_file_"
"""Prefix of the module names under which users' files are imported."""

_PUBLIC = ("evometa", "evometa.strategies", "evometa.problems", "evometa.expressions")
"""The packages whose ``__all__`` is searched for a class of evometa that is no longer where its reference says."""

_LIBRARIES = ("jax.numpy", "jax.nn", "jax.lax", "numpy")
"""Where functions of JAX and NumPy are looked for by their public names."""

_MP_MAIN = "__mp_main__"
"""The name that multiprocessing gives to a script that one of its processes imports."""

_importing: list[pathlib.Path] = []
"""The users' files that are currently being imported, the outermost first."""


def reference(cls: Any) -> str:
    """Return the name under which :func:`load` finds a class (or a function), also in another process.

    Args:
        cls: a class at the top level of a module (or nested in another class there).

    Returns:
        ``package:Class`` for a public class of evometa, with the shortest package that exports it; ``module:Class``
        for other installed modules and modules of packages; ``/absolute/file.py:Class`` for the rest.

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
    return vars(package).get(name) if name in getattr(package, "__all__", ()) else None


def user_file(cls: Any) -> pathlib.Path | None:
    """Return the file in the reference of a class, or None if its module can be imported by name.

    Raises:
        ConfigurationError: the class has neither, since it was defined in an interactive session or a notebook.
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if cls.__module__ != "__main__" and (file is None or _found_by_name(cls.__module__, file)):
        return None
    spec = getattr(module, "__spec__", None)  # set in a __main__ that was started with -m
    if spec and "." in spec.name:
        return None
    if not file or not os.path.isfile(file) or file.endswith(".ipynb"):
        raise ConfigurationError(
            f"{cls.__name__} expects to be defined in a file, from which resume and worker processes import it, but "
            "it was typed into an interactive session or a notebook; put it in a file and import it from there."
        )
    return pathlib.Path(file).resolve()


def _found_by_name(name: str, file: str, *, anywhere: bool = False) -> bool:
    """Return whether another process can import the same file by the module's name.

    A top-level module counts only if it is installed, unless it may be found anywhere: otherwise it was found through
    the folder of the script, the working directory or PYTHONPATH, which may differ in another process.
    """
    parts = name.split(".")
    if len(parts) == 1 and not anywhere:
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
    ours = not _is_file(place) and place.split(".")[0] == "evometa"
    found: Any
    known: dict[str, type]
    try:
        module = _module(place)
    except _ModuleMissing as error:
        found = _public().get(path) if ours else None
        if found is None:
            raise ConfigurationError(f"{error} {nearest(path, _public())}" if ours else f"{error}") from None
        known = {}
    else:
        known = {name: value for name, value in vars(module).items() if isinstance(value, type) and name[0] != "_"}
        found = _attribute(module, path)
        if found is None and ours:
            known |= _public()
            found = _public().get(path)
    if isinstance(found, type) and issubclass(found, kind):
        return found
    expected = f"a class derived from {kind.__name__}" if kind is not object else "a class"
    given = f"{path} is {_a(found)}" if found is not None else f"it has no {path}"
    fitting = (name for name, value in known.items() if issubclass(value, kind))
    raise ConfigurationError(f"{place} expects to hold {expected} named {path}, but {given}. {nearest(path, fitting)}")


def classes(place: str, kind: type) -> list[type]:
    """Return the classes derived from ``kind`` that a file or module defines; imports it as :func:`load` does."""
    module = _module(place)
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module.__name__
    ]


def _is_file(place: str) -> bool:
    return place.endswith(".py") or os.sep in place


def _module(place: str) -> ModuleType:
    return _file_module(place) if _is_file(place) else _named_module(place)


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _public() -> dict[str, type]:
    """Return the public classes of evometa by name; imports the packages that hold them."""
    packages = [importlib.import_module(name) for name in _PUBLIC]
    found = {name: getattr(package, name) for package in packages for name in package.__all__}
    return {name: value for name, value in found.items() if isinstance(value, type)}


class _ModuleMissing(ConfigurationError):
    """No module has the name that a reference gives."""


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
            raise _ModuleMissing(
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
    # The source is not compiled by importlib, whose bytecode cache misses edits within the same second.
    digest = hashlib.sha256(str(file).encode() + b"\0" + source).hexdigest()[:16]
    name = f"{_PRIVATE}{digest}"
    return sys.modules[name] if name in sys.modules else _execute(file, name, source)


def _execute(file: pathlib.Path, name: str, source: bytes) -> ModuleType:
    """Import a file as a module of some name, which stays in ``sys.modules``."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise ConfigurationError(f"The file {file} is not a Python source file; its name expects to end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look up the module of the classes they create
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
    if str(file.parent) not in sys.path:  # for what the module imports only when it is used
        sys.path.append(str(file.parent))
    return module


def main_file() -> str | None:
    """Return the file of the running script, None in an interactive session or a notebook."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return os.path.realpath(file) if file else None


def settle_modules(description: Any, main: str | None) -> None:
    """Import the users' files that a description names under their own names; for worker processes.

    So what the problem's code pickles, and the processes that it starts itself (joblib, multiprocessing), find its
    functions and classes by name, as they would without evometa: a file beside others as ``study``, a file of a package
    as ``package.study``, and what the running script defines as ``__main__``, with the script's guarded lines left out.
    A file whose name is taken by another module keeps a private name.

    Args:
        description: a description by :func:`describe`.
        main: the script that the search runs in, as :func:`main_file` says there.

    Raises:
        ConfigurationError: a file fails to import.
    """
    files = [pathlib.Path(place) for place in dict.fromkeys(_files(description))]
    for file in files:
        root, name = _own_name(file)
        if root in sys.path:
            sys.path.remove(root)
        sys.path.insert(0, root)
        if str(file) == main:
            _execute_main(file)
        elif name.isidentifier() and name not in sys.modules and _found_by_name(name, str(file), anywhere=True):
            _execute(file, name, file.read_bytes())
        elif "." in name and _found_by_name(name, str(file)):
            _named_module(name)


def _files(description: Any) -> Iterator[str]:
    """Yield the files in the references of a description."""
    items = description.items() if isinstance(description, dict) else [("", item) for item in description]
    for name, item in items:
        named = item[0] if name == "enum" and isinstance(item, list) and item else item
        if name in ("type", "name", "enum") and isinstance(named, str) and _is_file(named.rpartition(":")[0]):
            yield named.rpartition(":")[0]
        if isinstance(item, dict | list):
            yield from _files(item)


def _own_name(file: pathlib.Path) -> tuple[str, str]:
    """Return the folder from which a file is imported, and the name under which: ``package.module`` in a package."""
    root, parts = file.parent, [file.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    return str(root), ".".join(parts)


def _execute_main(file: pathlib.Path) -> None:
    """Import a script as ``__main__``, without what it does under ``if __name__ == "__main__"``.

    As multiprocessing does it, under the name ``__mp_main__``. Unlike there, its functions and classes are those of
    ``__main__`` afterwards, the name under which the script itself knows them.
    """
    module = _execute(file, _MP_MAIN, file.read_bytes())
    module.__spec__ = None  # a script has none; multiprocessing then starts its processes with the file
    module.__name__ = "__main__"
    sys.modules["__main__"] = module
    _rename(module)


def _rename(holder: Any) -> None:
    for value in list(vars(holder).values()):
        if isinstance(value, type | FunctionType) and value.__module__ == _MP_MAIN:
            value.__module__ = "__main__"
            _rename(value)


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
    """Raise an error if a user's file is being imported, so that a script does not start itself again.

    Args:
        what: what is about to be started, such as "a search".

    Raises:
        ConfigurationError: a user's file is being imported.
    """
    if _importing:
        raise ConfigurationError(
            f"{_importing[-1]} starts {what} while it is being imported for a class it defines; "
            "put the lines that start it under `if __name__ == '__main__':`."
        )


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
        return found if _attribute(_module(found.rpartition(":")[0]), name) is value else None
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
            found = _attribute(_module(place), path)
            if found is None:
                raise ConfigurationError(
                    f"{place} expects to hold {path}, which a setting names, and has none; add it."
                )
            return found
    return rebuild(value)
