"""Running a search: from its parts to its result, again for each call of :meth:`~evometa.Search.run`.

The driver is made, the newest checkpoint restored and the loop run (:mod:`evometa.search.loop`); then come the final
selection and the result. :class:`Running` does that for one search. Several seeds take turns by its steps, and share
its compiled programs.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import jax

from evometa.backend import ranks
from evometa.backend.compilation_cache import use_compilation_cache
from evometa.errors import EvaluationError, warn
from evometa.problem import HostProblem
from evometa.search.callbacks import Callback
from evometa.search.compiled_driver import CompiledDriver
from evometa.search.debugging import Examiner, Switches
from evometa.search.decisions import Limits, StopReason
from evometa.search.driver import Driver
from evometa.search.execution import Execution, Parts, require_distributable
from evometa.search.interrupt import Interrupt, told_of_interrupts
from evometa.search.loop import Loop
from evometa.search.progress import Progress
from evometa.search.run_state import RunState
from evometa.search.search_result import result_of
from evometa.search.stored_run import StoredRun
from evometa.storage import archive_file, failures, result_file
from evometa.storage.files import NotWritten
from evometa.storage.result import Result
from evometa.storage.run_directory import CANDIDATES

if TYPE_CHECKING:
    from evometa.search.search import Search

NOT_WRITTEN = "not_written"
"""The stop code of a search whose run directory could no longer be written to."""

Steps = Generator[None, None, Result]


@dataclasses.dataclass
class Running:
    """What runs a search, once or again."""

    parts: Parts
    execution: Execution
    run: RunState
    """What was done and found so far; advanced in place."""
    stored: StoredRun | None
    """The run directory; None where the run is in memory only."""
    callbacks: Sequence[Callback]
    checkpoint_seconds: float
    """Seconds from one checkpoint to the next."""
    keep_checkpoints: int
    """How many of the newest checkpoints are kept."""
    debug: bool
    """Whether each generation's candidates are examined first."""
    driver: CompiledDriver | None = None
    """Of a compiled problem, compiled once for all runs; None before the first."""

    def steps(
        self, search: "Search", limits: Limits, progress: Progress, interrupt: Interrupt, wanted: Switches
    ) -> Steps:
        """Search until there is a reason to stop; return the result.

        It yields once when everything is prepared, from where on Ctrl-C should be taken by ``interrupt``, and then
        while each dispatch is under way.

        Args:
            search: the search, which callbacks are told of.
            limits: when to stop.
            progress: shows what happens.
            interrupt: says when the search is asked to end.
            wanted: JAX's switches as the user has set them.
        """
        with contextlib.ExitStack() as stack:
            interrupt.announce = progress.note
            folder = self.stored.open() if self.stored is not None else None
            if folder is not None:
                stack.enter_context(folder)
            with told_of_interrupts(progress.note):
                driver, examiner = self._prepare(stack, progress, interrupt, wanted, writes=folder is not None)
            if self.stored is not None:
                self.stored.restore(folder, driver, self.run)
            yield
            callbacks = self.callbacks if ranks.is_first() else ()  # of several ranks one speaks for all
            for callback in callbacks:
                callback.start(search)
            loop = Loop(
                search,
                driver,
                self.run,
                folder,
                self.stored is None,
                callbacks,
                progress,
                interrupt,
                examiner,
                self.checkpoint_seconds,
                self.keep_checkpoints,
            )
            try:
                reason = yield from loop.until(limits)
            except NotWritten as error:
                reason = _not_written(error)
            except EvaluationError:
                if folder is not None and folder.known is not None:
                    failures.write(folder.path, self.run.failures)
                raise
            result = self._select(driver, reason, progress, interrupt)
            if folder is not None and folder.known is not None:
                try:
                    folder.require_own()
                    failures.write(folder.path, self.run.failures)
                    result_file.write(folder.path, result)
                    archive_file.write(folder.path, result.archive)
                except NotWritten as error:
                    if reason.code != NOT_WRITTEN:
                        reason = _not_written(error)
                        result = dataclasses.replace(result, stop_reason=reason.text, stop_code=reason.code)
            for callback in callbacks:
                callback.end(search, result)
            return result

    def result(self, progress: Progress, wanted: Switches) -> Result:
        """Return what a stored run has found at its newest checkpoint, after a final selection; nothing is written.

        Args:
            progress: shows what happens.
            wanted: JAX's switches as the user has set them.

        Raises:
            RunDirectoryError: there is no whole checkpoint.
        """
        assert self.stored is not None
        with contextlib.ExitStack() as stack:
            interrupt = Interrupt()
            driver, _ = self._prepare(stack, progress, interrupt, wanted)
            self.stored.load(driver, self.run)
            done = self.run.counters
            reason = StopReason(done.stop_code or "running", done.stop_reason or "not ended yet")
            return self._select(driver, reason, progress, interrupt)

    def _prepare(
        self,
        stack: contextlib.ExitStack,
        progress: Progress,
        interrupt: Interrupt,
        wanted: Switches,
        *,
        writes: bool = False,
    ) -> tuple[Driver, Examiner | None]:
        """Return the driver, and what examines its generations where the user debugs a compiled problem."""
        use_compilation_cache()
        problem, debugged = self.parts.problem, self.debug or wanted.wanted
        if ranks.count() > 1:
            require_distributable(problem, debugged=debugged)
        if isinstance(problem, HostProblem):
            files = self.stored.path / CANDIDATES if self.stored is not None and writes else None
            return stack.enter_context(self.execution.stepped(self.parts, self.run, progress, interrupt, files)), None
        driver = self._compiled()
        return driver, Examiner(driver, wanted, strict=self.debug) if debugged else None

    def _compiled(self) -> CompiledDriver:
        if self.driver is None:
            self.driver = self.execution.compiled(self.parts, self.run.counters)
        return self.driver

    def _select(self, driver: Driver, reason: StopReason, progress: Progress, interrupt: Interrupt) -> Result:
        """Make the final selection and return the result."""
        run = self.run
        state = driver.with_newest(run.state if run.state is not None else driver.initial())
        announce = progress.note if interrupt.renew() else progress.mention

        def cancelled() -> bool:
            return ranks.any_of(here=interrupt.requested)

        selection = run.selection.select(driver, state, run.counters, announce, cancelled)
        return result_of(driver, state, run.counters, selection, reason)

    # For searches with several seeds at once.

    def claim(self) -> None:
        """Write the manifest of a run that begins, so that the run can be resumed even if others come before it."""
        folder = self.stored.open() if self.stored is not None else None
        if folder is not None:
            folder.close()

    def drivers(self, searches: int) -> list[CompiledDriver]:
        """Return drivers for searches with other seeds, one for each of those that can be under way at a time.

        These are as many as there are devices. Where there are fewer searches than devices, or the user has chosen
        devices, there is one: that of this search. None where the problem is one in plain Python.

        Args:
            searches: how many there are.
        """
        if isinstance(self.parts.problem, HostProblem):
            return []
        use_compilation_cache()
        execution, counters = self.execution, self.run.counters
        devices = jax.local_devices()
        if execution.devices is not None or not 1 < len(devices) <= searches:
            return [self._compiled()]
        if devices[0].platform == "cpu":  # whose devices are the same cores: compiled once, for one of them
            driver = execution.compiled(self.parts, counters, devices[0])
            return [driver.with_own_thread() for _ in devices]
        return [execution.compiled(self.parts, counters, device) for device in devices]

    def use(self, driver: CompiledDriver) -> None:
        """Compute with the programs of the driver of another seed, unless this run began with another chunk size."""
        if self.run.counters.chunk in (None, driver.evaluator.chunk):
            self.run.counters.chunk = driver.evaluator.chunk
            self.driver = driver.with_seed(self.parts.seed)


def last(steps: Steps) -> Result:
    """Return the result of a search whose steps have begun."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def _not_written(error: NotWritten) -> StopReason:
    warn(f"{error}")
    return StopReason(NOT_WRITTEN, f"the run directory could not be written to: {error}")
