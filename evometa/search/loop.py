"""The loop of a search: dispatch, count, record, tell the callbacks, decide, save."""

import contextlib
import dataclasses
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evometa.backend import ranks
from evometa.executors.executor import GivenUp
from evometa.search import agreement
from evometa.search.agreement import Standing
from evometa.search.callbacks import Callback, Report
from evometa.search.debugging import Examiner
from evometa.search.decisions import (
    ALL_FAILED,
    CALLBACK,
    INTERRUPTED,
    Decider,
    Decision,
    Limits,
    StopReason,
    failing_generations,
)
from evometa.search.drift import Drift
from evometa.search.driver import Driver, Rows
from evometa.search.generation import CONTINUE, SearchState
from evometa.search.interrupt import Interrupt
from evometa.search.progress import Progress, Status
from evometa.search.run_state import RunState
from evometa.search.search_result import result_of
from evometa.search.selection import skipped
from evometa.search.starting import evaluate_start
from evometa.search.target import Target
from evometa.storage import failures, result_file
from evometa.storage.checkpoint import Checkpoint
from evometa.storage.files import NotWritten
from evometa.storage.history import COUNTS
from evometa.storage.run_directory import RunDirectory
from evometa.storage.tables import DispatchRows

if TYPE_CHECKING:
    from evometa.search.search import Search


