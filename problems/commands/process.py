"""One run of a program: output to bounded files, a time limit, and an end that takes all it started along."""

import contextlib
import math
import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

from evometa.executors.processes import kill, marked
from evometa.problems.commands.metric import MetricReader

MARK = "EVOMETA_COMMAND"
"""The environment variable by which all processes of one run are found."""
LOOK = 0.05
"""Seconds between looks at a program whose output may be held open by processes that it left behind."""
GRACE = 1.0
"""Seconds that a program has to end by itself once its time is over."""
KEPT = 1 << 20
"""Bytes of each output that are kept from its beginning, and from its end."""
SHOWN = 1 << 16
"""Bytes of the end of an output that are returned."""
CHUNK = 1 << 16
"""Bytes that are read at a time."""
MOST_LEFT = 1 << 24
"""Bytes that are read after a program's end, at most; a pipe holds fewer."""


class Ended(NamedTuple):
    """How a run of a program ended."""

    status: int
    """The exit status; negative: the signal that ended it."""
    overtime: bool
    """Whether it was ended at its time limit."""
    value: float | str | None
    """The last value of the metric that it printed; on standard error only where standard output has none."""
    output: str
    """The end of its standard output."""
    errors: str
    """The end of its standard error."""


class _Log:
    """One output of a program: its beginning in a file at once, and in the end what is kept of the rest."""

    def __init__(self, path: Path, metric: str) -> None:
        self.reader = MetricReader(metric)
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0
        self._file: IO[bytes] | None = None
        with contextlib.suppress(OSError):  # of a full disk, say: a log is no reason for a candidate to fail
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115

    def take(self, chunk: bytes) -> list[float]:
        """Keep what is to be kept; return the numbers in it."""
        found = self.reader.feed(chunk)
        room = KEPT - len(self._head)
        self._write(chunk[:room])
        self._head += chunk[:room]
        self._tail += chunk[room:]
        if len(self._tail) > 2 * KEPT:
            self._dropped += len(self._tail) - KEPT
            del self._tail[:-KEPT]
        return found

    def _write(self, part: bytes) -> None:
        if self._file is not None and part:
            try:
                self._file.write(part)
            except OSError:
                self._file = None

    def close(self) -> None:
        if self._dropped:
            self._write(f"\n[evometa: {self._dropped:,} bytes left out]\n".encode())
        self._write(bytes(self._tail))
        if self._file is not None:
            self._file.close()

    def end(self) -> str:
        return bytes(self._head + self._tail)[-SHOWN:].decode(errors="replace")


def run(
    command: Sequence[str] | str,
    *,
    shell: bool,
    folder: Path,
    environment: Mapping[str, str],
    limit: float | None,
    logs: tuple[Path, Path],
    metric: str,
    tell: Callable[[float], None],
) -> Ended:
    """Run a program to its end, and end whatever it left behind.

    Args:
        command: its words, or a text for the shell.
        shell: whether it is one for the shell.
        folder: its working directory.
        environment: its environment variables.
        limit: seconds after which it is ended; None for no limit.
        logs: where its standard output and error are kept.
        metric: the number that is looked for in them.
        tell: told each number on standard output while the program runs; what it raises ends the program.

    Raises:
        OSError: it cannot be started.
    """
    mark = f"{MARK}={secrets.token_hex(16)}"
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        shell=shell,
        cwd=folder,
        env={**environment, **dict([mark.split("=")])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    streams = {cast("IO[bytes]", process.stdout): _Log(logs[0], metric)}
    streams[cast("IO[bytes]", process.stderr)] = _Log(logs[1], metric)
    overtime = False
    try:
        for stream in streams:
            os.set_blocking(stream.fileno(), False)
        deadline = math.inf if limit is None else began + limit
        overtime = not _listen(process, streams, deadline, tell)
        if overtime:
            _signal(process, signal.SIGTERM)
            _listen(process, streams, time.monotonic() + GRACE, lambda value: None)
    finally:
        _signal(process, signal.SIGKILL)
        while (left := marked(mark.encode())) or process.poll() is None:
            kill(left)
            time.sleep(0.001)
        for stream, log in streams.items():
            _drain(stream, log)
            stream.close()
            log.close()
    output, errors = streams.values()
    found = [log.reader.end() for log in (output, errors)]
    value = found[0] if found[0] is not None else found[1]
    return Ended(process.returncode, overtime, value, output.end(), errors.end())


def _listen(
    process: "subprocess.Popen[bytes]",
    streams: Mapping[IO[bytes], _Log],
    deadline: float,
    tell: Callable[[float], None],
) -> bool:
    """Take in what a program says until it ends; return False where its time was over before."""
    poll = select.poll()
    opened = {stream.fileno(): (stream, log) for stream, log in streams.items()}
    for number in opened:
        poll.register(number, select.POLLIN)
    while process.poll() is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if not opened:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(left, 3600.0))
            continue
        for number, _ in poll.poll(1000 * min(left, LOOK)):
            stream, log = opened[number]
            chunk = stream.read(CHUNK)
            if chunk:
                found = log.take(chunk)
                for value in found if stream is process.stdout else ():
                    tell(value)
            elif chunk is not None:  # empty: the other end is closed
                poll.unregister(number)
                del opened[number]
    return True


def _drain(stream: IO[bytes], log: _Log) -> None:
    for _ in range(MOST_LEFT // CHUNK):
        if not (chunk := stream.read(CHUNK)):
            return
        log.take(chunk)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone already
        os.killpg(process.pid, number)
