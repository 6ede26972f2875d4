"""The parent of the ranks of one machine: it starts them, watches them, and ends all when one is lost.

JAX alone notices a lost rank after its heartbeat timeout, and never one that is alive but stuck; the others hang in a
collective meanwhile. So each rank gives its supervisor signs of life, the supervisors of several machines give them to
each other, and the first to miss one says which rank was lost and how to continue.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from types import FrameType
from typing import IO

from evometa.distributed import failures
from evometa.distributed.failures import Failure
from evometa.distributed.hub import LONGEST_WAIT, Hub, Spoke
from evometa.distributed.lines import BEAT_SECONDS, SILENT_SECONDS, Lines
from evometa.distributed.placement import Placement, cores_of
from evometa.distributed.rank import VARIABLE
from evometa.errors import ConfigurationError

SETTLE_SECONDS = 1.0
"""How long failures are collected before one is blamed."""
GRACE_SECONDS = 4.0
"""How long the others may take to end after a rank has ended by itself, as all do after an error of the user; and all
ranks after a second Ctrl-C."""
_STEP = 0.05
_FORWARDED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Child:
    """A rank started here."""

    def __init__(self, rank: int, placement: Placement, command: Sequence[str], join_seconds: int) -> None:
        self.rank = rank
        own, other = _socket_pair()
        settings = {
            "coordinator": placement.coordinator,
            "processes": placement.processes,
            "process_id": rank,
            "join_seconds": join_seconds,
            "local_devices": [rank] if placement.is_alone and placement.processes > 1 else placement.local_devices,
            "channel": other,
            "parent": os.getpid(),
        }
        environment = os.environ | {VARIABLE: json.dumps(settings), "PYTHONUNBUFFERED": "1"}
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what JAX's runtime says when another rank is gone
        speaks = rank == 0
        cores = cores_of(rank, placement.processes) if placement.is_alone else None
        before = os.sched_getaffinity(0) if cores else set()
        if cores:  # inherited, so that a rank has as many devices as cores of its own
            os.sched_setaffinity(0, cores)
        elif placement.is_alone and placement.processes > 1:
            environment.setdefault("EVOMETA_CPU_DEVICES", "1")
        try:
            self.process = subprocess.Popen(
                command,
                env=environment,
                pass_fds=(other,),
                stdin=subprocess.DEVNULL,
                stdout=None if speaks else subprocess.DEVNULL,
                stderr=None if speaks else subprocess.PIPE,
                start_new_session=True,  # so that Ctrl-C comes through the supervisor, to every rank once
            )
        finally:
            os.close(other)
            if cores:
                os.sched_setaffinity(0, before)
        self.lines = Lines(own)
        self.printed: deque[str] = deque(maxlen=40)
        self.ended_at: float | None = None
        self.blamed = self.joined = False
        if self.process.stderr is not None:
            self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
            self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.printed.append(line.decode(errors="replace"))

    def end(self) -> None:
        """Kill it and what it started, stopped or not."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(SILENT_SECONDS)
        self.lines.close()


