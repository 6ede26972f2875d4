"""The card of a problem: its branch of meta-learning, and how to search it."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """A recommended strategy, its settings and a budget, with which a search gets a good result in minutes.

    ``evometa run NAME`` uses it for whatever its options do not set.
    """

    strategy: str
    """The name of a class in :mod:`evometa.strategies`, such as ``OpenAIES``; problems do not import strategies."""
    settings: Mapping[str, Any] = {}
    """Fields of the strategy that differ from their defaults, by name."""
    limits: Mapping[str, Any] = {"seconds": 120}
    """The budget, as arguments of :meth:`evometa.Search.run`."""


class ProblemCard(NamedTuple):
    """The entry of a problem in ``evometa list``, and its recipe.

    It is the class attribute ``card`` of a problem.
    """

    branch: str
    """The branch of meta-learning, such as "learned initialisations"."""
    omega: str
    """What ω is, in a few words."""
    learner: str
    """What the inner loop trains with ω; "none" without an inner loop."""
    paper: str = ""
    """First author and year; empty without a paper."""
    recipe: Recipe | None = None
    """The recommended strategy and budget; None: ``evometa run`` needs a strategy and a limit."""
