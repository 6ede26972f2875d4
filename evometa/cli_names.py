"""Names on the command line: ``openai-es`` for :class:`evometa.strategies.OpenAIES`, or ``file.py:Class``."""

import inspect
import re
from types import ModuleType
from typing import Any, Literal

from evometa import naming
from evometa.errors import ConfigurationError, nearest
from evometa.problem import BaseProblem
from evometa.strategy import Strategy

Role = Literal["problem", "strategy"]


def kebab(name: str) -> str:
    """Return a class name in the spelling of the command line: ``OpenAIES`` is openai-es, ``CMAES`` cmaes."""
    # Neighbouring abbreviations cannot be told apart by their letters; OpenAI is one word.
    name = name.replace("OpenAI", "Openai")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def table(role: Role) -> dict[str, type[Any]]:
    """Return the problems or strategies that come with the package, by their names on the command line."""
    module, base = _room(role)
    classes = [getattr(module, name) for name in module.__all__]
    return {kebab(cls.__name__): cls for cls in classes if isinstance(cls, type) and issubclass(cls, base)}


def find(name: str, role: Role) -> type[Any]:
    """Return the class of a problem or strategy by its name, or by ``file.py:Class`` or ``module:Class``.

    Raises:
        ConfigurationError: there is none (with the nearest names), or it is abstract.
    """
    _, base = _room(role)
    if ":" in name or name.endswith(".py"):
        cls: Any = naming.load(name, base)
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise ConfigurationError(
                f"{name} was expected to be a {role} that can be used, and does not define {missing}; add that."
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


def short_name(reference: str) -> str:
    """Return the name on the command line of a class given by its reference in a manifest, for labels and folders."""
    return kebab(reference.rpartition(":")[2].rpartition(".")[2])


def _plain(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def _room(role: Role) -> tuple[ModuleType, type[Any]]:
    if role == "problem":
        from evometa import problems  # the rooms import what their members need; only who asks pays for it

        return problems, BaseProblem
    from evometa import strategies

    return strategies, Strategy