def supervise(
    placement: Placement, command: Sequence[str], join_seconds: int, stall_seconds: float | None = None
) -> int:
    """Run the ranks that belong here; return the exit status of the search.

    Args:
        placement: which they are.
        command: the command of each rank.
        join_seconds: how long the ranks of other machines may take to come.
        stall_seconds: how long the search may take from one generation to the next; None: for ever.

    Raises:
        ConfigurationError: the hub's port cannot be used.
    """
    link: Hub | Spoke | None = None
    if not placement.is_alone:
        try:
            link = _link(placement, join_seconds)
        except OSError as error:
            raise ConfigurationError(
                f"--coordinator expects an address of this machine, which has rank 0, with two free ports, PORT and "
                f"PORT + 1; {placement.coordinator} cannot be used: {error.strerror or error}."
            ) from None
    children: list[_Child] = []
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    kept = {number: signal.signal(number, ask) for number in _FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
    try:
        for rank in placement.own:
            children.append(_Child(rank, placement, command, join_seconds))
        return _Watch(placement, children, link, asked, stall_seconds).until_the_end()
    finally:
        for child in children:
            child.end()
        if link is not None:
            link.close()
        for number, handler in kept.items():
            signal.signal(number, handler)


class _Watch:
    """Watches the ranks of a machine until they have ended, or one is lost."""

    def __init__(
        self,
        placement: Placement,
        children: list[_Child],
        link: Hub | Spoke | None,
        asked: list[int],
        stall_seconds: float | None,
    ) -> None:
        self._placement, self._children, self._link, self._asked = placement, children, link, asked
        self._stall_seconds, self._moved_at = stall_seconds, math.inf
        self._failures: list[Failure] = []
        self._failed_at = self._beat_at = 0.0
        self._resume: str | None = None
        self._told: int | None = None
        self._gave_up_at: float | None = None

    def until_the_end(self) -> int:
        while True:
            self._forward_signals()
            if self._gave_up_at is not None and time.monotonic() > self._gave_up_at:
                return self._interrupted()
            for failure in self._new_failures():
                self._failed_at = self._failed_at or time.monotonic()
                self._failures.append(failure)
                if isinstance(self._link, Spoke):
                    self._link.send(how=failure.how, follows=failure.follows)
            status = self._verdict()
            if status is None:
                status = self._end()
            if status is not None:
                return status
            self._beat()
            time.sleep(_STEP)

    def _forward_signals(self) -> None:
        """Pass signals on; have all ranks ended where they cannot answer, as while they wait for each other."""
        while self._asked:
            number = self._asked.pop(0)
            if self._told is not None:
                self._gave_up_at = self._gave_up_at or time.monotonic() + GRACE_SECONDS
            elif not all(child.joined for child in self._children):
                self._gave_up_at = time.monotonic()
            self._told = number
            for child in self._children:
                with contextlib.suppress(OSError):
                    if child.process.poll() is None:
                        child.process.send_signal(number)

    def _interrupted(self) -> int:
        """Tell the other supervisors that the search is ended here; return the exit status."""
        if isinstance(self._link, Hub):
            self._link.send(verdict="evometa: interrupted on the machine of rank 0.", status=1)
        elif self._link is not None:
            self._link.send(how="was interrupted", follows=0)
        return 128 + (self._told or signal.SIGINT)

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._beat_at:
            return
        self._beat_at = now + BEAT_SECONDS
        for child in self._children:
            child.lines.send(beat=True)
        if self._link is not None:
            self._link.send(beat=True)

    def _new_failures(self) -> list[Failure]:
        found: list[Failure] = []
        now = time.monotonic()
        for child in self._children:
            for message in child.lines.read():
                if "resume" in message:  # rank 0 sends it after each dispatch
                    self._moved_at = now
                    if isinstance(self._link, Hub) and message["resume"] != self._resume:
                        self._link.send(resume=message["resume"])
                    self._resume = message["resume"]
                if "joined" in message:
                    child.joined, self._moved_at = True, now
                if "error" in message and not child.blamed:
                    child.blamed = True
                    found.append(failures.of_error(child.rank, message["error"]))
            status = child.process.poll()
            if status is None:
                if child.lines.silent() and not child.blamed:
                    child.blamed = True
                    found.append(Failure(child.rank, f"was lost (no sign of life for {SILENT_SECONDS:g} seconds)"))
                continue
            child.ended_at = child.ended_at or now
            if child.blamed:
                continue
            others = any(other.process.poll() is None for other in self._children)
            waited = now - child.ended_at > GRACE_SECONDS and (others or isinstance(self._link, Hub))
            if status < 0 or (status > 0 and waited):
                child.blamed = True
                found.append(failures.of_exit(child.rank, status, "".join(child.printed)))
        first = self._children[0]
        stalled = self._stall_seconds is not None and now > self._moved_at + self._stall_seconds
        if stalled and first.rank == 0 and first.ended_at is None and not first.blamed:
            first.blamed = True
            how = f"has completed no generation for {self._stall_seconds:g} seconds (--stall-seconds)"
            found.append(Failure(0, f"{how}, and so has no other"))
        if self._link is not None:
            found += self._link.failures()
            self._resume = self._resume or getattr(self._link, "resume", None)
        return found

    def _verdict(self) -> int | None:
        """Say who is to blame once failures have settled; return the exit status, None while there is none."""
        if isinstance(self._link, Spoke) and self._link.verdict is not None:
            words, status = self._link.verdict
            _say(words)
            return status
        # A spoke leaves it to the hub, as long as that is there.
        patience = SETTLE_SECONDS * (3 if isinstance(self._link, Spoke) else 1)
        if not self._failures or time.monotonic() < self._failed_at + patience:
            return None
        failure = failures.culprit(self._failures)
        words = failures.sentence(failure, self._placement.processes, self._resume)
        if isinstance(self._link, Hub):
            self._link.send(verdict=words, status=1)
        if failure.details and (failure.rank or failure.follows != 1 or "Traceback" in failure.details):
            _say(failure.details.rstrip())
        _say(words)
        return 1

    def _end(self) -> int | None:
        """Return the exit status once all ranks have ended by themselves, None before."""
        ended = [child.ended_at for child in self._children if child.ended_at is not None]
        if len(ended) < len(self._children) or any(child.process.returncode < 0 for child in self._children):
            return None
        statuses = [child.process.returncode for child in self._children]
        if isinstance(self._link, Spoke):
            self._link.send(ended=statuses[0])
        elif self._link is not None and not self._link.all_ended() and time.monotonic() < max(ended) + LONGEST_WAIT:
            return None
        return statuses[0] or max(statuses)


def _link(placement: Placement, join_seconds: int) -> Hub | Spoke:
    if placement.own == (0,):
        return Hub(placement.coordinator, set(range(1, placement.processes)), join_seconds)
    return Spoke(placement.coordinator, placement.own[0], join_seconds)


def _socket_pair() -> tuple[int, int]:
    """Return the two ends of a connection, descriptors."""
    import socket

    one, other = socket.socketpair()
    return one.detach(), other.detach()


def _say(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(words, file=sys.stderr, flush=True)
