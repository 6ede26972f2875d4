"""The page of a run or of several, as HTML that needs no network."""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from evometa.errors import ConfigurationError
from evometa.report.blocks import Page
from evometa.report.comparison import comparison_page
from evometa.report.run_sections import run_page
from evometa.settings import checked
from evometa.sharing.run import load
from evometa.storage.files import run_folder

TEMPLATES = Path(__file__).parent / "templates"


@checked
def report(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    labels: Sequence[str] = (),
    pictures: bool = True,
) -> str:
    """Return a page that explains a run, or compares several, as the text of an HTML file.

    Args:
        runs: a run directory, or several.
        labels: the label of each of several runs; runs of one label are a group. By default runs that differ in their
            seeds only are.
        pictures: whether to draw the problem's own pictures, which may take seconds.

    Raises:
        RunDirectoryError: a folder holds no run.
        ConfigurationError: there is none, or there are not as many labels as runs.
    """
    folders = [run_folder(runs)] if isinstance(runs, str | os.PathLike) else [run_folder(run) for run in runs]
    if not folders:
        raise ConfigurationError("report expects at least one run directory, got none.")
    page = run_page(load(folders[0]), pictures=pictures) if len(folders) == 1 else comparison_page(folders, labels)
    return render(page)


def render(page: Page, template: str = "report.html", **values: Any) -> str:
    """Return a page as HTML, with everything it needs inside.

    Args:
        page: the page.
        template: the file in ``templates/``.
        values: further values for the template.
    """
    from plotly.offline import get_plotlyjs  # slow to import

    inline = {"plotly": Markup(get_plotlyjs()), **{name: asset(name) for name in ("style.css", "page.js")}}
    return environment().get_template(template).render(page=page, inline=inline, **values)


def asset(name: str) -> Markup:
    """Return a file of the templates to be put into a page as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


@functools.cache
def environment(*folders: Path) -> jinja2.Environment:
    """Return the environment of the templates; whatever comes from a run is escaped.

    Args:
        folders: further folders with templates, which use those of the report.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["as_json"] = as_json
    return made


def as_json(value: Any) -> Markup:
    """Return a value as JSON inside a script element, from which no text can break out."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
