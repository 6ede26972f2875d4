"""The progress bar of a search: one bar and one line of figures, updated after every dispatch.

It is drawn only if standard error is a terminal, with messages above it. Otherwise, as in the log of a batch job, a
line is written when the search starts and then now and then, and messages go to the ``evometa`` logger.
"""

import contextlib
import logging
import math
import time
from types import TracebackType
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

logger = logging.getLogger("evometa")


FIRST_LINE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds from the start to the first line of figures without a terminal, and between two such lines at most."""


_GONE = (OSError, ValueError)
"""What writing to a closed terminal or pipe raises; the search is worth more than its lines."""


class Status(NamedTuple):
    """The status of a search after a dispatch.

    Figures that do not exist are None or NaN. Totals include the parts of the run before it was resumed.
    """

    generation: int
    """Number of generations completed."""
    of: int | None = None
    """The limit on generations; None if there is none."""
    best_so_far: float = math.nan
    """The best fitness of any candidate."""
    center: float = math.nan
    """The latest fitness of the center of the strategy's distribution."""
    held_out: float = math.nan
    """The latest fitness on held-out tasks."""
    failed: int = 0
    """Number of failed candidates."""
    inner_steps_per_second: float = 0.0
    """The present speed, in learner updates."""
    evaluations_per_second: float = 0.0
    """The present speed, in candidates."""
    seconds: float = 0.0
    """Seconds of search."""
    seconds_left: float | None = None
    """Seconds until the first limit is reached at the present speed; None if unknown."""

    @property
    def share(self) -> float | None:
        """The completed share of the search, in [0, 1]; None if unknown."""
        if self.of:
            return min(self.generation / self.of, 1.0)
        if self.seconds_left is None or self.seconds <= 0:
            return None
        return self.seconds / (self.seconds + max(self.seconds_left, 0.0))


class Progress:
    """The progress bar of a running search; a context manager.

    Args:
        enabled: whether to draw the bar; None draws it if the console is a terminal, and writes lines if it is not.
        console: the console to draw on, standard error by default.
    """

    def __init__(self, enabled: bool | None = None, *, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        wanted = console.is_terminal if enabled is None else enabled
        # Without a thread that refreshes it, the bar costs nothing between dispatches.
        self._live = Live(Text("compiling ..."), console=console, auto_refresh=False) if wanted else None
        self._lines = console if enabled is None and not wanted else None
        self._started = self._next = 0.0

    def __enter__(self) -> "Progress":
        self._started = time.monotonic()
        self._next = self._started + FIRST_LINE
        if self._live:
            self._live.start(refresh=True)
        self._write("compiling ...")
        return self

    def _write(self, line: str) -> None:
        if self._lines:
            with contextlib.suppress(*_GONE):
                self._lines.print(Text(line), soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            with contextlib.suppress(*_GONE):
                self._live.stop()

    def update(self, status: Status) -> None:
        """Show a new status."""
        if self._live:
            with contextlib.suppress(*_GONE):
                self._live.update(render(status), refresh=True)
        now = time.monotonic()
        if self._lines and now >= self._next:
            self._write(line(status))
            self._next = now + min(max(FIRST_LINE, 0.1 * (now - self._started)), LONGEST_PAUSE)

    def mention(self, message: str) -> None:
        """Tell the user what happens now, above the bar; without one, to the log at level INFO."""
        if self._live:
            with contextlib.suppress(*_GONE):
                self._live.console.print(Text(message, style="dim"))
        elif self._lines:
            self._write(message)
        else:
            logger.info(message)

    def note(self, message: str) -> None:
        """Show a message above the bar, or log it as a warning if there is no bar."""
        if self._live:
            with contextlib.suppress(*_GONE):
                self._live.console.print(Text(message, style="yellow"))
        else:
            logger.warning(message)


def line(status: Status) -> str:
    """Return a status as one line of text."""
    of = f"/{status.of:,}" if status.of else ""
    left = [] if status.seconds_left is None else [f"{duration(status.seconds_left)} left"]
    figures = [f"{name} {value}" for name, value in _figures(status)]
    words = [f"generation {status.generation:,}{of}", duration(status.seconds), *left, *figures, _speed(status)]
    return "  ".join(words)


def render(status: Status) -> Group:
    """Return the bar and the line of figures for a status."""
    share = status.share
    bar = ProgressBar(total=1.0, completed=share or 0.0, pulse=share is None, width=30, animation_time=status.seconds)
    of = f"/{status.of:,}" if status.of else ""
    left = "" if status.seconds_left is None else f"{duration(status.seconds_left)} left"
    first = Table.grid(padding=(0, 2))
    first.add_row(bar, f"generation {status.generation:,}{of}", duration(status.seconds), Text(left, style="cyan"))
    figures = Text("  ").join([*(_styled(name, value) for name, value in _figures(status)), Text(_speed(status))])
    return Group(first, figures)


def _figures(status: Status) -> list[tuple[str, str]]:
    numbers = (("best", status.best_so_far), ("center", status.center), ("held-out", status.held_out))
    shown = [(name, f"{value:.5g}") for name, value in numbers if not math.isnan(value)]
    return shown + ([("failed", f"{status.failed:,}")] if status.failed else [])


def _styled(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "red" if name == "failed" else "bold"))


def _speed(status: Status) -> str:
    if status.inner_steps_per_second > 0:
        return f"{short(status.inner_steps_per_second)} inner steps/s"
    return f"{short(status.evaluations_per_second)} evaluations/s"


def short(number: float) -> str:
    """Return a number with three digits and a suffix, such as 1.23M for 1234567."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g}{letter}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """Return a duration as ``m:ss``, or as ``h:mm:ss`` from one hour on."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
