"""The exceptions of the package; every message says what was expected, what was given, and what to do."""

import difflib
import sys
import warnings
from collections.abc import Iterable


class EvometaError(Exception):
    """Base class of all exceptions of evometa."""


class ConfigurationError(EvometaError, ValueError):
    """A problem, strategy, space or search has invalid settings."""


class RunDirectoryError(EvometaError):
    """A run directory cannot be written, read or continued."""


class EvaluationError(EvometaError):
    """A problem's code failed for every candidate, or gave a value that is not finite in a search with ``debug=True``.

    The message holds the first traceback of a plain-Python problem, or says where the value was.
    """


class CandidateFailed(EvometaError):
    """A call of a plain-Python problem raises this to say in words why its candidate failed; the search continues.

    Args:
        reason: why, in a sentence without what surrounds it.
        kind: what failures of one cause have in common, by which they are counted; None: the reason.
        details: more lines for the user to read, where the problem rather than the candidate may be to blame. When all
            first candidates fail with details, the search ends and shows them.
    """

    def __init__(self, reason: str, *, kind: str | None = None, details: str | None = None) -> None:
        super().__init__(reason)
        self.kind, self.details = kind or reason, details


class EvometaWarning(UserWarning):
    """Base class of all warnings of evometa."""


class IgnoredFeedbackWarning(EvometaWarning):
    """A strategy makes no use of something that a problem returns, such as its objectives."""


def warn(message: str, category: type[EvometaWarning] = EvometaWarning) -> None:
    """Warn, pointing at the line outside of evometa that called it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known names most similar to a mistyped one; all names if none is similar."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if close:
        return f"Nearest: {', '.join(close)}."
    return f"Known: {', '.join(known)}."
