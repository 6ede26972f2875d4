"""Callbacks: what a user's code is told while a search runs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from evometa.errors import ConfigurationError
from evometa.search.progress import Status
from evometa.storage.result import Result

if TYPE_CHECKING:
    from evometa.search.search import Search


class Report(NamedTuple):
    """What a callback is told after a dispatch."""

    search: "Search"
    """The search."""
    status: Status
    """How far it is."""
    rows: dict[str, NDArray[Any]]
    """The history of the dispatch's generations, a column at a time."""


class Callback:
    """Called at the events of a search; subclasses override the methods of those that they want.

    A function that takes a :class:`Report` serves as well: it is called as :meth:`dispatch`.
    """

    def start(self, search: "Search") -> None:
        """Called when :meth:`~evometa.Search.run` begins, before the first dispatch."""

    def dispatch(self, report: Report) -> bool | None:
        """Called after each dispatch, of one generation or several; a true result stops the search."""

    def validation(self, report: Report) -> None:
        """Called after a dispatch in which there were validations: rows with a ``center`` that is not NaN."""

    def checkpoint(self, report: Report) -> None:
        """Called after a checkpoint was written."""

    def end(self, search: "Search", result: Result) -> None:
        """Called with the result when the search has stopped, before ``run`` returns it."""


class FunctionCallback(Callback):
    """A function called after each dispatch.

    Args:
        function: takes a report; a true result stops the search.
    """

    def __init__(self, function: Callable[[Report], bool | None]) -> None:
        self._function = function

    def dispatch(self, report: Report) -> bool | None:
        """Call the function."""
        return self._function(report)


def as_callback(given: Any) -> Callback:
    """Return a callback or a function as a callback.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(given, Callback):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionCallback(given)
    raise ConfigurationError(
        "Search expects each of callbacks as a function of a report or an instance of evometa.Callback, which are "
        f"called while it runs, got {given!r}."
    )
