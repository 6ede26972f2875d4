"""The executor on a Ray cluster: trials of plain-Python problems run in actors, each beside a worker process there.

Each actor has up to two calls, so that it never waits for the next one. A call that is lost with its actor or node is
made again elsewhere: it is no failed candidate. A worker without a call takes over one that waits behind another, or
makes a second copy of one that takes much longer than any before; the first answer counts, once.
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
from evometa.executors.ray_settings import Ray
from evometa.executors.worker_pool import post_for
from evometa.problem import HostProblem

LOOK = 0.2
"""Seconds between looks at whether to give up, and at calls that take long."""

IN_FLIGHT = 2
"""Calls that an actor has at most: one that it makes, and one that waits there."""

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
    flying: "collections.OrderedDict[Any, int]" = dataclasses.field(default_factory=collections.OrderedDict)
    """The numbers of its calls, by Ray's references to their answers."""
    begun: float = math.inf
    """When the first of them may have begun, by ``time.monotonic``."""
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
        self._post = dataclasses.asdict(post_for(problem, calls, memory))
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
            self._size = self._settings.workers or self._room()
            if self._post["memory"] is None:
                self._post["memory"] = self._share()
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
                    number, outcome = self._take(actor, reference)
                    if outcome is not None:
                        returned = time.monotonic()
                        yield number, outcome
                        self._hand_out()
                if self._jobs and self._gives_up(len(self._jobs), returned, self._longest):
                    raise GivenUp
        finally:
            self._jobs.clear()
            self._waiting.clear()
            for actor in self._actors:
                for number in actor.flying.values():
                    self._drop(actor, number)

    # Actors.

    def _needs(self) -> dict[str, float]:
        """Return what a worker needs, by Ray's names."""
        settings = self._settings
        needs = {"CPU": settings.cpus, "GPU": settings.gpus, **settings.resources}
        return {name: amount for name, amount in needs.items() if amount > 0}

    def _room(self) -> int:
        """Return how many workers the cluster has room for."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        needs = self._needs()
        fits = (min((int(node.get(name, 0) / need) for name, need in needs.items()), default=1) for node in nodes)
        room = sum(fits)
        if not room:
            raise ConfigurationError(self._no_room())
        return room

    def _no_room(self) -> str:
        has = self._ray.cluster_resources()
        hidden = ("node:", "object_store", "memory")
        known = {name: amount for name, amount in has.items() if not name.startswith(hidden)}
        return (
            f"A worker on Ray expects {_in_words(self._needs())} on one node, and the cluster has {_in_words(known)} "
            "in all; give Ray(cpus=..., gpus=..., resources=...) less, or start nodes that have it."
        )

    def _share(self) -> float:
        """Return the bytes that each worker process may hold, on the node with the least for each."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        each = max(1, -(-self._size // max(1, len(nodes))))
        known = [node["memory"] for node in nodes if "memory" in node]
        return min(known, default=float(2**33)) / each

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
            # While one call is made the next one waits in the actor, so that Ray's own work is done meanwhile.
            max_concurrency=IN_FLIGHT,
            concurrency_groups={"control": 1},
            scheduling_strategy="SPREAD",
        )(RayWorker)

    def _staff(self) -> None:
        """Start actors where they are missing; refuse to wait for ever for a first one."""
        wanted = min(self._size, len(self._jobs) + sum(map(self._useless, self._actors)))
        while len(self._actors) < wanted:
            actor = _Actor(self._kind.remote(self._post))
            actor.flying[actor.handle.ready.remote()] = -1
            self._actors.append(actor)
        now = time.monotonic()
        if any(actor.ready for actor in self._actors):
            self._last_ready = now
        elif now > self._last_ready + self._settings.start_limit:
            raise ConfigurationError(
                f"Workers on Ray expect to come up within {self._settings.start_limit:g} s, and none did"
                f"{f': {self._words}' if self._words else ''}. {self._no_room()}"
            )

    def _useless(self, actor: _Actor) -> bool:
        """Return whether an actor is at a call that nobody waits for any more."""
        return actor.ready and bool(actor.flying) and not any(number in self._jobs for number in actor.flying.values())

    def _end(self, actor: _Actor) -> None:
        self._actors.remove(actor)
        with contextlib.suppress(Exception):
            self._ray.kill(actor.handle, no_restart=True)

    # Calls.

    def _hand_out(self) -> None:
        """Give each actor a call before any has two; let those without any take over what others keep waiting."""
        for size in range(IN_FLIGHT):
            for actor in self._actors:
                if not self._waiting:
                    break
                if actor.ready and len(actor.flying) == size:
                    self._hand(actor, self._waiting.popleft())
        if not self._waiting:
            idle = [actor for actor in self._actors if actor.ready and not actor.flying]
            for actor, number in zip(idle, self._late(), strict=False):
                self._hand(actor, number)

    def _hand(self, actor: _Actor, number: int) -> None:
        job = self._jobs[number]
        if not actor.flying:
            actor.begun = time.monotonic()
        actor.flying[actor.handle.call.remote(number, job.frame)] = number
        job.calls += 1
        job.holders.append(actor)

    def _late(self) -> Iterator[int]:
        """Yield the calls that an idle worker should make too: what waits behind others first, then stragglers."""
        now = time.monotonic()
        late = now - max(LEAST_STRAGGLER, STRAGGLER * (self._longest or math.inf))
        for begun, first in ((now - WAITED, False), (late, True)):
            for actor in list(self._actors):
                numbers = list(actor.flying.values())
                for number in numbers[:1] if first else numbers[1:]:
                    job = self._jobs.get(number)
                    if job is not None and actor.begun <= begun and len(job.holders) == 1:
                        if not first:
                            self._drop(actor, number)
                        yield number

    def _drop(self, actor: _Actor, number: int) -> None:
        with contextlib.suppress(Exception):  # the actor is gone, as its call will tell
            actor.handle.drop.remote(number)

    def _answered(self) -> list[tuple[_Actor, Any]]:
        """Return the actors and references of the calls that have an answer, after waiting a little for one."""
        owners = {reference: actor for actor in self._actors for reference in actor.flying}
        if not owners:
            time.sleep(LOOK)
            return []
        references = list(owners)
        done, _ = self._ray.wait(references, num_returns=1, timeout=LOOK, fetch_local=True)
        if done and len(references) > 1:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0, fetch_local=True)
        return [(owners[reference], reference) for reference in done]

    def _take(self, actor: _Actor, reference: Any) -> tuple[int, Outcome | None]:
        """Take an answer; return its number, and the outcome if it is the first one of a call that is wanted."""
        if reference not in actor.flying:  # the actor was lost with another of its calls
            return -1, None
        errors = self._ray.exceptions
        try:
            answer = self._ray.get(reference)
        except errors.RayTaskError as error:
            raise EvaluationError(f"A worker on Ray failed, which is a fault of evometa: {error}") from error
        except errors.RayError as error:
            self._lost(actor, error)
            return -1, None
        number = actor.flying.pop(reference)
        begun, actor.begun = actor.begun, time.monotonic()
        if number < 0:
            actor.ready, self._failed_starts = True, 0
            return number, None
        job = self._jobs.get(number)
        if job is None:
            return number, None
        job.holders.remove(actor)
        found = json.loads(answer)
        if "error" in found:
            raise ConfigurationError(found["error"])
        if "outcome" not in found:  # it was dropped here, and taken over elsewhere
            if not job.holders and number not in self._waiting:
                self._waiting.appendleft(number)
            return number, None
        self._longest = max(self._longest, time.monotonic() - begun)
        del self._jobs[number]
        if number in self._waiting:
            self._waiting.remove(number)
        for other in job.holders:
            self._drop(other, number)
        outcome = Outcome(**found["outcome"])
        outcome = outcome._replace(reports=reports_of(outcome.reports))
        return number, outcome._replace(evaluations=outcome.evaluations + job.calls - 1)

    def _lost(self, actor: _Actor, error: Exception) -> None:
        """Have the calls of a lost actor made elsewhere; the one that it was at has been lost once more."""
        self._end(actor)
        self._words = " ".join(str(error).split())[:500]
        if not actor.ready:
            self._failed_starts += 1
            if self._failed_starts >= STARTS * self._size:
                raise ConfigurationError(f"Workers on Ray expect to come up, and none does: {self._words}")
        wanted = [number for number in actor.flying.values() if number in self._jobs]
        actor.flying.clear()
        for place, number in enumerate(wanted):
            job = self._jobs[number]
            job.holders.remove(actor)
            job.losses += place == 0
            if job.losses > self._settings.retries:
                raise WorkersLost(
                    f"A call was lost with its worker or node of Ray {job.losses} times, and Ray(retries="
                    f"{self._settings.retries}) allows no more. A call that is lost is no failed candidate, so the "
                    f"search ends; continue it with 'evometa resume'. Ray's last words: {self._words}"
                )
        again = [number for number in wanted if not self._jobs[number].holders and number not in self._waiting]
        self._waiting.extendleft(reversed(again))


def _in_words(amounts: Any) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(amounts.items())) or "nothing"
