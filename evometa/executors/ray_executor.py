"""The executor on a Ray cluster: trials of plain-Python problems run in actors, each beside a worker process there.

Each actor has up to two messages, so that it never waits for the next one. A message holds one call, or several where
the latest ones were so short that the message would take as long. A call that is lost with its actor or node is made
again elsewhere: it is no failed candidate. A worker without a call takes over one that waits behind another, or makes a
second copy of one that takes much longer than any before; the first answer counts, once.
"""

import collections
import contextlib
import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from evometa import naming
from evometa.errors import ConfigurationError, EvaluationError
from evometa.executors.calls import require_callable
from evometa.executors.executor import GivenUp, Outcome, Trial, WorkersLost, reports_of
from evometa.executors.messages import pack_trial
from evometa.executors.ray_cluster import connected
from evometa.executors.ray_room import no_room, room, share_of_memory
from evometa.executors.ray_settings import Ray
from evometa.executors.worker_pool import post_for
from evometa.problem import HostProblem

LOOK = 0.2
"""Seconds between looks at whether to give up, and at calls that take long."""

IN_FLIGHT = 2
"""Messages that an actor has at most: one whose calls it makes, and one that waits there."""

BATCH, LEAST = 0.1, 0.002
"""Seconds that the calls of one message may take together, by the longest of those that the actor answered last; and
what a shorter call counts as."""

WAITED = 0.2
"""Seconds that a call has waited behind another before an idle worker takes it over."""

STRAGGLER, LEAST_STRAGGLER = 2.0, 5.0
"""A second copy of a call is made once it takes so many times as long as the longest before, and so many seconds."""

STARTS = 6
"""Actors in a row that may fail before they answer, for each worker."""

FAREWELL = 5.0
"""Seconds that workers have to end."""


@dataclasses.dataclass
class _Job:
    """A call that has no outcome yet."""

    frame: bytes
    calls: int = 0
    """How often it was handed out."""
    losses: int = 0
    """How often it was lost with its worker or node."""
    holders: "list[_Actor]" = dataclasses.field(default_factory=list)
    """The actors that have it."""


@dataclasses.dataclass(eq=False)
class _Actor:
    """One actor, and the calls that it has, in their order."""

    handle: Any
    asked: Any
    """Ray's reference to its answer to what is no call: whether it is there, or which calls wait there."""
    flying: dict[Any, list[int]] = dataclasses.field(default_factory=dict)
    """The numbers of its calls, by Ray's references to the answers to their messages."""
    begun: float = math.inf
    """When the first message may have begun, by ``time.monotonic``."""
    asked_at: float = math.inf
    """When it was asked which calls wait there."""
    longest: float = math.inf
    """Seconds of the longest call that it answered last."""
    ready: bool = False
    """Whether it has answered."""


