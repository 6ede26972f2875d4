"""A crew of worker processes: they are handed calls, replaced when they wear out, and ended.

Whatever happens in user code stays there: an exception, a hang or a crash costs one call, and the worker where needed,
never the process that started it. A worker that has grown too large, or done as many calls as it may, is replaced by a
fresh one; a call that was lost with its worker is tried again on a fresh one before it counts as failed. Whoever kills
workers (a person, a scheduler) should not make candidates fail: such a call is tried more often, the more so the more
workers were killed whose calls then succeeded, or that had none. For POSIX systems.
"""

import collections
import dataclasses
import math
import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from evometa.backend.container import machine_memory, out_of_memory_kills
from evometa.executors.executor import GivenUp, Outcome
from evometa.executors.worker_process import Answer, StartError, WorkerProcess

LOOK = 1.0
"""Seconds between looks at workers that may have died with their pipes held open by children of their own."""

TRIES, KILLED_TRIES = 2, 4
"""How often a call is made that is lost with its worker: of one that crashed, or was killed since memory ran out, and
of one that was killed for another reason."""

STARTS, PATIENCE = 3, 60.0
"""Workers in a row that may be killed while they start, since memory ran out; and, where they are killed for another
reason, seconds that may pass before one comes up."""

MEMORY_SHARE = 0.8
"""What the workers may hold together of the machine's memory (or the container's), before they are replaced."""

GROWTH = 1.25
"""A worker that is too large from its first call on is replaced when it has grown by this factor."""


class _Job(NamedTuple):
    """A call on its way, and how often it was made."""

    number: int
    frame: bytes
    tries: int = 0
    kills: int = 0
    """Workers that were killed meanwhile, other than for memory."""


@dataclasses.dataclass(frozen=True)
class Post:
    """What each worker process of a crew is told, and how long it is kept."""

    introduction: bytes
    """The frame that tells it the problem."""
    path: tuple[str, ...]
    """Its ``sys.path``."""
    double: bool
    """JAX's switch of double precision there."""
    time_limit: float | None = None
    """Seconds that a call may take."""
    calls: int | None = None
    """Calls after which a worker is replaced; None: as many as it can do."""
    memory: float | None = None
    """Bytes that a worker may hold after a call before it is replaced; None: an equal share of 80 % of the machine's
    memory, or of the container's."""
    on_cpu: bool = True
    """Whether JAX keeps to the CPU there."""


