"""The progress bar of a search: one bar and one line of figures, updated after every dispatch.

It is drawn only if standard error is a terminal, with messages above it; otherwise messages go to the ``evometa``
logger.
"""

import logging
import math
from types import TracebackType
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

logger = logging.getLogger("evometa")


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
        enabled: whether to draw the bar; None draws it if the console is a terminal.
        console: the console to draw on, standard error by default.
    """

    def __init__(self, enabled: bool | None = None, *, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        wanted = console.is_terminal if enabled is None else enabled
        # Without a thread that refreshes it, the bar costs nothing between dispatches.
        self._live = Live(Text("compiling ..."), console=console, auto_refresh=False) if wanted else None

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self, status: Status) -> None:
        """Show a new status."""
        if self._live:
            self._live.update(render(status), refresh=True)

    def mention(self, message: str) -> None:
        """Tell the user what happens now, above the bar; without one, to the log at level INFO."""
        if self._live:
            self._live.console.print(Text(message, style="dim"))
        else:
            logger.info(message)

    def note(self, message: str) -> None:
        """Show a message above the bar, or log it as a warning if there is no bar."""
        if self._live:
            self._live.console.print(Text(message, style="yellow"))
        else:
            logger.warning(message)


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
