"""Descriptions of problems for ``evometa list``, and their recommended strategies and budgets."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Recipe(NamedTuple):
    """The recommended strategy, settings and budget of a problem, with which a search makes progress within minutes.

    ``evometa run NAME`` uses them if no strategy is given.
    """

    strategy: str
    """The name of a class in :mod:`evometa.strategies`, such as ``OpenAIES``; problems do not import strategies."""
    settings: Mapping[str, Any] = {}
    """The strategy's fields that differ from their defaults, by name."""
    limits: Mapping[str, Any] = {"seconds": 120}
    """The budget, as arguments of :meth:`evometa.Search.run`."""


class ProblemCard(NamedTuple):
    """A short description of a problem: what is learned, by which learner, and who proposed it."""

    branch: str
    """The branch of meta-learning, such as "learned initialisations"."""
    omega: str
    """What ω is, in a few words."""
    learner: str
    """What the inner loop trains; "none" without an inner loop."""
    paper: str = ""
    """First author and year; empty if there is no paper."""
    recipe: Recipe | None = None
    """The recommended strategy and budget."""
