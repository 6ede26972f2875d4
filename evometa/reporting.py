"""What a plain-Python problem tells of a call while it runs, so that a bad one can be stopped."""

import contextlib
import math
import numbers
from collections.abc import Iterator
from typing import Any

from evometa.errors import ConfigurationError
from evometa.pruning import Cutoffs


class Stopped(BaseException):
    """Ends a call whose candidate is not worth more work.

    No ``Exception``, so ``except Exception`` in the problem's code does not keep it. Code that catches it all the same
    gains nothing: what the call does and returns afterwards is not used.
    """


class Reporter:
    """Hears what one call reports.

    Args:
        sign: the factor that turns the problem's fitness into one to minimise.
        cutoffs: what the call is held against.
    """

    def __init__(self, sign: float, cutoffs: Cutoffs) -> None:
        self._sign, self._cutoffs = sign, cutoffs
        self.reports: list[tuple[int, float]] = []
        """Steps and losses, to be minimised."""
        self.stopped = False
        """Whether the call was told to end."""
        self.value = math.nan
        """What was reported last, in the problem's own direction."""

    def hear(self, step: int, value: float) -> None:
        """Take a report; raise :class:`Stopped` if the call is to end."""
        if self.stopped:
            raise Stopped
        if self.reports and step <= self.reports[-1][0]:
            raise ConfigurationError(
                f"report expects ascending steps, got {step} after {self.reports[-1][0]}; count over the whole call."
            )
        self.value = value
        if math.isfinite(value):
            self.reports.append((step, self._sign * value))
            self.stopped = self._cutoffs.stops(self.reports)
        else:
            self.stopped = True
        if self.stopped:
            raise Stopped

    @property
    def step(self) -> int:
        """The step of the newest report, 0 before there is one."""
        return self.reports[-1][0] if self.reports else 0


_listening: list[Reporter] = []
"""Who hears reports in this process, where calls follow one another: the last one."""


@contextlib.contextmanager
def listening(reporter: Reporter | None) -> Iterator[None]:
    """Let a reporter hear what is reported; None: nobody hears it."""
    before, _listening[:] = list(_listening), [] if reporter is None else [reporter]
    try:
        yield
    finally:
        _listening[:] = before


def report(step: int, value: float) -> None:
    """Tell whoever listens how the call in this process is doing (:meth:`evometa.HostProblem.report`)."""
    if isinstance(step, bool) or not isinstance(step, numbers.Integral) or step < 0:
        raise ConfigurationError(f"report expects step as a whole number of at least 0, got {step!r}.")
    try:
        number = float(_scalar(value))
    except (TypeError, ValueError):
        raise ConfigurationError(f"report expects value as one number, got {value!r}; convert it to a float.") from None
    if _listening:
        _listening[-1].hear(int(step), number)


def _scalar(value: Any) -> Any:
    if isinstance(value, str) or getattr(value, "shape", ()) != ():  # which float may take for a number
        raise TypeError
    return value
