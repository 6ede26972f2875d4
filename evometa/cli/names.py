"""Names on the command line: ``openai-es`` for :class:`evometa.strategies.OpenAIES`, or ``file.py:Class``."""

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from evometa import naming
from evometa.errors import ConfigurationError, nearest
from evometa.naming.words import Role, kebab
from evometa.problem import BaseProblem
from evometa.storage.manifest import read_manifest
from evometa.strategy import Strategy


def table(role: Role) -> dict[str, type[Any]]:
    """Return the built-in problems or strategies by their names on the command line."""
    module, base = _package(role)
    classes = [getattr(module, name) for name in module.__all__]
    return {kebab(cls.__name__): cls for cls in classes if isinstance(cls, type) and issubclass(cls, base)}


def find(name: str, role: Role) -> type[Any]:
    """Return the class of a problem or strategy by its name, or by ``file.py:Class`` or ``module:Class``.

    Raises:
        ConfigurationError: there is no such class (the message suggests similar names), or it is abstract.
    """
    _, base = _package(role)
    if name.endswith(".py"):
        held = [cls.__name__ for cls in naming.classes(name, base) if not inspect.isabstract(cls)]
        choice = f"; name it, as in {name}:{held[0]}" if held else f"; define one, derived from {base.__name__}"
        raise ConfigurationError(
            f"{name} expects the name of a class behind it, since a file may hold several; it holds "
            f"{', '.join(held) or f'no {role}'}{choice}."
        )
    if ":" in name:
        cls: Any = naming.load(name, base)
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise ConfigurationError(
                f"{name} was expected to be a complete {role}, and does not define {missing}; define that in the class."
            )
        return cls  # type: ignore[no-any-return]
    known = table(role)
    spelled = {_plain(key): cls for key, cls in known.items()}
    if _plain(name) not in spelled:
        raise ConfigurationError(
            f"There is no {role} named {name!r}; give one that 'evometa list' shows, or file.py:Class for your own. "
            f"{nearest(name, known)}"
        )
    return spelled[_plain(name)]


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def moved_to(name: str, role: Role, directory: Path) -> Any:
    """Return the problem or strategy of a run, with its settings, from a class that has moved."""
    fields = getattr(read_manifest(directory), role)["fields"]
    return naming.rebuild({"type": naming.reference(find(name, role)), "fields": fields})


def _package(role: Role) -> tuple[ModuleType, type[Any]]:
    if role == "problem":
        from evometa import problems  # imported only when needed: it imports the dependencies of all problems

        return problems, BaseProblem
    from evometa import strategies

    return strategies, Strategy