@dataclasses.dataclass(frozen=True)
class Loop:
    """Runs generations, dispatch after dispatch, for one call of :meth:`Search.run`."""

    search: "Search"
    """The search, which callbacks are told of."""
    driver: Driver
    """Runs generations."""
    run: RunState
    """What was done and found so far; advanced in place."""
    folder: RunDirectory | None
    """Where rows and checkpoints are written; None where they are not, or not by this rank."""
    keeps_rows: bool
    """Whether to keep the rows in memory."""
    callbacks: Sequence[Callback]
    progress: Progress
    interrupt: Interrupt
    examiner: Examiner | None
    """Evaluates each generation by plain JAX first; None outside debugging."""
    checkpoint_seconds: float
    """Seconds from one checkpoint to the next."""
    keep_checkpoints: int
    """How many of the newest checkpoints are kept."""

    def until(self, limits: Limits) -> Generator[None, None, StopReason]:
        """Dispatch until there is a reason to stop; return it. It yields while each dispatch is under way.

        Raises:
            NotWritten: the run directory can no longer be written to.
            EvaluationError: the code of a plain-Python problem raised an error for every candidate of the first
                generation, or calls could not be made.
        """
        try:
            reason = yield from self._dispatched(limits)
        finally:
            self.driver.finish()
        return self._explained(reason)

    def _dispatched(self, limits: Limits) -> Generator[None, None, StopReason]:
        begun, entered = time.monotonic() - self.run.counters.seconds, agreement.now()
        driver, run, done = self.driver, self.run, self.run.counters
        state = run.state if run.state is not None else driver.initial()
        target = Target(driver, limits, run.selection)
        decider = Decider(
            limits,
            driver.prices,
            driver.strategy.stop_reasons,
            checkpoint_seconds=self.checkpoint_seconds,
            saved=done.generation,
            now=entered,
            pardoned=done.failing if done.stop_code == ALL_FAILED else 0,
        )
        drift, worried = None, False
        try:
            state = evaluate_start(driver, state, done, limits)
        except GivenUp:
            return INTERRUPTED
        if done.evaluations:  # so that what was found stays, also where no generation follows
            run.state = state
        if self.folder is not None and self.folder.drift_generation is not None:
            drift = Drift(driver, state, done, self.folder.drift_generation)
        decision = decider.decide(done, now=entered)
        while decision.stop is None:
            start = time.monotonic()
            count = target.within(done, decision.generations)
            if self.examiner is not None:
                count = 1
                self.examiner.examine(state, done.generation + 1)
            left = limits.generations_left(done, decider.prices)
            wait = driver.launch(state, done.generation + 1, count, target.value(), left)
            yield
            state, rows, code = wait()
            if not (done.generation or len(rows.failed)):  # before there is anything to write
                if driver.lost is not None:
                    raise driver.lost
                if self.interrupt.requested:
                    return INTERRUPTED
            spent = time.monotonic() - start
            decider.pace.learn(len(rows.failed), spent)
            population = driver.strategy.population_size
            counts = done.add(rows.evaluations, rows.inner_steps, rows.failed, rows.validation_tasks, population)
            done.seconds = time.monotonic() - begun
            run.state = state
            decider.prices = driver.prices  # of a plain-Python problem, which may turn out to be noisy
            with contextlib.suppress(GivenUp):
                # (which other ranks evaluate too, whatever this one was asked)
                skip = self.interrupt.requested and ranks.count() == 1
                code = CONTINUE if skip else target.confirmed(state, done, code)
            table = self._columns(counts, rows)
            lost = self._write(state, counts, rows, drift)
            status = self._status(state, decider, rows, spent)
            self.progress.update(status)
            report = Report(self.search, status, table)
            asked = (lost is None and self._call_back(report, decider)) or driver.lost is not None
            agreed = agreement.reach(
                Standing(
                    seconds=done.seconds,
                    now=time.monotonic(),
                    spent=spent,
                    interrupted=self.interrupt.requested,
                    asked=asked,
                    lost=lost is not None,
                    digest=agreement.digest(rows.values, done.generation),
                )
            )
            agreement.require_written(lost, lost=agreed.lost)
            done.seconds = agreed.seconds
            decider.pace.learn(len(rows.failed), agreed.spent)
            decision = decider.decide(
                done, now=agreed.now, code=code, interrupted=agreed.interrupted, asked=agreed.asked
            )
            if decision.stop is None and not worried and done.failing >= 3 and done.failing * population >= 30:
                worried = True
                self.progress.note(
                    f"Every candidate of the last {done.failing:,} generations failed: {driver.why_failing(state)}; "
                    f"the search ends if {failing_generations(population):,} generations in a row do."
                )
            if self._saved(decision):
                for callback in self.callbacks:
                    callback.checkpoint(report)
            if driver.lost is not None:
                raise driver.lost
        return decision.stop

    def _explained(self, reason: StopReason) -> StopReason:
        """Return why the search stopped, with the reason of the failures where it found nothing else."""
        state, done = self.run.state, self.run.counters
        if reason in (INTERRUPTED, CALLBACK) or state is None:
            return reason
        if not done.all_failed and reason.code != ALL_FAILED:
            return reason
        ended = reason.text if reason.code == ALL_FAILED else f"{reason.text}, and every candidate failed"
        explained = StopReason(ALL_FAILED, f"{ended}: {self.driver.why_failing(state)}")
        self.progress.note(f"Search stopped: {explained.text}")
        return explained

    def _columns(self, counts: NDArray[np.int64], rows: Rows) -> dict[str, NDArray[Any]]:
        """Return the rows of a dispatch as columns, and take from them what was validated last."""
        done, columns = self.run.counters, self.driver.columns
        table = dict(zip(COUNTS, counts.T, strict=True)) | dict(zip(columns, rows.values.T, strict=True))
        for name in ("center", "held_out"):
            known = table[name][~np.isnan(table[name])]
            if len(known):
                setattr(done, name, float(known[-1]))
                done.center_tasks = self.driver.prices.tasks_in_validation
        if self.keeps_rows:
            self.run.rows.append(table | {"seconds": np.array([done.seconds])})
        return table

    def _write(
        self, state: SearchState, counts: NDArray[np.int64], rows: Rows, drift: Drift | None
    ) -> NotWritten | None:
        """Have the rows of a dispatch written; return why they cannot be."""
        done = self.run.counters
        if self.folder is None or not len(rows.failed):
            return None
        if drift is not None:
            drift.follow(state, done.generation)
        moved = b"" if drift is None else drift.taken()
        try:
            self.folder.append(DispatchRows(counts, rows.values, done.generation, done.seconds, rows.trials, moved))
        except NotWritten as error:
            return error
        return None

    def _call_back(self, report: Report, decider: Decider) -> bool:
        """Call the callbacks after a dispatch; return whether any asks to stop. An error is raised after saving."""
        try:
            asked = [callback.dispatch(report) for callback in self.callbacks]
            if np.isfinite(report.rows["center"]).any():
                for callback in self.callbacks:
                    callback.validation(report)
            return any(asked)
        except BaseException as error:
            try:
                self._save(decider.decide(self.run.counters, now=time.monotonic(), asked=True))
            except NotWritten as lost:
                error.add_note(f"{lost}")
            raise

    def _saved(self, decision: Decision) -> bool:
        """Write a checkpoint where it is due; return whether this rank did. No rank goes on before it is written."""
        lost, saved = None, False
        try:
            saved = self._save(decision)
        except NotWritten as error:
            lost = error
        if decision.checkpoint or lost is not None:
            agreement.require_written(lost, lost=ranks.any_of(here=lost is not None))
        return saved

    def _save(self, decision: Decision) -> bool:
        """Write a checkpoint, and what is found so far, where it is due; return whether it was."""
        driver, folder, state, done = self.driver, self.folder, self.run.state, self.run.counters
        done.stop_reason, done.stop_code = (None, None) if decision.stop is None else decision.stop[::-1]
        if folder is None or state is None or not decision.checkpoint:
            return False
        folder.save(Checkpoint(state, dataclasses.asdict(done)), keep=self.keep_checkpoints)
        failures.write(folder.path, self.run.failures)
        unselected = skipped(state, done, driver.center(state))
        reason = decision.stop or StopReason("running", "the search was running at its newest checkpoint")
        result_file.write(folder.path, result_of(driver, state, done, unselected, reason))
        return True

    def _status(self, state: SearchState, decider: Decider, rows: Rows, spent: float) -> Status:
        done = self.run.counters
        return Status(
            generation=done.generation,
            of=decider.limits.generations,
            best_so_far=self.driver.best_fitness(state),
            center=done.center,
            held_out=done.held_out,
            failed=done.failed,
            inner_steps_per_second=float(rows.inner_steps.sum()) / spent,
            evaluations_per_second=float(rows.evaluations.sum()) / spent,
            seconds=done.seconds,
            seconds_left=decider.seconds_left(done),
        )
