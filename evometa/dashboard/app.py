"""The addresses of the dashboard: pages, what of them has changed as JSON, and its own static files."""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import plotly
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from evometa.dashboard import summaries
from evometa.dashboard.guard import Guard
from evometa.dashboard.listing import Line, Listing
from evometa.dashboard.pages import NotShown, page_of_run, page_of_several, render
from evometa.report.blocks import Page
from evometa.report.page import TEMPLATES

STATIC = {
    **{name: TEMPLATES / name for name in ("style.css", "page.js")},
    **{name: Path(__file__).parent / "static" / name for name in ("dashboard.css", "list.js", "live.js", "icon.svg")},
    "plotly.js": Path(plotly.__file__).parent / "package_data" / "plotly.min.js",
}
"""The static files by their names in addresses; there are no others."""


def dashboard(root: Path, hosts: Collection[str] = (), token: str | None = None) -> Starlette:
    """Return the application that shows a directory.

    Args:
        root: the directory.
        hosts: further names under which it is addressed (:class:`Guard`).
        token: what a visitor has to know, or None.
    """
    pages = _Pages(root.resolve())
    routes = [
        Route("/", pages.list),
        Route("/runs.json", pages.list_changes),
        Route("/run", pages.run),
        Route("/run.json", pages.run_changes),
        Route("/compare", pages.compare),
        Route("/compare.json", pages.compare_changes),
        Route("/static/{name}", _static),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=hosts, token=token)],
        exception_handlers={HTTPException: _error},
    )


def _static(request: Request) -> Response:
    path = STATIC.get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, headers={"cache-control": "private, max-age=86400"})


def _version(name: str) -> str:
    """Return the address of a static file, which changes with the file."""
    return f"/static/{name}?{STATIC[name].stat().st_mtime_ns:x}"


def _html(template: str, status: int = 200, **values: Any) -> Response:
    text = render(template, static=_version, **values)
    return HTMLResponse(text.encode(errors="replace"), status)  # what runs hold need not be text


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, allow_nan=False), status, media_type="application/json")


def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = error.detail if error.status_code != 404 or error.detail != "Not Found" else "There is no such page."
    if request.url.path.endswith(".json"):
        return _json({"message": words}, error.status_code)
    return _html("message.html", error.status_code, title="Not shown", message=words)


class _Pages:
    """The pages of a directory; Starlette calls these methods in threads."""

    def __init__(self, root: Path) -> None:
        self._root, self._listing = root, Listing(root)

    def list(self, request: Request) -> Response:
        return _html("list.html", directory=str(self._root))

    def list_changes(self, request: Request) -> Response:
        since, identity = (request.query_params.get(name, "") for name in ("since", "identity"))
        return _json(self._listing.changes(identity, int(since) if _is_count(since) else 0))

    def run(self, request: Request) -> Response:
        return self._page("run", request, self._chosen(request, "path")[:1])

    def run_changes(self, request: Request) -> Response:
        return self._changes("run", request, self._chosen(request, "path")[:1])

    def compare(self, request: Request) -> Response:
        return self._page("compare", request, self._chosen(request, "run"))

    def compare_changes(self, request: Request) -> Response:
        return self._changes("compare", request, self._chosen(request, "run"))

    def _chosen(self, request: Request, name: str) -> Sequence[Line]:
        paths = dict.fromkeys(request.query_params.getlist(name))
        if not paths:
            raise HTTPException(400, "Choose runs in the list.")
        lines = {path: self._listing.line(path) for path in paths}
        gone = [path for path, line in lines.items() if line is None]
        if gone:
            raise HTTPException(404, f"There is no run {', '.join(gone)} in the directory; it may have been removed.")
        return [line for line in lines.values() if line is not None]

    def _draw(self, kind: str, lines: Sequence[Line], *, live: bool) -> Page:
        try:
            if kind == "compare":
                return page_of_several(self._root, lines)
            return page_of_run(self._root, lines[0], live=live)
        except NotShown as error:
            raise HTTPException(422, str(error)) from error

    def _page(self, kind: str, request: Request, lines: Sequence[Line]) -> Response:
        page = self._draw(kind, lines, live=False)
        name = lines[0].name if kind == "run" else ""
        return _html("page.html", page=page, name=name, state=_state(lines), source=f"/{kind}.json?{request.url.query}")

    def _changes(self, kind: str, request: Request, lines: Sequence[Line]) -> Response:
        state = _state(lines)
        if request.query_params.get("seen") == state["version"]:
            return _json(state)
        page = self._draw(kind, lines, live=state["status"] == "running")
        return _json({**state, "html": render("body.html", page=page)})


def _state(lines: Sequence[Line]) -> dict[str, str]:
    """Return the status of runs in words, and a version that changes with what their page shows."""
    running = sum(line.status == "running" for line in lines)
    words = lines[0].status if len(lines) == 1 else f"{running} of {len(lines)} running"
    what = [(line.name, line.status, line.reason, summaries.stamp(line.found, summaries.SHOWN)) for line in lines]
    version = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    reason = lines[0].reason if len(lines) == 1 else ""
    return {"version": version, "status": "running" if running else lines[0].status, "words": words, "reason": reason}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16
