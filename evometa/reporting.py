"""What a plain-Python problem tells of a call while it runs, so that a bad one can be stopped."""

import contextlib
import numbers
from collections.abc import Iterator
from typing import Any, Protocol

from evometa.errors import ConfigurationError


class Stopped(BaseException):
    """Ends a call whose candidate is not worth more work.

    No ``Exception``, so ``except Exception`` in the problem's code does not keep it. Code that catches it all the same
    gains nothing: what the call does and returns afterwards is not used.
    """


class Listener(Protocol):
    """Hears what calls report."""

    def hear(self, step: int, value: Any) -> None:
        """Take a report; raise :class:`Stopped` if the call is to end."""


_listening: list[Listener] = []
"""Who hears reports in this process, where calls follow one another: the last one."""


@contextlib.contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Let a listener hear what is reported; None: nobody hears it."""
    before, _listening[:] = list(_listening), [] if listener is None else [listener]
    try:
        yield
    finally:
        _listening[:] = before


def report(step: int, value: Any) -> None:
    """Tell whoever listens how the call in this process is doing (:meth:`evometa.HostProblem.report`)."""
    if isinstance(step, bool) or not isinstance(step, numbers.Integral) or step < 0:
        raise ConfigurationError(f"report expects step as a whole number of at least 0, got {step!r}.")
    if _listening:
        _listening[-1].hear(int(step), value)
