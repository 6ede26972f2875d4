"""One worker process, seen from the search that started it."""

import codecs
import contextlib
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO, NamedTuple, cast

from evometa.errors import ConfigurationError
from evometa.executors.executor import Outcome, failed, outcome_of
from evometa.executors.frames import take_header
from evometa.executors.processes import GRACE, Family, descendants, kill, marked

START_LIMIT = 300.0
"""Seconds a worker may take to import the problem."""

TAIL = 4000
"""Bytes of a worker's last words kept for an error message."""

SHOWN = 1 << 16
"""Bytes that one call may print; the rest is dropped, so that a call that prints without end fills no disk."""

LISTENED = 1 << 18
"""Bytes read from one pipe at a time, so that a worker that prints without end does not keep the others waiting."""

_FROM_ANYWHERE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
"""Signals that others send; a candidate that crashes gets another."""

# A worker sees the modules that its parent sees, whatever made them importable there. What it
# imports stays, and looking for garbage meanwhile would take a seventh of its start.
BOOT = (
    "import gc, sys; gc.disable(); sys.path[:] = sys.argv[1:]; del sys.argv[1:]; "
    "from evometa.executors.worker import main; gc.freeze(); gc.enable(); main()"
)


OUTSIDE = "EVOMETA_OUTSIDE"
"""The environment variable with those that a worker has otherwise than its search, for programs that it starts."""
MARK = "EVOMETA_WORKER"
"""The environment variable by which all that a worker started is found once it is gone."""


class Answer(NamedTuple):
    """What became of the call that a worker was handed."""

    outcome: Outcome
    lost: bool = False
    """Whether the worker, rather than the candidate, may be the reason that the call failed."""
    died: bool = False
    """Whether the worker ended."""
    killed: bool = False
    """Whether it was ended by a signal that may have come from anywhere."""


BRIEF = 0.05
"""Seconds of a call so short that the next one waits in the worker for its end."""


class StartError(Exception):
    """A worker ended, or was given up, before it could take calls."""

    def __init__(self, what: str, words: str, *, killed: bool) -> None:
        self.killed = killed
        super().__init__(what, words)

    def as_configuration_error(self) -> ConfigurationError:
        """Return the error that a user sees."""
        what, words = self.args
        return ConfigurationError(
            f"A worker process expects to import and build the problem, but {what}; fix what it says here:\n{words}"
        )


