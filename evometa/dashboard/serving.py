"""The port of the dashboard, and the server on it."""

import contextlib
import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from evometa.dashboard.app import dashboard
from evometa.dashboard.guard import names_of_this_machine
from evometa.errors import ConfigurationError, RunDirectoryError


def serve(directory: Path, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve the dashboard of a directory until Ctrl-C.

    Args:
        directory: the directory.
        host: the name or address to listen on; a token is needed unless that is the loopback.
        port: the port; 0 takes a free one.
        announce: is given the address to open, once the port is there.

    Raises:
        RunDirectoryError: there is no such directory.
        ConfigurationError: the host or the port cannot be listened on.
    """
    if not directory.is_dir():
        raise RunDirectoryError(
            f"'evometa dashboard' expects a directory with runs in it, and {directory} is none; give the folder above "
            "the run directories, such as runs."
        )
    listening = _listen(host, port)
    address, taken = listening.getsockname()[:2]
    local = ipaddress.ip_address(address).is_loopback
    token = None if local else secrets.token_urlsafe(24)
    hosts = {host} if local else {host, *names_of_this_machine()}
    shown = socket.gethostname() if ipaddress.ip_address(address).is_unspecified else host
    name = f"[{shown}]" if ":" in shown else shown
    app = dashboard(directory, hosts, token)
    quiet = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(quiet)
    announce(f"http://{name}:{taken}/{'' if token is None else f'?token={token}'}")
    with listening, contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises again once it has shut down
        server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise ConfigurationError(f"--port expects a number from 0 (a free port) to 65535, got {port}.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except (OSError, UnicodeError):
        raise ConfigurationError(
            f"--host expects a name or an address of this machine, and {host!r} is none; use 127.0.0.1, or 0.0.0.0 for "
            "all its addresses."
        ) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigurationError(_why_not(error, host, port)) from None
    return listening


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken, perhaps by another dashboard; choose another --port, or 0 for a free one."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be listened on by this user; choose a --port above 1023."
    return f"{host}, port {port}, cannot be listened on: {error.strerror or error}; choose another --host or --port."
