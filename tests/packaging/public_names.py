"""Import everything an installed evometa holds and print, as JSON, what is wrong; run outside the repository."""

import importlib
import inspect
import json
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def modules(package: ModuleType) -> Iterator[str]:
    yield package.__name__
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield info.name


def public(module: ModuleType) -> list[str]:
    """Return the names a module offers: its ``__all__``, or else what it defines without an underscore."""
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return list(getattr(module, "__all__", defined))


def undocumented(name: str, value: Any) -> Iterator[str]:
    """Yield an object and its own public methods that lack a docstring (a dataclass's signature is not one)."""
    if inspect.isclass(value):
        text = value.__doc__ or ""
        if not text or text.startswith(f"{value.__name__}("):
            yield name
        for attribute, member in vars(value).items():
            member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            method = not attribute.startswith("_") and inspect.isfunction(member)
            if method and not inspect.getdoc(getattr(value, attribute)):  # an override inherits its text
                yield f"{name}.{attribute}"
    elif (inspect.isroutine(value) or inspect.ismodule(value)) and not inspect.getdoc(value):
        yield name


def main() -> None:
    import evometa

    report: dict[str, Any] = {"file": evometa.__file__, "version": evometa.__version__, "modules": []}
    report |= {"broken": [], "undocumented": []}
    for name in modules(evometa):
        report["modules"].append(name)
        if name.endswith(".__main__"):
            continue  # importing it runs the command
        try:
            module = importlib.import_module(name)
        except Exception:
            report["broken"].append(f"{name}: {traceback.format_exc(limit=-1)}")
            continue
        if not module.__doc__:
            report["undocumented"].append(name)
        for item in public(module):
            try:
                value = getattr(module, item)
            except Exception as error:
                report["broken"].append(f"{name}.{item}: {error!r}")
            else:
                report["undocumented"].extend(undocumented(f"{name}.{item}", value))
    report["modules"].sort()
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
