import functools
import io
import logging
import sys
import time
import types
from typing import Any

import pytest
from rich.console import Console

from evometa.search.progress import Progress, Status, duration, render, short

STATUS = Status(
    generation=1200,
    of=2000,
    best_so_far=0.123456,
    center=0.2,
    held_out=0.25,
    failed=3,
    inner_steps_per_second=1.23e6,
    seconds=60.0,
    seconds_left=40.0,
)


def shown(status: Status, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_shows_every_figure_on_a_common_terminal() -> None:
    text = shown(STATUS, width=80)
    assert text.count("\n") == 2
    for part in ("generation 1,200/2,000", "1:00", "0:40 left", "1.23M inner steps/s"):
        assert part in text
    for part in ("best 0.12346", "center 0.2", "held-out 0.25", "failed 3"):
        assert part in text


def test_leaves_out_what_does_not_exist() -> None:
    text = shown(Status(generation=7, evaluations_per_second=50.0), width=80)
    assert "50 evaluations/s" in text
    for part in ("nan", "None", "left", "best", "center", "held-out", "failed"):
        assert part not in text


@pytest.mark.parametrize(
    ("status", "share"),
    [
        (STATUS, 0.6),
        (STATUS._replace(of=None), 0.6),
        (STATUS._replace(generation=3000), 1.0),
        (STATUS._replace(of=None, seconds_left=-0.5), 1.0),
        (STATUS._replace(of=None, seconds_left=None), None),
        (Status(generation=0, seconds_left=0.0), None),
    ],
)
def test_share_done(status: Status, share: float | None) -> None:
    assert status.share == share


def test_draws_on_a_terminal_with_messages_above_the_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress(console=console) as progress:
        progress.update(STATUS)
        progress.note("fell back to [the] checkpoint before")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "generation 1,200/2,000" in text
    assert "fell back to [the] checkpoint before" in text


def test_without_a_terminal_a_line_is_written_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    console = Console(file=io.StringIO(), width=20)
    with caplog.at_level(logging.WARNING, "evometa"), Progress(console=console) as progress:
        for second in range(86_400):
            now = float(second)
            progress.update(STATUS)
        progress.note("100 % of the candidates failed")
    assert isinstance(console.file, io.StringIO)
    first, second_, *others = console.file.getvalue().splitlines()
    assert first == "compiling ..."
    for part in ("generation 1,200/2,000", "0:40 left", "best 0.12346", "failed 3", "1.23M inner steps/s"):
        assert part in second_  # one line, however narrow the log
    assert 100 < len(others) < 250  # in a day
    assert caplog.messages == ["100 % of the candidates failed"]


def test_a_search_outlives_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal)
        with Progress(console=console) as progress:
            console.file.close()
            monkeypatch.setattr("time.monotonic", lambda: 1e9)  # late enough for a line
            progress.update(STATUS)
            progress.mention("final selection")


class Front:
    """Stands for IPython and the front end of its kernel: keeps the outputs of one cell, and how often it was told."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []
        self.messages = 0
        self.kernel = self.display = self

    def get_ipython(self) -> "Front":
        return self

    def __call__(self, output: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        self.outputs.append(output)
        self.messages += 1
        return types.SimpleNamespace(update=functools.partial(self.update, len(self.outputs) - 1))

    def update(self, which: int, output: dict[str, str], *, raw: bool) -> None:
        self.outputs[which] = output
        self.messages += 1


def test_a_notebook_has_one_output_updated_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    now, front = 0.0, Front()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setitem(sys.modules, "IPython", front)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=front))
    with Progress() as progress:
        assert front.outputs[0]["text/plain"] == "compiling ..."
        for dispatch in range(1000):
            now = dispatch / 100
            progress.update(STATUS._replace(generation=dispatch, of=1000))
        assert "value='0.9" in front.outputs[0]["text/html"]
        progress.note("5 of 10 candidates <failed>")
        progress.mention("final selection")
        assert front.outputs[0]["text/plain"].endswith("final selection")
    (output,) = front.outputs
    note, last = output["text/plain"].splitlines()
    assert note == "5 of 10 candidates <failed>"
    assert last.startswith("generation 999/1,000")  # the last status, though its update came too soon after another
    assert "&lt;failed&gt;" in output["text/html"]
    assert "<progress" not in output["text/html"]
    assert 40 < front.messages < 60  # ten seconds


def test_a_notebook_without_progress_stays_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front()
    monkeypatch.setitem(sys.modules, "IPython", front)
    with Progress(False) as progress:
        progress.update(STATUS)
    assert not front.outputs


def test_off_if_disabled() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress(False, console=console) as progress:
        progress.update(STATUS)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_units() -> None:
    assert [duration(s) for s in (0, 59.6, 3599.4, 3600, 90061, -1)] == [
        "0:00",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
        "0:00",
    ]
    assert [short(n) for n in (0.5, 999, 1000, 1234567, 2.5e9)] == ["0.5", "999", "1k", "1.23M", "2.5G"]
