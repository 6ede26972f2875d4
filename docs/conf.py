"""Configuration of the documentation: ``make docs``."""

import evometa

project = "evometa"
author = "The evometa developers"
copyright = author
version = release = evometa.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"evometa {version}"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository that are no page here
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "none"  # ranges make them long; the docstrings have types, shapes and units
napoleon_google_docstring = True
napoleon_numpy_docstring = False
