"""The exceptions of the package; every message says what was expected, what it means, what was given, what to do."""

import difflib
from collections.abc import Iterable


class EvometaError(Exception):
    """Base of every error that evometa raises on purpose."""


class ConfigurationError(EvometaError, ValueError):
    """A problem, strategy, space or search was described in a way that cannot work."""


class RunDirectoryError(EvometaError):
    """A run directory cannot be written, read or continued."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known names closest to a mistyped one."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if close:
        return f"Nearest: {', '.join(close)}."
    return f"Known: {', '.join(known)}."
