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


class RayWorker:
    """Makes one call at a time.

    Args:
        post: the fields of a :class:`~evometa.executors.crew.Post`.
    """

    def __init__(self, post: Mapping[str, Any]) -> None:
        self._dropped = set[int]()
        self._number = -1
        self._over, self._lock = threading.Event(), threading.Lock()
        self._crew = Crew(Post(**post), 1, lambda left, returned, longest: self._given_up())

    def ready(self) -> bool:
        """Return True: the actor is there."""
        return True

    def call(self, number: int, frame: bytes) -> bytes:
        """Make a call and return its outcome as JSON; nothing where it was dropped, or why no worker process can start.

        Args:
            number: its number, also in the frame.
            frame: the trial.
        """
        with self._lock:
            self._number = number
            try:
                if not self._given_up():
                    self._crew.take(number, frame)
                    for _, outcome in self._crew.as_completed():
                        return json.dumps({"outcome": outcome._asdict()}).encode()
            except GivenUp:
                pass
            except ConfigurationError as error:
                return json.dumps({"error": str(error)}).encode()
            finally:
                self._dropped.discard(number)
            return json.dumps({}).encode()

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def drop(self, number: int) -> None:
        """Give up a call, now or when its turn comes."""
        self._dropped.add(number)

    @ray.method(concurrency_group="control")  # type: ignore[untyped-decorator,unused-ignore]
    def close(self) -> None:
        """End the worker process, and whatever it started."""
        self._over.set()
        with self._lock:
            self._crew.close()

    def _given_up(self) -> bool:
        return self._number in self._dropped or self._over.is_set()
