"""``evometa dashboard``: live pages of all runs under a directory."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from evometa.errors import ConfigurationError

PACKAGES = ("starlette", "uvicorn")


@dataclasses.dataclass(kw_only=True)
class Dashboard:
    """Show all runs under a directory in a browser, while they run; Ctrl-C ends it.

    It only reads, and only under the directory. Other machines reach it with --host 0.0.0.0, by the address with a
    token that is printed then; what is sent is not encrypted, so prefer a tunnel (ssh -L) where others listen.

    Args:
        directory: the directory with the runs, at any depth up to six folders.
        host: the address to listen on; by default only this machine reaches it.
        port: the port; 0 takes a free one.
    """

    directory: Annotated[Positional[Path], arg(metavar="DIR")]
    host: str = "127.0.0.1"
    port: int = 8650

    def execute(self) -> int:
        """Serve until Ctrl-C; return the exit status."""
        try:
            from evometa.dashboard.serving import serve
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in PACKAGES:
                raise
            raise ConfigurationError(
                f"'evometa dashboard' expects the package {error.name}, which is not installed; pip install "
                "'evometa[dashboard]'."
            ) from None
        serve(self.directory, self.host, self.port, lambda address: print(f"dashboard  {address}", flush=True))
        return 0
