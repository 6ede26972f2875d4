"""The connections between the supervisors of several machines: all to that of rank 0, the hub.

The hub listens beside JAX's coordinator, on the next port, at the coordinator's address alone. What comes in is JSON
and says that a rank lives, has ended or failed; there is no authentication, as JAX's coordinator has none, so both
belong into a trusted network.
"""

import contextlib
import socket
import time

from evometa.backend.collectives import LOOPBACK, host_and_port, is_loopback
from evometa.distributed.failures import Failure
from evometa.distributed.lines import SILENT_SECONDS, Lines

RETRY_SECONDS = 0.5


class Hub:
    """The end of rank 0.

    Args:
        coordinator: ``HOST:PORT`` of JAX's coordinator.
        others: the ranks that are to come.
        join_seconds: how long they may take.

    Raises:
        OSError: the port is taken, or the address is not this machine's.
    """

    def __init__(self, coordinator: str, others: set[int], join_seconds: float) -> None:
        host, port = host_and_port(coordinator)
        everywhere = is_loopback(host) and host not in LOOPBACK  # Debian's name of the machine itself
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server(("" if everywhere else host, port + 1), family=family)
        self._server.setblocking(False)
        self._missing, self._deadline, self._join_seconds = others, time.monotonic() + join_seconds, join_seconds
        self._new: list[Lines] = []
        self._peers: dict[int, Lines] = {}
        self._ended: set[int] = set()

    def failures(self) -> list[Failure]:
        """Return what has happened to the ranks of other machines since it was asked last."""
        with contextlib.suppress(OSError):
            while True:
                self._new.append(Lines(self._server.accept()[0].detach()))
        for lines in list(self._new):
            for message in lines.read():
                if message.get("rank") in self._missing:
                    self._missing.discard(message["rank"])
                    self._peers[message["rank"]] = lines
                    self._new.remove(lines)
                    break
            else:
                if lines.closed:
                    self._new.remove(lines)
                    lines.close()
        found: list[Failure] = []
        for rank, lines in list(self._peers.items()):
            for message in lines.read():
                if "ended" in message:
                    self._ended.add(rank)
                elif "how" in message:
                    follows = message.get("follows")
                    found.append(Failure(rank, str(message["how"]), follows if type(follows) is int else 1))
            if rank not in self._ended and (lines.closed or lines.silent()):
                found.append(Failure(rank, "was lost (its machine or its supervisor is gone or stopped)"))
                del self._peers[rank]
        if self._missing and time.monotonic() > self._deadline:
            rank = min(self._missing)
            self._missing.discard(rank)
            found.append(Failure(rank, f"has not come within {self._join_seconds:g} seconds"))
        return found

    def all_ended(self) -> bool:
        """Return whether all ranks of other machines have ended well."""
        return not self._missing and self._peers.keys() <= self._ended

    def send(self, **message: object) -> None:
        """Send all other supervisors a message."""
        for lines in self._peers.values():
            lines.send(**message)

    def close(self) -> None:
        """Close all connections."""
        self._server.close()
        for lines in (*self._new, *self._peers.values()):
            lines.close()


class Spoke:
    """The end of any other rank.

    Args:
        coordinator: ``HOST:PORT`` of JAX's coordinator.
        rank: which this is.
        join_seconds: how long rank 0 may take.
    """

    def __init__(self, coordinator: str, rank: int, join_seconds: float) -> None:
        host, port = host_and_port(coordinator)
        self._address, self._rank, self._join_seconds = (host, port + 1), rank, join_seconds
        self._lines: Lines | None = None
        self._begun = self._tried = time.monotonic()
        self._ended = False
        self.resume: str | None = None
        """The command that continues the run, once rank 0 has told it."""
        self.verdict: tuple[str, int] | None = None
        """What the hub says of a failure, and the exit status that follows."""

    def failures(self) -> list[Failure]:
        """Return whether rank 0 is lost, or has not come."""
        now = time.monotonic()
        if self._lines is None:
            if now >= self._tried:
                self._tried = now + RETRY_SECONDS
                with contextlib.suppress(OSError):
                    self._lines = Lines(socket.create_connection(self._address, timeout=1.0).detach())
                    self._lines.send(rank=self._rank)
            if self._lines is None and now > self._begun + self._join_seconds:
                return [Failure(0, f"has not come within {self._join_seconds:g} seconds, at {self._address[0]}")]
            return []
        for message in self._lines.read():
            if isinstance(message.get("resume"), str):
                self.resume = message["resume"]
            if isinstance(message.get("verdict"), str):
                self.verdict = message["verdict"], int(message.get("status", 1))
        if self.verdict is None and not self._ended and (self._lines.closed or self._lines.silent()):
            return [Failure(0, "was lost (its machine or its supervisor is gone or stopped)")]
        return []

    def all_ended(self) -> bool:
        """Return True: rank 0 waits for this one."""
        return True

    def send(self, **message: object) -> None:
        """Send the hub a message."""
        if self._lines is not None:
            self._ended |= "ended" in message
            self._lines.send(**message)

    def close(self) -> None:
        """Close the connection."""
        if self._lines is not None:
            self._lines.close()


LONGEST_WAIT = SILENT_SECONDS
"""Seconds that the hub waits for the other supervisors after its own ranks have ended."""
