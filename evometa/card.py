"""What a problem says of itself: its place on the map of meta-learning, and how to search it."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """A strategy, its settings and a limit with which a search gets somewhere in minutes.

    It is what ``evometa run NAME`` does when it is told nothing else.
    """

    strategy: str
    """The name of a class in :mod:`evometa.strategies`, such as ``OpenAIES``; a name, since problems import none."""
    settings: Mapping[str, Any] = {}
    """Its fields, by name, where they differ from the defaults."""
    limits: Mapping[str, Any] = {"seconds": 120}
    """Arguments of :meth:`evometa.Search.run`."""


class ProblemCard(NamedTuple):
    """Where a problem stands: what is learned, by whom, and who proposed it."""

    branch: str
    """Of meta-learning, such as "learned initialisations"."""
    omega: str
    """What ω is, in a few words."""
    learner: str
    """What the inner loop trains with it; "none" where there is no inner loop."""
    paper: str = ""
    """First author and year; empty where there is none."""
    recipe: Recipe | None = None
    """How to search it."""
