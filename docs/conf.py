"""Configuration of the documentation: ``make docs``."""

from typing import Any

import evometa

project = "evometa"
author = "The evometa developers"
copyright = author
version = release = evometa.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nb_execution_mode = "force"  # the notebooks run each time
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # seconds for a cell
nb_execution_in_temp = True  # they write run directories
html_theme = "furo"
html_title = f"evometa {version}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository that are no page here
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "none"  # ranges make them long; the docstrings have types, shapes and units
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def setup(app: Any) -> None:
    """Let the first line of a property's docstring begin with words and a colon, which napoleon takes for a type."""

    def keep_first_line(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if what == "property" and lines:
            lines.insert(0, "\\ ")  # an empty word, without a colon

    app.connect("autodoc-process-docstring", keep_first_line, priority=400)  # before napoleon
