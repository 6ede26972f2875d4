"""The modules of the user's own files in a worker process, under the names that they have without evometa."""

import os
import pathlib
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from evometa.naming.modules import execute, found_by_name, import_named, is_file

_MP_MAIN = "__mp_main__"
"""The name that multiprocessing gives to a script that one of its processes imports."""


def main_file() -> str | None:
    """Return the file of the running script, None in an interactive session or a notebook."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return os.path.realpath(file) if file else None


def import_under_own_names(description: Any, main: str | None) -> None:
    """Import the users' files that a description names under their own names; for worker processes.

    So what the problem's code pickles, and the processes that it starts itself (joblib, multiprocessing), find its
    functions and classes by name, as they would without evometa: a file beside others as ``study``, a file of a package
    as ``package.study``, and what the running script defines as ``__main__``, with the script's guarded lines left out.
    A file whose name is taken by another module keeps a private name.

    Args:
        description: a description by :func:`evometa.naming.describe`.
        main: the script that the search runs in, as :func:`main_file` returns it there.

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
        elif name.isidentifier() and name not in sys.modules and found_by_name(name, str(file), anywhere=True):
            execute(file, name, file.read_bytes())
        elif "." in name and found_by_name(name, str(file)):
            import_named(name)


def _files(description: Any) -> Iterator[str]:
    """Yield the files in the references of a description."""
    items = description.items() if isinstance(description, dict) else [("", item) for item in description]
    for name, item in items:
        named = item[0] if name == "enum" and isinstance(item, list) and item else item
        if name in ("type", "name", "enum") and isinstance(named, str) and is_file(named.rpartition(":")[0]):
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
    module = execute(file, _MP_MAIN, file.read_bytes())
    module.__spec__ = None  # a script has none; multiprocessing then starts its processes with the file
    module.__name__ = "__main__"
    sys.modules["__main__"] = module
    _rename(module)


def _rename(holder: Any) -> None:
    """Let the functions and classes of a module or class belong to ``__main__``."""
    for value in list(vars(holder).values()):
        if isinstance(value, type | FunctionType) and value.__module__ == _MP_MAIN:
            value.__module__ = "__main__"
            _rename(value)
