"""The exceptions of the package; every message says what was expected, what was given, and what to do."""

import difflib
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


class IgnoredFeedbackWarning(UserWarning):
    """A strategy makes no use of something that a problem returns, such as its objectives."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known names most similar to a mistyped one; all names if none is similar."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if close:
        return f"Nearest: {', '.join(close)}."
    return f"Known: {', '.join(known)}."