class WorkerProcess:
    """A fresh interpreter that builds the problem and answers one call at a time.

    Args:
        path: its ``sys.path``.
        introduction: the frame that tells it the problem.
        double: JAX's switch of double precision there.
        on_cpu: whether JAX keeps to the CPU there.
    """

    def __init__(self, path: Sequence[str], introduction: bytes, *, double: bool, on_cpu: bool) -> None:
        own = {"JAX_ENABLE_X64": str(int(double)), **({"JAX_PLATFORMS": "cpu"} if on_cpu else {})}
        self._mark = f"{MARK}={secrets.token_hex(16)}"
        environment = {
            "OMP_NUM_THREADS": "1",  # read by OpenMP, OpenBLAS and MKL alike
            **os.environ,
            **own,
            OUTSIDE: json.dumps({name: os.environ.get(name) for name in own}),
            **dict([self._mark.split("=")]),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOT, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,  # a group that can be killed as one, and that Ctrl-C in the terminal passes by
        )
        self._input = cast("IO[bytes]", self.process.stdin)
        self._replies = cast("IO[bytes]", self.process.stdout)
        self._errors = cast("IO[bytes]", self.process.stderr)
        for stream in (self._input, self._replies, self._errors):
            os.set_blocking(stream.fileno(), False)
        self.streams: list[IO[bytes]] = [self._replies, self._errors]
        """What it may say something on."""
        self.ready = False
        """Whether it has built the problem."""
        self.trial: int | None = None
        """The call that it is at."""
        self.begun = math.inf
        """When that began, by ``time.monotonic``."""
        self.queued: int | None = None
        """The call that waits there for its turn."""
        self.calls = 0
        """Calls that it has begun."""
        self.deadline = time.monotonic() + START_LIMIT
        """When it is given up."""
        self.worn = False
        """Whether later calls may suffer from what earlier ones left behind."""
        self.resident = self.resident_at_first = 0
        """Bytes that it held after its latest call, and after its first."""
        self._limit: float | None = None
        self._brief = False
        self._received = bytearray()
        self._words, self._shown = b"", 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unsent = memoryview(introduction)
        self._family: Family = {}
        self._ended = False
        self._send()

    @property
    def idle(self) -> bool:
        """Whether the worker could take a call."""
        return self.ready and self.trial is None

    @property
    def has_room(self) -> bool:
        """Whether another call should wait there while it is at one.

        That is so where the latest was over so soon that handing out the next one only then would cost as much.
        """
        return self._brief and self.trial is not None and self.queued is None and not self._unsent

    @property
    def sending(self) -> IO[bytes] | None:
        """The pipe that a call is still on its way through."""
        return self._input if self._unsent else None

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def hand(self, trial: int, frame: bytes, limit: float | None) -> None:
        """Give the worker a call; where it is at one, the call waits for its turn."""
        self._limit = limit
        self._unsent = memoryview(frame)
        if self.trial is None:
            self._begin(trial)
        else:
            self.queued = trial
        self._send()

    def _begin(self, trial: int) -> None:
        self.trial, self.begun, self._shown = trial, time.monotonic(), 0
        self.calls += 1
        self.deadline = math.inf if self._limit is None else self.begun + self._limit

    def _send(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # a dead worker is noticed, with its reason, by look()
            while self._unsent:
                written = self._input.write(self._unsent)
                if written is None:  # the pipe is full
                    return
                self._unsent = self._unsent[written:]
        self._unsent = memoryview(b"")

    def look(self) -> Answer | None:
        """Take in what the worker said; return what became of its call once that is known.

        Raises:
            StartError: the worker could not start.
        """
        gone = self.gone  # asked before listening, so that its last answer still counts
        self._send()
        self._hear()
        reply = take_header(self._received)
        if reply is None:
            if gone or self._replies not in self.streams:
                return self._bury()
            return self._give_up() if time.monotonic() >= self.deadline else None
        if "ready" in reply:
            self.ready, self.deadline = True, math.inf
            self._show(self._words)
            return None
        if reply["trial"] != self.trial:
            return None
        self._brief = time.monotonic() - self.begun < BRIEF
        self.trial = None
        self.worn, self.resident = reply["worn"] or reply.get("exhausted", False), reply["resident"]
        if self.calls == 1:
            self.resident_at_first = self.resident
        answer = Answer(outcome_of(reply), lost=reply.get("exhausted", False) and self.calls > 1)
        if self.queued is not None:
            trial, self.queued = self.queued, None
            self._begin(trial)
        return answer

    def _hear(self) -> None:
        for stream in list(self.streams):
            heard = 0
            while heard < LISTENED and (chunk := stream.read(1 << 16)):
                heard += len(chunk)
                if stream is self._replies:
                    self._received += chunk
                    continue
                self._words = (self._words + chunk)[-TAIL:]
                if self.ready:
                    self._show(chunk)
            if heard < LISTENED and chunk is not None:  # empty: the other end is closed
                self.streams.remove(stream)

    def _show(self, chunk: bytes) -> None:
        """Print what the user's code printed, by way of sys.stderr, so that a progress bar can make room for it."""
        text = self._decoder.decode(chunk[: max(0, SHOWN - self._shown)])
        if self._shown <= SHOWN < self._shown + len(chunk):
            text += f"\n[evometa: one call printed more than {SHOWN:,} bytes; the rest is not shown]\n"
        self._shown += len(chunk)
        if text and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it
                sys.stderr.write(text)

    def _bury(self) -> Answer:
        closed = False
        try:
            self.process.wait(1.0)  # its own death's reason, rather than that of being killed below
        except subprocess.TimeoutExpired:
            closed = True
        self.end()
        code = self.process.returncode or 0
        reason = f"signal {-code}" if code < 0 else f"exit status {code}"
        if closed:
            reason = "the call closed the worker's pipe to the search"
        if not self.ready:
            raise StartError(f"ended with {reason}", self._last_words(), killed=code < 0)
        return Answer(failed(f"worker died ({reason})"), lost=True, died=True, killed=-code in _FROM_ANYWHERE)

    def _give_up(self) -> Answer:
        if not self.ready:
            self.end()
            what = f"did not import the problem within {START_LIMIT:g} s"
            raise StartError(what, self._last_words(), killed=False)
        self.dismiss()
        reason = f"time limit of {self._limit:g} s exceeded"
        return Answer(failed(reason), died=True)

    def _last_words(self) -> str:
        return self._words.decode(errors="replace").strip() or "(nothing)"

    def dismiss(self) -> None:
        """Ask the worker to end by closing its input; it has a short grace for that."""
        if not self._input.closed:
            self._family = descendants(self.process.pid)
            self._input.close()
            self.trial, self._unsent = None, memoryview(b"")
            self.deadline = time.monotonic() + GRACE

    def end(self) -> None:
        """Kill the worker and all it started, once the grace of a dismissed worker has passed."""
        if self._ended:
            return
        self._ended = True
        if self._input.closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, self.deadline - time.monotonic()))
        elif not self.gone:
            self._family = descendants(self.process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone already
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()  # the call may have moved to another group
        kill(self._family | marked(self._mark.encode()))
        with contextlib.suppress(subprocess.TimeoutExpired):  # a process that waits for a dead disk cannot be killed
            self.process.wait(5.0)
        self._hear()
        for stream in (self._input, self._replies, self._errors):
            stream.close()
        self.streams = []