class Crew:
    """Makes calls in worker processes of this machine, which start when first needed.

    Args:
        post: what they are told.
        size: processes at work at once, at least 1.
        gives_up: asked while calls run whether to give them up: how many are left, when one returned last (by
            ``time.monotonic``), and how many seconds the longest took.
    """

    def __init__(self, post: Post, size: int, gives_up: Callable[[int, float, float], bool]) -> None:
        self._post, self._size, self._gives_up = post, size, gives_up
        self._calls = math.inf if post.calls is None else post.calls
        self._memory = MEMORY_SHARE * machine_memory() / size if post.memory is None else post.memory
        self._longest = 0.0
        self._workers: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._jobs: dict[int, _Job] = {}
        self._waiting: collections.deque[_Job] = collections.deque()
        self._again: collections.deque[_Job] = collections.deque()
        """Calls that were lost, to be tried on fresh workers alone."""
        self._failed_starts, self._began = 0, 0.0
        self._kills, self._exhaustions = 0, out_of_memory_kills()

    def close(self) -> None:
        """End all workers, and whatever they started."""
        for worker in list(self._workers):
            self._dismiss(worker)
        for worker in self._leaving:
            worker.end()
        self._leaving = []

    def take(self, number: int, frame: bytes) -> None:
        """Take a call, to be made by :meth:`as_completed`.

        Args:
            number: its number, also in the frame.
            frame: the trial, as :func:`evometa.executors.pack_trial` returned it.
        """
        self._waiting.append(_Job(number, frame))

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return number and outcome of each call as it is completed, until none is left.

        Raises:
            ConfigurationError: a worker that cannot start.
            GivenUp: ``gives_up`` said so.
        """
        returned = self._began = time.monotonic()
        try:
            while self._waiting or self._again or self._jobs:
                self._staff()
                self._hand_out()
                _listen(self._workers)
                left = len(self._waiting) + len(self._again) + len(self._jobs)
                if self._gives_up(left, returned, self._longest):
                    raise GivenUp
                for worker in list(self._workers):
                    while worker in self._workers:
                        number, begun, answer = worker.trial, worker.begun, self._look(worker)
                        if number is None or answer is None:
                            break
                        job, returned = self._jobs.pop(number), time.monotonic()
                        self._longest = max(self._longest, returned - begun)
                        job = job._replace(kills=job.kills + (answer.killed and not self._exhausted()))
                        if answer.lost and job.tries - job.kills < TRIES and job.kills < KILLED_TRIES + self._kills:
                            self._again.append(job)
                        else:
                            self._kills += 0 if answer.lost else job.kills  # not the candidate's fault, as is known now
                            self._hand_out()  # before the search, which may take its time, is told
                            yield number, answer.outcome._replace(evaluations=job.tries)
                self._see_off()
        finally:
            self._waiting.clear()
            self._again.clear()
            self._jobs.clear()
            for worker in [worker for worker in self._workers if worker.trial is not None]:
                self._dismiss(worker)  # interrupted: its late answer must not be taken for one of a later trial

    def _staff(self) -> None:
        """Drop workers that died while idle, and start those that the waiting calls need."""
        for worker in [worker for worker in self._workers if worker.idle and worker.gone]:
            worker.end()
            self._workers.remove(worker)
            self._kills += 1
        free = [worker for worker in self._workers if worker.trial is None]
        fresh = sum(worker.calls == 0 for worker in free)
        again, used = len(self._again), len(free) - fresh
        if again > fresh and used and len(self._workers) == self._size:
            self._dismiss(next(worker for worker in free if worker.calls))
            used -= 1
        needed = max(0, again - fresh) + max(0, len(self._waiting) - used - max(0, fresh - again))
        for _ in range(min(needed, self._size - len(self._workers))):
            post = self._post
            self._workers.append(WorkerProcess(post.path, post.introduction, double=post.double, on_cpu=post.on_cpu))

    def _hand_out(self) -> None:
        for worker in self._workers:
            queue = self._again if self._again and worker.calls == 0 else self._waiting
            if worker.idle and queue:
                self._hand(worker, queue.popleft())
        for worker in self._workers:  # the last calls are left for those that are idle first
            if len(self._waiting) >= len(self._workers) and worker.has_room and worker.calls < self._calls:
                self._hand(worker, self._waiting.popleft())

    def _hand(self, worker: WorkerProcess, job: _Job) -> None:
        self._jobs[job.number] = job._replace(tries=job.tries + 1)
        worker.hand(job.number, job.frame, self._post.time_limit)

    def _take_back(self, number: int | None) -> None:
        """Have a call that waited in a worker which is no more made by another one."""
        if number is not None and number in self._jobs:
            job = self._jobs.pop(number)
            self._waiting.appendleft(job._replace(tries=job.tries - 1))

    def _look(self, worker: WorkerProcess) -> Answer | None:
        """Look at a worker; one that has ended, or should be replaced, leaves the pool."""
        try:
            answer = worker.look()
        except StartError as error:
            self._workers.remove(worker)
            self._failed_starts += 1
            outside = error.killed and not self._exhausted()
            self._kills += outside
            if time.monotonic() < self._began + PATIENCE if outside else error.killed and self._failed_starts < STARTS:
                return None
            raise error.as_configuration_error() from None
        if worker.ready:
            self._failed_starts, self._began = 0, time.monotonic()
        if answer is None:
            return None
        large = self._memory if worker.resident_at_first <= self._memory else GROWTH * worker.resident_at_first
        if answer.died:
            self._workers.remove(worker)
            self._leaving.append(worker)
            self._take_back(worker.queued)
        elif worker.worn or worker.calls >= self._calls or worker.resident > large:
            self._dismiss(worker)
        return answer

    def _exhausted(self) -> bool:
        """Return whether the system has killed anything for memory since this was asked before."""
        before, self._exhaustions = self._exhaustions, out_of_memory_kills()
        return self._exhaustions > before

    def _dismiss(self, worker: WorkerProcess) -> None:
        self._take_back(worker.queued)
        self._take_back(worker.trial)
        worker.dismiss()
        self._workers.remove(worker)
        self._leaving.append(worker)

    def _see_off(self) -> None:
        """End the workers that have left, and those whose grace has passed."""
        for worker in [worker for worker in self._leaving if worker.gone or time.monotonic() >= worker.deadline]:
            worker.end()
            self._leaving.remove(worker)


def _listen(workers: Sequence[WorkerProcess]) -> None:
    """Sleep until a worker has something to say, can be told more, or a limit may have passed."""
    poll = select.poll()
    for worker in workers:
        for stream in worker.streams:
            poll.register(stream, select.POLLIN)
        if worker.sending:
            poll.register(worker.sending, select.POLLOUT)
    deadline = min((worker.deadline for worker in workers if not worker.idle), default=math.inf)
    poll.poll(1000 * max(0.0, min(LOOK, deadline - time.monotonic())))
