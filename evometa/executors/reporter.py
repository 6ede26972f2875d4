"""Hearing what one call reports, and ending it where its cutoffs say so."""

from typing import Any

from evometa.errors import ConfigurationError
from evometa.executors.returned import read_result
from evometa.problem import HostProblem, sign_of
from evometa.pruning import Cutoffs, Losses
from evometa.reporting import Stopped


class Reporter:
    """Hears what one call reports.

    Args:
        problem: the problem.
        cutoffs: what the call is held against.
    """

    def __init__(self, problem: HostProblem, cutoffs: Cutoffs) -> None:
        self._problem, self._cutoffs = problem, cutoffs
        self.reports: list[tuple[int, Losses]] = []
        """Steps and losses."""
        self.stopped = False
        """Whether the call was told to end."""
        self._found: dict[str, Any] = {}

    def hear(self, step: int, value: Any) -> None:
        """Take a report; raise :class:`Stopped` if the call is to end."""
        if self.stopped:
            raise Stopped
        if self.reports and step <= self.reports[-1][0]:
            raise ConfigurationError(
                f"report expects ascending steps, got {step} after {self.reports[-1][0]}; count over the whole call."
            )
        self._found = read_result(self._problem, "report", value)
        if "error" in self._found:
            raise ConfigurationError(f"{self._found['failure']}.".replace("to return ", ""))
        if "failure" in self._found:  # it is not finite
            self.stopped = True
        else:
            sign = sign_of(self._problem)
            told = self._found["vectors"]["objectives"] if self._cutoffs.objectives else [self._found["fitness"]]
            self.reports.append((step, tuple(sign * each for each in told)))
            self.stopped = self._cutoffs.stops(self.reports)
        if self.stopped:
            raise Stopped

    def result(self) -> dict[str, Any]:
        """Return what became of a call that was stopped, as JSON: what it reported last."""
        stopped_at = 0 if "failure" in self._found else max(self.reports[-1][0], 1)
        return self._found | {"reports": self.reports, "stopped_at": stopped_at}
