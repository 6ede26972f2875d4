"""Some runs, and the dashboard of a directory on a free port."""

import contextlib
import http.client
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn

from evometa import Search
from evometa.dashboard.app import dashboard
from evometa.naming import load
from evometa.strategies import RandomSearch

Bowl = load(f"{Path(__file__).parents[1] / 'toys.py'}:Bowl")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Served(NamedTuple):
    """A dashboard that is asked as a browser asks, but with paths and headers that a browser would not send."""

    port: int

    def ask(self, path: str, method: str = "GET", host: str | None = None, **headers: str) -> Answer:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(asked):
            asked.putrequest(method, path, skip_host=True)
            asked.putheader("Host", host or f"127.0.0.1:{self.port}")
            for name, value in headers.items():
                asked.putheader(name, value)
            asked.endheaders()
            answer = asked.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())

    def runs(self) -> dict[str, dict[str, Any]]:
        return {run["name"]: run for run in self.ask("/runs.json").json["runs"]}


Serve = Callable[..., Served]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return what serves a directory until the test ends."""
    monkeypatch.setattr("evometa.dashboard.listing.PAUSE", 0.0)
    started: list[tuple[uvicorn.Server, threading.Thread]] = []

    def begin(root: Path, **options: Any) -> Served:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(dashboard(root, **options), log_level="warning", lifespan="off", ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        started.append((server, thread))
        return Served(listening.getsockname()[1])

    yield begin
    for server, thread in started:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a run, and a sweep of two."""
    root = tmp_path_factory.mktemp("runs")
    for name, seed in (("single", 0), ("sweep/seed0", 0), ("sweep/seed1", 1)):
        search = Search(Bowl(2), RandomSearch(4), seed=seed, run_directory=root / name, progress=False)
        search.run(generations=5)
    (root / "sweep" / "sweep.json").write_text("{}")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the runs, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "runs"))