class RayExecutor:
    """Runs trials of a :class:`~evometa.HostProblem` on a Ray cluster; an executor.

    A context manager: entering it connects to the cluster or starts a local one, leaving it ends the workers, and the
    cluster if it is its own.

    Args:
        problem: the problem that evaluates ω.
        settings: which cluster, and what each worker needs.
        calls: calls after which a worker process is replaced; None: as many as it can do.
        memory: bytes that a worker process may hold before it is replaced; None: 80 % of its machine's, divided among
            as many as the machine has room for.
        gives_up: as for :class:`~evometa.executors.worker_pool.WorkerPool`.

    Raises:
        ConfigurationError: a problem that cannot be described to another process.
    """

    def __init__(
        self,
        problem: HostProblem,
        settings: Ray,
        *,
        calls: int | None = None,
        memory: float | None = None,
        gives_up: Callable[[int, float, float], bool] = lambda left, returned, longest: False,
    ) -> None:
        naming.refuse_while_importing("workers on Ray")
        self._problem, self._settings, self._gives_up = problem, settings, gives_up
        # A worker that was given GPUs may use them in JAX too.
        post = dataclasses.replace(post_for(problem, calls, memory), on_cpu=not settings.gpus)
        self._post = dataclasses.asdict(post)
        self._stack = contextlib.ExitStack()
        self._actors: list[_Actor] = []
        self._jobs: dict[int, _Job] = {}
        self._waiting: collections.deque[int] = collections.deque()
        self._numbers = itertools.count()
        self._longest = 0.0
        self._failed_starts, self._words = 0, ""
        self._last_ready = 0.0
        self._size = 0

    @property
    def capacity(self) -> int:
        """Two trials for each worker."""
        return IN_FLIGHT * max(1, self._size)

    def __enter__(self) -> "RayExecutor":
        """Connect to the cluster, or start it.

        Raises:
            ConfigurationError: Ray is not there, no cluster answers, or it has no room for a worker.
        """
        with contextlib.ExitStack() as stack:
            self._ray: Any = stack.enter_context(connected(self._settings))
            self._size = self._settings.workers or room(self._ray, self._settings)
            if self._post["memory"] is None:
                self._post["memory"] = share_of_memory(self._ray, self._size)
            self._kind = self._remote()
            self._stack = stack.pop_all()
        self._last_ready = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            closing = [actor.handle.close.remote() for actor in self._actors if actor.ready]
            if closing:
                with contextlib.suppress(Exception):
                    self._ray.wait(closing, num_returns=len(closing), timeout=FAREWELL)
            for actor in list(self._actors):
                self._end(actor)

    def submit(self, trials: Sequence[Trial]) -> list[int]:
        """Take trials to run; workers are handed them by :meth:`as_completed`.

        Raises:
            ConfigurationError: ``evaluate_test`` of a problem without one, or a budget, which cannot be kept.
        """
        require_callable("RayExecutor", self._problem, trials)
        numbers = [next(self._numbers) for _ in trials]
        for number, trial in zip(numbers, trials, strict=True):
            self._jobs[number] = _Job(pack_trial(trial, number))
            self._waiting.append(number)
        return numbers

    def as_completed(self) -> Iterator[tuple[int, Outcome]]:
        """Return number and outcome of each trial as it is completed, until none is left.

        Raises:
            ConfigurationError: no worker comes up.
            GivenUp: ``gives_up`` said so.
            WorkersLost: a call was lost more often than is allowed.
        """
        returned = time.monotonic()
        try:
            while self._jobs:
                self._staff()
                self._hand_out()
                for actor, reference in self._answered():
                    taken = self._take(actor, reference)
                    self._hand_out()  # before the search, which may take its time, is told
                    for number, outcome in taken:
                        returned = time.monotonic()
                        yield number, outcome
                if self._jobs and self._gives_up(len(self._jobs), returned, self._longest):
                    raise GivenUp
        finally:
            self._jobs.clear()
            self._waiting.clear()
            for actor in self._actors:
                self._drop(actor, list(itertools.chain(*actor.flying.values())))

    # Actors.

    def _remote(self) -> Any:
        """Return the class of actors as Ray knows it."""
        from evometa.executors.ray_worker import RayWorker

        settings = self._settings
        return self._ray.remote(
            num_cpus=settings.cpus,
            num_gpus=settings.gpus,
            resources=dict(settings.resources),
            max_restarts=0,
            max_task_retries=0,
            # While calls are made the next message waits in the actor, so that Ray's own work is done meanwhile.
            max_concurrency=IN_FLIGHT,
            concurrency_groups={"control": 1},
            scheduling_strategy="SPREAD",
        )(RayWorker)

    def _staff(self) -> None:
        """Start actors where they are missing; refuse to wait for ever for a first one."""
        wanted = min(self._size, len(self._jobs) + sum(map(self._useless, self._actors)))
        while len(self._actors) < wanted:
            handle = self._kind.remote(self._post)
            self._actors.append(_Actor(handle, handle.ready.remote()))
        now = time.monotonic()
        if any(actor.ready for actor in self._actors):
            self._last_ready = now
        elif now > self._last_ready + self._settings.start_limit:
            raise ConfigurationError(
                f"Workers on Ray expect to come up within {self._settings.start_limit:g} s, and none did"
                f"{f': {self._words}' if self._words else ''}. {no_room(self._ray, self._settings)}"
            )

    def _useless(self, actor: _Actor) -> bool:
        """Return whether an actor is at a call that nobody waits for any more."""
        return actor.ready and bool(actor.flying) and not self._held(actor)

    def _held(self, actor: _Actor) -> list[int]:
        """Return the calls that an actor has and that have no outcome, in their order."""
        numbers = itertools.chain(*actor.flying.values())
        return [number for number in numbers if number in self._jobs and actor in self._jobs[number].holders]

    def _end(self, actor: _Actor) -> None:
        self._actors.remove(actor)
        with contextlib.suppress(Exception):
            self._ray.kill(actor.handle, no_restart=True)

    # Calls.

    def _hand_out(self) -> None:
        """Give each actor a message before any has two; let those without any take over what others keep waiting."""
        for size in range(IN_FLIGHT):
            for actor in self._actors:
                if self._waiting and actor.ready and len(actor.flying) == size:
                    self._hand(actor, self._batch(actor))
        if not self._waiting:
            idle = [actor for actor in self._actors if actor.ready and not actor.flying]
            for actor, number in zip(idle, self._late(), strict=False):
                self._hand(actor, [number])

    def _batch(self, actor: _Actor) -> list[int]:
        """Take the calls of an actor's next message: fewer towards the end, and one alone that was lost before."""
        share = len(self._waiting) // (IN_FLIGHT * len(self._actors))
        size = min(share, int(BATCH / max(actor.longest, LEAST)))
        numbers = [self._waiting.popleft()]
        while len(numbers) < size and not any(self._jobs[number].losses for number in (numbers[0], self._waiting[0])):
            numbers.append(self._waiting.popleft())
        return numbers

    def _hand(self, actor: _Actor, numbers: list[int]) -> None:
        if not actor.flying:
            actor.begun = time.monotonic()
        actor.flying[actor.handle.call.remote({number: self._jobs[number].frame for number in numbers})] = numbers
        for number in numbers:
            self._jobs[number].calls += 1
            self._jobs[number].holders.append(actor)

    def _late(self) -> Iterator[int]:
        """Yield the calls that an idle worker should make too: what waits behind others first, then stragglers.

        An actor that can answer returns what waits there, and is left without it.
        """
        now = time.monotonic()
        late = now - max(LEAST_STRAGGLER, STRAGGLER * (self._longest or math.inf))
        for begun, first in ((now - WAITED, False), (late, True)):
            for actor in list(self._actors):
                numbers = self._held(actor) if actor.begun <= begun else []
                if len(numbers) > 1 and not first and actor.asked is None:
                    actor.asked, actor.asked_at = actor.handle.release.remote(), now
                if first or (actor.asked is not None and actor.asked_at <= begun):
                    for number in numbers[:1] if first else numbers[1:]:
                        if len(self._jobs[number].holders) == 1:
                            yield number

    def _drop(self, actor: _Actor, numbers: list[int]) -> None:
        if numbers:
            with contextlib.suppress(Exception):  # the actor is gone, as its calls will tell
                actor.handle.drop.remote(numbers)

    def _answered(self) -> list[tuple[_Actor, Any]]:
        """Return the actors and references of what has an answer, after waiting a little for one."""
        owners = {reference: actor for actor in self._actors for reference in (actor.asked, *actor.flying)}
        owners.pop(None, None)
        if not owners:
            time.sleep(LOOK)
            return []
        references = list(owners)
        done, _ = self._ray.wait(references, num_returns=1, timeout=LOOK, fetch_local=True)
        if done and len(references) > 1:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0, fetch_local=True)
        return [(owners[reference], reference) for reference in done]

    def _take(self, actor: _Actor, reference: Any) -> list[tuple[int, Outcome]]:
        """Take an answer; return number and outcome of each call in it that is wanted and has none yet."""
        if actor not in self._actors:  # it was lost with another of its messages
            return []
        errors = self._ray.exceptions
        try:
            answer = self._ray.get(reference)
        except errors.RayTaskError as error:
            raise EvaluationError(f"A worker on Ray failed, which is a fault of evometa: {error}") from error
        except errors.RayError as error:
            self._lost(actor, error)
            return []
        if not actor.ready:
            actor.ready, actor.asked, self._failed_starts = True, None, 0
            return []
        found = json.loads(answer)
        if "error" in found:
            raise ConfigurationError(found["error"])
        outcomes = [(number, Outcome(**outcome)) for number, outcome in found["outcomes"]]
        taken = [(number, self._complete(actor, number, one)) for number, one in outcomes if number in self._jobs]
        if reference == actor.asked:
            actor.asked, left = None, found["left"]
        else:
            left = actor.flying.pop(reference)  # without an outcome: those that were dropped here
            begun, actor.begun = actor.begun, time.monotonic()
            if outcomes:
                self._longest = max(self._longest, actor.begun - begun)
                seconds = [one.seconds for _, one in outcomes]
                actor.longest = math.inf if any(map(math.isnan, seconds)) else max(seconds)
        self._wait_again(actor, left)
        return taken

    def _complete(self, actor: _Actor, number: int, outcome: Outcome) -> Outcome:
        """Return the outcome of a call; whoever else is at it may give it up."""
        job = self._jobs.pop(number)
        if number in self._waiting:
            self._waiting.remove(number)
        for other in job.holders:
            if other is not actor:
                self._drop(other, [number])
        evaluations = outcome.evaluations + job.calls - 1
        return outcome._replace(reports=reports_of(outcome.reports), evaluations=evaluations)

    def _wait_again(self, actor: _Actor, numbers: Sequence[int]) -> None:
        """Have those of an actor's calls that have no outcome made by others, and first."""
        for number in reversed(numbers):
            job = self._jobs.get(number)
            if job is not None and actor in job.holders:
                job.holders.remove(actor)
                if not job.holders and number not in self._waiting:
                    self._waiting.appendleft(number)

    def _lost(self, actor: _Actor, error: Exception) -> None:
        """Have the calls of a lost actor made elsewhere; those of the message that it was at were lost once more."""
        self._end(actor)
        self._words = " ".join(str(error).split())[:500]
        if not actor.ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS * self._size:
                raise ConfigurationError(f"Workers on Ray expect to come up, and none does: {self._words}")
        held, at_work = self._held(actor), next(iter(actor.flying.values()), [])
        for number in held:
            job = self._jobs[number]
            job.losses += number in at_work
            if job.losses > self._settings.retries:
                raise WorkersLost(
                    f"A call was lost with its worker or node of Ray {job.losses} times, and Ray(retries="
                    f"{self._settings.retries}) allows no more. A call that is lost is no failed candidate, so the "
                    f"search ends; continue it with 'evometa resume'. Ray's last words: {self._words}"
                )
        self._wait_again(actor, held)
