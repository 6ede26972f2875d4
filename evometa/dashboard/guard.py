"""Who may ask the dashboard for what: nothing but reading, under its own address, with its token where it has one."""

import hashlib
import ipaddress
import secrets
import socket
from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD")
EMPTY_STYLE = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""The digest of nothing. Plotly makes an empty style element, whose rules it then sets by the object model."""
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' '{EMPTY_STYLE}'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Middleware that refuses what is not allowed, and adds its headers to every answer.

    Args:
        app: what it guards.
        hosts: further names under which the dashboard may be addressed, besides ``localhost`` and addresses in numbers.
            A page of another site whose name was made to lead here (DNS rebinding) asks under that name.
        token: what a visitor has to know; None for a dashboard that only its own machine can reach.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), token: str | None = None) -> None:
        self._app, self._hosts, self._token = app, {"localhost", *map(str.lower, hosts)}, token
        # Cookies are shared by all ports of a host: each dashboard has its own.
        self._cookie = f"evometa-{hashlib.sha256((token or '').encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":  # such as a web socket, of which there is none
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                added = {"cache-control": "no-store", **HEADERS}
                own = [(name.encode(), value.encode()) for name, value in added.items() if name.encode() not in given]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        refused = self._refusal(Request(scope))
        await (self._app if refused is None else refused)(scope, receive, with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is not to be served, None for one that is."""
        if request.method not in METHODS:
            return PlainTextResponse("The dashboard only shows.", 405, {"allow": ", ".join(METHODS)})
        names = request.headers.getlist("host")
        if len(names) != 1 or not self._own(names[0]):
            return PlainTextResponse("Open the dashboard under the address that 'evometa dashboard' printed.", 421)
        if self._token is None:
            return None
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        given = [value for name, value in pairs if name == "token"]
        if given and self._right(given[-1]):
            rest = urlencode([(name, value) for name, value in pairs if name != "token"])
            answer = RedirectResponse(f"/{request.url.path.lstrip('/')}{'?' * bool(rest)}{rest}", 303)
            answer.set_cookie(self._cookie, given[-1], httponly=True, samesite="lax", path="/")
            return answer
        if self._right(request.cookies.get(self._cookie, "")):
            return None
        return PlainTextResponse("Open the address that 'evometa dashboard' printed, with its token.", 403)

    def _right(self, token: str) -> bool:
        return self._token is not None and secrets.compare_digest(token.encode(), self._token.encode())

    def _own(self, host: str) -> bool:
        """Return whether a Host header names this dashboard; its port does not matter, as tunnels have others."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
        name = name.removeprefix("[").removesuffix("]")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower().removesuffix(".") in self._hosts
        return True


def names_of_this_machine() -> set[str]:
    """Return the names under which others may address this machine."""
    name = socket.gethostname()
    return {name, f"{name}.local", socket.getfqdn()}
