"""The progress of a search: one bar and one line of figures, updated after every dispatch.

On a terminal it is drawn on standard error, with messages above it. In a notebook (any front end of an IPython kernel)
it is one output of the cell, updated in place. Otherwise, as in the log of a batch job, a line is written when the
search starts and then now and then, and messages go to the ``evometa`` logger.
"""

import contextlib
import logging
import math
import sys
import time
from html import escape
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

logger = logging.getLogger("evometa")


FIRST_LINE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds from the start to the first line of figures without a terminal, and between two such lines at most."""

CELL_PAUSE = 0.2
"""Seconds between two updates of a notebook's cell, at least: each is a message to the browser."""

COMPILING = "compiling ..."

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
    label: str = ""
    """Of which search it is, where there are several."""

    @property
    def share(self) -> float | None:
        """The completed share of the search, in [0, 1]; None if unknown."""
        if self.of:
            return min(self.generation / self.of, 1.0)
        if self.seconds_left is None or self.seconds <= 0:
            return None
        return self.seconds / (self.seconds + max(self.seconds_left, 0.0))


class Progress:
    """The progress of a running search; a context manager.

    Args:
        enabled: whether to draw it; None draws it in a notebook or if the console is a terminal, and writes lines else.
        console: the console to draw on, standard error by default.
    """

    def __init__(self, enabled: bool | None = None, *, console: Console | None = None) -> None:
        self._view = _view(enabled, console)

    def __enter__(self) -> Self:
        with contextlib.suppress(*_GONE):
            self._view.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(*_GONE):
            self._view.stop()

    def update(self, status: Status) -> None:
        """Show a new status."""
        with contextlib.suppress(*_GONE):
            self._view.update(status)

    def mention(self, message: str) -> None:
        """Tell the user what happens now, above the bar; without one, to the log at level INFO."""
        with contextlib.suppress(*_GONE):
            self._view.mention(message)

    def note(self, message: str) -> None:
        """Show a message above the bar, or log it as a warning if there is no bar."""
        with contextlib.suppress(*_GONE):
            self._view.note(message)


class _View(Protocol):
    """Where progress is shown; the methods are those of :class:`Progress`."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def update(self, status: Status) -> None: ...
    def mention(self, message: str) -> None: ...
    def note(self, message: str) -> None: ...


def _view(enabled: bool | None, console: Console | None) -> _View:
    if enabled is False:
        return _Log()
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if console is None and getattr(shell, "kernel", None) is not None:  # IPython in a terminal has no kernel
        return _Cell()
    console = console or Console(stderr=True)
    return _Bar(console) if enabled or console.is_terminal else _Lines(console)


class _Bar:
    """A bar on a terminal, with messages above it."""

    def __init__(self, console: Console) -> None:
        # Without a thread that refreshes it, the bar costs nothing between dispatches.
        self._live = Live(Text(COMPILING), console=console, auto_refresh=False)

    def start(self) -> None:
        self._live.start(refresh=True)

    def stop(self) -> None:
        self._live.stop()

    def update(self, status: Status) -> None:
        self._live.update(render(status), refresh=True)

    def mention(self, message: str) -> None:
        self._live.console.print(Text(message, style="dim"))

    def note(self, message: str) -> None:
        self._live.console.print(Text(message, style="yellow"))


class _Cell:
    """One output of a notebook's cell, which is updated in place; what it keeps are all notes and the last status."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._status: Status | None = None
        self._text = COMPILING
        self._handle: Any = None
        self._next = 0.0

    def start(self) -> None:
        from IPython.display import display

        self._handle = display(self._output(), raw=True, display_id=True)

    def stop(self) -> None:
        self._show(line(self._status) if self._status else self._text, ended=True)

    def update(self, status: Status) -> None:
        self._status, now = status, time.monotonic()
        if now >= self._next:
            self._next = now + CELL_PAUSE
            self._show(line(status))

    def mention(self, message: str) -> None:
        self._show(message)

    def note(self, message: str) -> None:
        self._notes.append(message)
        self._show(self._text)

    def _show(self, text: str, *, ended: bool = False) -> None:
        self._text = text
        if self._handle is not None:
            self._handle.update(self._output(ended), raw=True)

    def _output(self, ended: bool = False) -> dict[str, str]:
        """Return the output in the formats that front ends choose from."""
        lines = [*self._notes, self._text]
        *notes, text = (f"<div>{escape(words)}</div>" for words in lines)
        return {"text/plain": "\n".join(lines), "text/html": "".join([*notes, "" if ended else self._bar(), text])}

    def _bar(self) -> str:
        share = self._status.share if self._status else None
        value = "" if share is None else f"value='{share:.3f}'"  # without a value it moves to and fro
        return f"<progress {value} style='width: 100%; max-width: 30em'></progress>"


class _Lines:
    """Lines in a file or a pipe, at first and then now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._next = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        self._next = self._started + FIRST_LINE
        self.mention(COMPILING)

    def stop(self) -> None: ...

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + min(max(FIRST_LINE, 0.1 * (now - self._started)), LONGEST_PAUSE)
            self.mention(line(status))

    def mention(self, message: str) -> None:
        self._console.print(Text(message), soft_wrap=True)

    def note(self, message: str) -> None:
        logger.warning(message)


class _Log:
    """Messages alone, to the log."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def update(self, status: Status) -> None: ...

    def mention(self, message: str) -> None:
        logger.info(message)

    def note(self, message: str) -> None:
        logger.warning(message)


def line(status: Status) -> str:
    """Return a status as one line of text."""
    of = f"/{status.of:,}" if status.of else ""
    left = [] if status.seconds_left is None else [f"{duration(status.seconds_left)} left"]
    figures = [f"{name} {value}" for name, value in _figures(status)]
    words = [
        *([status.label] if status.label else []),
        f"generation {status.generation:,}{of}",
        duration(status.seconds),
        *left,
        *figures,
        _speed(status),
    ]
    return "  ".join(words)


def render(status: Status) -> Group:
    """Return the bar and the line of figures for a status."""
    share = status.share
    bar = ProgressBar(total=1.0, completed=share or 0.0, pulse=share is None, width=30, animation_time=status.seconds)
    of = f"/{status.of:,}" if status.of else ""
    left = "" if status.seconds_left is None else f"{duration(status.seconds_left)} left"
    first = Table.grid(padding=(0, 2))
    first.add_row(bar, f"generation {status.generation:,}{of}", duration(status.seconds), Text(left, style="cyan"))
    label = [Text(status.label, style="cyan")] if status.label else []
    figures = Text("  ").join(
        [*label, *(_styled(name, value) for name, value in _figures(status)), Text(_speed(status))]
    )
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
