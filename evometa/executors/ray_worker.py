"""The worker on a Ray cluster: an actor beside a worker process, which keeps the problem and makes the calls.

The actor hands on bytes and imports no code of the user's. What the user's code does to its process happens to the
worker process, as on this machine: time limits kill, and a crash is a failure. So an actor that is lost was lost for
another reason.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

import ray

from evometa.errors import ConfigurationError
from evometa.executors.crew import Crew, Post
from evometa.executors.executor import GivenUp

AHEAD = 2
"""Calls that the worker process is given at once: where they are short, the second one waits there already."""


class RayWorker:
    """Makes one call at a time.

    Args:
        post: the fields of a :class:`~evometa.executors.crew.Post`.
    """

    def __init__(self, post: Mapping[str, Any]) -> None:
        self._waiting: dict[int, bytes] = {}
        """Calls that came in a message and are not begun. Each is removed once, by whoever makes or returns it."""
        self._begun: list[int] = []
        """Calls that the worker process was given: one that it makes, and those behind it."""
        self._outcomes: dict[int, Any] = {}
        """Those of the message whose calls are being made."""
        self._dropped = set[int]()
        self._over, self._lock = threading.Event(), threading.Lock()
        self._crew = Crew(Post(**post), 1, lambda left, returned, longest: self._given_up())

    def ready(self) -> bool:
        """Return True: the actor is there."""
        return True

    def call(self, frames: Mapping[int, bytes]) -> bytes:
        """Make calls, one after the other, and return the outcomes as JSON; or why no worker process can start.

        Calls that were dropped, or returned by :meth:`release`, have none.

        Args:
            frames: the trials, by their numbers.
        """
        self._waiting.update(frames)
        with self._lock:
            self._outcomes = {}
            try:
                while self._feed(frames):
                    self._make(frames)
            except ConfigurationError as error:
                return json.dumps({"error": str(error)}).encode()
            finally:
                self._begun.clear()
                self._dropped.difference_update(frames)
            return json.dumps({"outcomes": list(self._outcomes.items())}).encode()

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def release(self) -> bytes:
        """Return as JSON the outcomes so far, and the calls that wait here, for other workers to make.

        One that the worker process has already is made here all the same if its turn comes.
        """
        left = [number for number in list(self._waiting) if self._waiting.pop(number, None) is not None]
        left += self._begun[1:]
        return json.dumps({"outcomes": list(dict(self._outcomes).items()), "left": left}).encode()

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def drop(self, numbers: list[int]) -> None:
        """Give up calls, now or when their turn comes."""
        self._dropped.update(numbers)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def close(self) -> None:
        """End the worker process, and whatever it started."""
        self._over.set()
        with self._lock:
            self._crew.close()

    def _feed(self, frames: Mapping[int, bytes]) -> bool:
        """Give the worker process its next calls; return whether it has any."""
        for number in frames:
            if len(self._begun) == AHEAD or self._over.is_set():
                break
            frame = self._waiting.pop(number, None)
            if frame is not None and number not in self._dropped:
                self._begun.append(number)
                self._crew.take(number, frame)
        return bool(self._begun)

    def _make(self, frames: Mapping[int, bytes]) -> None:
        """Make calls until none is left, or the one at work is given up; those behind it wait again then."""
        try:
            for number, outcome in self._crew.as_completed():
                self._outcomes[number] = outcome._asdict()
                self._begun.remove(number)
                self._feed(frames)
        except GivenUp:
            self._waiting.update({number: frames[number] for number in self._begun[1:]})
            self._begun.clear()

    def _given_up(self) -> bool:
        return self._begun[0] in self._dropped or self._over.is_set()
