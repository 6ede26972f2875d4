"""What a problem says of itself: its place on the map of meta-learning, and how to search it."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A strategy, its settings and a limit with which a search gets somewhere in minutes.

    What ``evometa run NAME`` does when it is told nothing else. The strategy is a name, since problems import none.

    Args:
        strategy: the name of a class in :mod:`evometa.strategies`, such as ``OpenAIES``.
        settings: its fields, by name, where they differ from the defaults.
        limits: arguments of :meth:`evometa.Search.run`, such as ``{"seconds": 120}``.
    """

    strategy: str
    settings: Mapping[str, Any] = MappingProxyType({})
    limits: Mapping[str, Any] = MappingProxyType({"seconds": 120})


@dataclasses.dataclass(frozen=True)
class About:
    """Where a problem stands: what is learned, by whom, and who proposed it.

    Args:
        branch: of meta-learning, such as "learned initialisations".
        omega: what ω is, in a few words.
        learner: what the inner loop trains with it; "none" where there is no inner loop.
        paper: first authors and year; empty where there is none.
        recipe: how to search it.
    """

    branch: str
    omega: str
    learner: str
    paper: str = ""
    recipe: Recipe | None = None
