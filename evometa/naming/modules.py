"""Importing the module that a reference names: an installed one by its name, a user's file by its path."""

import contextlib
import contextvars
import hashlib
import importlib
import importlib.util
import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from types import ModuleType

from evometa.errors import ConfigurationError, EvometaError, nearest

_PRIVATE = "_evometa_file_"
"""Prefix of the module names under which users' files are imported."""

_importing: list[pathlib.Path] = []
"""The users' files that are currently being imported, the outermost first."""


_own_only = contextvars.ContextVar("_own_only", default=False)
_OWN = ("evometa", "evometa.strategies", "evometa.problems", "evometa.expressions")
"""The packages whose classes manifests name."""
_OWN_MODULES = ("evometa.strategies.", "evometa.problems.", "evometa.expressions.")
"""How modules begin that manifests of older versions name."""


class ModuleMissing(ConfigurationError):
    """No module has the name that a reference gives."""


def import_place(place: str) -> ModuleType:
    """Import the module of a reference, ``module`` or ``path/to/file.py``; raises ConfigurationError if that fails."""
    if _own_only.get() and (is_file(place) or not (place in _OWN or place.startswith(_OWN_MODULES))):
        raise ConfigurationError(
            f"{place} is not imported here, where a class expects to be one of evometa's own; 'evometa report' "
            "imports every class that a run names."
        )
    return import_file(place) if is_file(place) else import_named(place)


@contextlib.contextmanager
def only_own_classes() -> Iterator[None]:
    """Have references in this context name evometa's problems, strategies and what they consist of, nothing else.

    A manifest can name any file or module, and importing one runs its code: whoever only looks at run directories that
    others may have made does not want that.
    """
    token = _own_only.set(True)
    try:
        yield
    finally:
        _own_only.reset(token)


def is_file(place: str) -> bool:
    """Return whether the part of a reference before the colon is a file's path rather than a module's name."""
    return place.endswith(".py") or os.sep in place


def import_named(name: str) -> ModuleType:
    """Import a module by its name.

    Raises:
        ModuleMissing: there is no such module.
        ConfigurationError: importing it fails.
    """
    try:
        return importlib.import_module(name)
    except EvometaError:
        raise
    except Exception as error:
        parts = name.split(".")
        prefixes = [".".join(parts[: i + 1]) for i in range(len(parts))]
        if isinstance(error, ModuleNotFoundError) and error.name in prefixes:
            raise ModuleMissing(
                f"The module {name} cannot be found by this interpreter; install it, start from the folder that "
                f"holds it, or name a file as 'path/to/file.py:Class'."
            ) from None
        raise ConfigurationError(f"The module {name} fails to import: {type(error).__name__}: {error}") from error


def import_file(place: str) -> ModuleType:
    """Import a user's file by its path, again if its content has changed.

    A module that is already imported from the file by its own name is used. Otherwise the file is imported under a
    private name.

    Raises:
        ConfigurationError: there is no such file (the message suggests similar names), or importing it fails.
    """
    file = pathlib.Path(place).expanduser().resolve()
    for module in list(sys.modules.values()):
        known = getattr(module, "__file__", None)
        same = isinstance(known, str) and os.path.basename(known) == file.name and pathlib.Path(known).resolve() == file
        if same and not module.__name__.startswith(_PRIVATE):
            return module
    if not file.is_file():
        others = [other.name for other in file.parent.glob("*.py")]
        empty = "holds no Python file" if file.parent.is_dir() else "does not exist either"
        hint = nearest(file.name, others) if others else f"Its folder {empty}."
        raise ConfigurationError(f"The file {file} does not exist. {hint}")
    source = file.read_bytes()
    # The source is not compiled by importlib, whose bytecode cache misses edits within the same second.
    digest = hashlib.sha256(str(file).encode() + b"\0" + source).hexdigest()[:16]
    name = f"{_PRIVATE}{digest}"
    return sys.modules[name] if name in sys.modules else execute(file, name, source)


def execute(file: pathlib.Path, name: str, source: bytes) -> ModuleType:
    """Import a file as a module of some name, which stays in ``sys.modules``.

    Meanwhile the file's folder is first on ``sys.path``, so that it can import the files beside it.
    """
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


def found_by_name(name: str, file: str, *, anywhere: bool = False) -> bool:
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
