"""The report's pages of a run and of several, as the dashboard shows them."""

import dataclasses
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evometa import naming
from evometa.dashboard.folders import refusal
from evometa.dashboard.listing import Line
from evometa.dashboard.parallel import without_webgl
from evometa.errors import EvometaError, EvometaWarning, RunDirectoryError
from evometa.report.blocks import Page, Section, Text
from evometa.report.comparison import comparison_page
from evometa.report.page import environment
from evometa.report.run_sections import live_page, run_page
from evometa.sharing.run import load
from evometa.storage import history

TEMPLATES = Path(__file__).parent / "templates"
MOST_COMPARED = 200
"""Runs that are compared at once."""

_drawing = threading.Lock()
"""Pages are drawn one after another: each may need some hundred megabytes for a moment."""


class NotShown(Exception):
    """A page cannot be drawn; the message says why in a sentence."""


def page_of_run(root: Path, line: Line, *, live: bool = False) -> Page:
    """Return the page of a run.

    Args:
        root: the directory of the dashboard.
        line: the run.
        live: only what changes with every generation.

    Raises:
        NotShown: the run is damaged, or was removed.
    """
    _require_inside(root, line)
    draw: Callable[..., Page] = live_page if live else _whole
    return _drawn(lambda: draw(load(line.found.path)), line.found.path)


def _whole(run: Any) -> Page:
    return run_page(run, pictures=False)


def page_of_several(root: Path, lines: Sequence[Line]) -> Page:
    """Return the page that compares runs; those that cannot be compared yet are named and left out.

    Raises:
        NotShown: none can be compared, or too many are to be.
    """
    if len(lines) > MOST_COMPARED:
        raise NotShown(f"At most {MOST_COMPARED} runs can be compared at once, and {len(lines)} were chosen.")
    left_out = {line.name: "It has no generation yet." for line in lines if not line.content.generations}
    left_out |= {line.name: line.reason for line in lines if line.status == "damaged"}
    try:
        page = _comparison(root, [line for line in lines if line.name not in left_out])
    except NotShown:  # a file is damaged where the list does not read it
        found = {line.name: _unreadable(line) for line in lines if line.name not in left_out}
        damaged = {name: why for name, why in found.items() if why}
        if not damaged:
            raise
        left_out |= damaged
        page = _comparison(root, [line for line in lines if line.name not in left_out])
    notes = [Text(f"{name} is left out. {why}") for name, why in left_out.items()]
    return dataclasses.replace(page, sections=[*page.sections, *([Section("Left out", notes)] if notes else [])])


def _comparison(root: Path, lines: Sequence[Line]) -> Page:
    if not lines:
        raise NotShown("None of these runs can be compared yet: they are damaged, or have no generation.")
    for line in lines:
        _require_inside(root, line)
    folders = [line.found.path for line in lines]
    return _drawn(lambda: comparison_page(folders), folders[0].parent)


def _unreadable(line: Line) -> str:
    try:
        history.read(line.found.path)
    except RunDirectoryError as error:
        return str(error)
    return ""


def _require_inside(root: Path, line: Line) -> None:
    refused = refusal(root, line.found.path)
    if refused:
        raise NotShown(f"{line.name} cannot be shown. {refused}")


def _drawn(draw: Callable[[], Page], folder: Path) -> Page:
    """Draw a page without running code that a run names."""
    try:
        with _drawing, naming.only_own_classes(), warnings.catch_warnings():
            warnings.simplefilter("ignore", EvometaWarning)  # they are for whoever runs a search
            page = draw()
    except EvometaError as error:
        raise NotShown(str(error)) from error
    except Exception as error:  # files can be damaged in more ways than there are errors
        words = str(error).partition("\n")[0]
        raise NotShown(
            f"{folder} cannot be shown, since a file in it is damaged or was removed ({type(error).__name__}: {words})."
        ) from error
    sections = [dataclasses.replace(one, blocks=[*map(without_webgl, one.blocks)]) for one in page.sections]
    return dataclasses.replace(page, sections=sections)


def render(template: str, **values: Any) -> str:
    """Return a page of the dashboard as HTML."""
    return environment(TEMPLATES).get_template(template).render(**values)
