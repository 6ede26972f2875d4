"""``evometa dashboard`` takes a port, says its address, ends with Ctrl-C, and says what is missing."""

import http.client
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from evometa.cli.main import main
from evometa.dashboard.serving import serve


def test_serves_until_interrupted(root: Path) -> None:
    command = [sys.executable, "-m", "evometa", "dashboard", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert address.startswith("http://127.0.0.1:")
        asked = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=60)
        asked.request("GET", "/")
        assert asked.getresponse().status == 200
        process.send_signal(signal.SIGINT)  # while the connection is open
        rest = process.communicate(timeout=60)
        asked.close()
    assert (process.returncode, *rest) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "{taken}"], "is taken, perhaps by another dashboard; choose another --port"),
        (["--port", "70000"], "--port expects a number from 0"),
        (["--host", "no.such.host.invalid"], "--host expects a name or an address of this machine"),
        (["--host", "192.0.2.1", "--port", "0"], "choose another --host"),
    ],
)
def test_says_why_it_cannot_listen(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        options = [option.format(taken=other.getsockname()[1]) for option in options]
        assert main(["dashboard", str(tmp_path), *options]) == 2
    assert words in capsys.readouterr().err


def test_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["dashboard", str(tmp_path / "none")]) == 2
    assert "expects a directory with runs in it" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "evometa.dashboard.serving")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["dashboard", str(tmp_path)]) == 2
    assert "pip install 'evometa[dashboard]'" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "needed"), [("localhost", False), ("127.0.0.2", False), ("0.0.0.0", True)])
def test_needs_a_token_where_others_can_reach_it(
    host: str, needed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    addresses: list[str] = []
    for _ in range(2):
        serve(tmp_path, host, 0, addresses.append)
    tokens = {address.partition("?token=")[2] for address in addresses}
    assert len(tokens) == (2 if needed else 1)  # a new one each time
    assert all(len(token) >= 32 for token in tokens) if needed else tokens == {""}
