"""The search: one loop that owns counting, keys, dispatches, history, checkpoints and stopping."""

import contextlib
import dataclasses
import math
import os
import time
import warnings
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from evometa import naming
from evometa.backend.compilation_cache import use_compilation_cache
from evometa.backend.container import cpu_cores
from evometa.backend.precision import whole_seed
from evometa.errors import ConfigurationError, EvaluationError
from evometa.evaluation.checks import check_problem, noisy, require_compatible, warn_of_ignored
from evometa.executors.executor import GivenUp
from evometa.executors.worker_pool import WorkerPool
from evometa.problem import VALIDATION_TASKS, BaseProblem, HostProblem, InnerTraining, Problem, precision_of
from evometa.search.budget import SHARE, UNBOUNDED
from evometa.search.callbacks import Report, as_callback
from evometa.search.compiled_driver import CompiledDriver
from evometa.search.debugging import Examiner, engine, switches
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
from evometa.search.driver import Driver, Rows, ValidationSettings
from evometa.search.generation import CONTINUE, SearchState
from evometa.search.interrupt import Interrupt, told_of_interrupts
from evometa.search.planning import plan
from evometa.search.progress import Progress, Status
from evometa.search.resizing import form_of, maker, resized
from evometa.search.resuming import Change, changes, concerns_fitness, evaluated_again, rebuilt, recorded
from evometa.search.search_result import result_of
from evometa.search.selection import FinalSelection, skipped
from evometa.search.starting import as_lists, encoded, evaluate_start, from_lists
from evometa.search.stepped_driver import SteppedDriver
from evometa.search.target import Target
from evometa.settings import Advice, Checked, Count, Natural, NonNegative, Positive, Range, checked
from evometa.storage import archive_file, checkpoint, failures, history, result_file
from evometa.storage.checkpoint import Checkpoint
from evometa.storage.files import NotWritten, run_folder
from evometa.storage.history import COUNTS, History
from evometa.storage.manifest import Manifest, describe_run, read_manifest
from evometa.storage.result import Counters, Result
from evometa.storage.run_directory import RunDirectory, recover, require_free
from evometa.strategy import Strategy

NOT_WRITTEN = "not_written"
"""The stop code of a search whose run directory could no longer be written to."""


class Search(metaclass=Checked):
    """Searches for the ω of a problem with a strategy.

    Args:
        problem: the problem, an instance.
        strategy: the strategy, an instance.
        seed: seed of everything, a whole number of 64 bits; the same seed gives the same history.
        initial: ω at which the search begins instead of the space's start, at most as many as the population: evaluated
            once, they are the first candidates of a first population, and a search distribution begins at the best.
        run_directory: where to keep manifest, history and checkpoints; None keeps the run in memory only.
        overwrite: allow to replace a run that is in ``run_directory`` already; kept until the new one has generations.
        population_chunk: candidates batched at a time on each device, or "auto".
        memory_budget: bytes that the compiled program may need.
        devices: local devices to use; None chooses.
        validate_every: generations from one validation of the strategy's center (or best) to the next.
        validation_tasks: fresh training tasks (episodes, draws), and as many held-out ones, that a validation averages;
            None: 256 for compiled problems with noise, what a plain-Python problem says
            (:attr:`HostProblem.num_validation_tasks`), and 1 for problems without noise.
        finalists: candidates kept for the final selection (:attr:`Result.selected_omega`) besides the center and the
            best, each the best of a generation; None: 8 for problems with noise, otherwise 0.
        validation_share: what validations and final selections together may cost, as a share of the search's own
            evaluations or inner steps; None: 0.25, and no bound where ``validation_tasks`` is given. With little, they
            use fewer tasks and finalists, but never fewer tasks than one evaluation does. Their cost counts in the
            limits of :meth:`run`. 0: there are neither.
        checkpoint_seconds: seconds from one checkpoint to the next.
        keep_checkpoints: how many of the newest checkpoints are kept.
        workers: worker processes for a :class:`~evometa.HostProblem`; None: one for each core.
        worker_calls: calls after which a worker process is replaced by a fresh one; None: as many as it can do.
        worker_memory: bytes that a worker process may hold after a call before it is replaced; None: an equal share of
            80 % of the machine's memory, or of its container's.
        callbacks: functions called after each dispatch, or instances of :class:`~evometa.Callback`.
        progress: show a progress bar; None: where standard error is a terminal.
        debug: evaluate each generation's candidates of a compiled problem one after the other by plain JAX before the
            search does, and raise an error at the first value that is not finite. Slow. JAX's ``jax_debug_nans``,
            ``jax_debug_infs`` and ``jax_disable_jit`` do that without the last, and apply to the problem's code alone.

    Raises:
        ConfigurationError: something does not fit together; the message says what.
        RunDirectoryError: ``run_directory`` cannot be used.
    """

    def __init__(
        self,
        problem: Annotated[
            BaseProblem, Advice("give an instance of a Problem, InnerTraining or HostProblem, such as MyProblem()")
        ],
        strategy: Annotated[Strategy[Any], Advice("give an instance such as OpenAIES(population_size=64)")],
        *,
        seed: int = 0,
        initial: Any = (),
        run_directory: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        population_chunk: Count | Literal["auto"] = "auto",
        memory_budget: Count = 2 * 2**30,
        devices: Count | None = None,
        validate_every: Count = 100,
        validation_tasks: Count | None = None,
        finalists: Natural | None = None,
        validation_share: NonNegative | None = None,
        checkpoint_seconds: NonNegative = 30.0,
        keep_checkpoints: Count = 3,
        workers: Count | None = None,
        worker_calls: Count | None = None,
        worker_memory: Count | None = None,
        callbacks: Iterable[Any] = (),
        progress: bool | None = None,
        debug: bool = False,
    ) -> None:
        if validation_share is None:
            validation_share = SHARE if validation_tasks is None else UNBOUNDED
        self.problem, self.strategy, self.seed = problem, strategy, whole_seed("Search", seed)
        with precision_of(problem):
            self._space = check_problem(problem)
            require_compatible(strategy, problem, self._space)
            starts = encoded(self._space, initial, strategy.population_size)
            if starts is not None:
                self._space = self._space.starting_at(starts)
            warn_of_ignored(strategy, problem)
        self._population_chunk, self._memory_budget, self._devices = population_chunk, memory_budget, devices
        noise = noisy(problem)
        default = problem.num_validation_tasks if problem.num_tasks or not noise else VALIDATION_TASKS
        self._validation = ValidationSettings(
            every=validate_every,
            tasks=default if validation_tasks is None else validation_tasks,
            finalists=(8 if noise else 0) if finalists is None else finalists,
            share=validation_share,
        )
        self._checkpoint_seconds, self._keep_checkpoints = checkpoint_seconds, keep_checkpoints
        self._workers = workers or cpu_cores()
        self._worker_calls, self._worker_memory = worker_calls, worker_memory
        self._failures: dict[str, failures.Failure] = {}
        self._callbacks = tuple(as_callback(each) for each in callbacks)
        self._show, self._debug = progress, debug
        self._examiner: Examiner | None = None
        self._counters = Counters(double=isinstance(problem, HostProblem))
        self._state: SearchState | None = None
        self._driver: Driver | None = None
        self._selection: FinalSelection | None = None
        self._rows: list[dict[str, NDArray[Any]]] = []
        self._path = run_folder(run_directory) if run_directory is not None else None
        self._overwrite = overwrite
        self._manifest: Manifest | None = None  # that the run directory is to have
        self._known: Manifest | None = None  # that it has, as far as this search knows
        self._changes: list[Change] = []
        if isinstance(problem, HostProblem):
            naming.require_rebuildable(problem, "worker processes can evaluate it")
        if self._path is not None:
            for thing in (problem, strategy):
                naming.require_rebuildable(thing, "the run can be resumed")
            options = {
                "validate_every": validate_every,
                "validation_tasks": self._validation.tasks,
                "finalists": self._validation.finalists,
                "validation_share": validation_share,
            }
            self._manifest = describe_run(problem, strategy, self.seed, options, as_lists(starts))
            require_free(self._path, overwrite=overwrite)

    @classmethod
    @checked
    def resume(
        cls,
        run_directory: str | os.PathLike[str],
        *,
        problem: BaseProblem | None = None,
        strategy: Strategy[Any] | None = None,
        **execution: Any,
    ) -> "Search":
        """Continue a run from its newest whole checkpoint, as if it had never stopped.

        Args:
            run_directory: the folder of the run.
            problem: the problem, where the manifest's description should not be used: its class has moved, or the run
                continues with other settings. The manifest then records the change with its generation, a warning
                says so, and the best so far is evaluated again.
            strategy: the strategy, likewise, of the class that it was. With another population_size it keeps what it
                has learned or its best members (:meth:`Strategy.resized`); other settings that change the shapes of its
                state are refused.
            execution: any of population_chunk, memory_budget, devices, checkpoint_seconds, keep_checkpoints, workers,
                worker_calls, worker_memory, callbacks and progress; the seed and the validation are the run's own.

        Raises:
            RunDirectoryError: there is no run, or it cannot be continued.
            ConfigurationError: problem or strategy cannot be built, or the run cannot continue with the given ones.
        """
        path = run_folder(run_directory)
        recover(path)
        manifest = read_manifest(path)
        problem = problem if problem is not None else rebuilt(manifest, "problem")
        strategy = strategy if strategy is not None else rebuilt(manifest, "strategy")
        fixed = {"seed", "initial", "run_directory", "overwrite", *manifest.options} & execution.keys()
        if fixed:
            raise ConfigurationError(
                f"Search.resume keeps the run's own {', '.join(sorted(fixed))}; start a new run to change that."
            )
        options = dict(manifest.options)
        if "validation_share" not in options and not isinstance(problem, InnerTraining):
            options["validation_tasks"] = 1  # of a run from when problems without tasks were validated once
        options.setdefault("validation_share", SHARE)
        search = cls(problem, strategy, seed=manifest.seed, **options, **execution)
        search._path, search._known = path, manifest
        if manifest.initial is not None:
            search._space = search._space.starting_at(from_lists(search._space, manifest.initial))
        now = describe_run(problem, strategy, manifest.seed, manifest.options)
        direction = manifest.direction or (result_file.numbers(path) or {}).get("direction")
        search._changes = changes(manifest, now, direction)
        search._manifest = recorded(manifest, now, [], 0)
        progress = checkpoint.progress(path)
        if progress is not None:
            search._counters.double = progress.get("double", False)
            same = search._maker().population_size == strategy.population_size
            if "population_chunk" not in execution and same:  # the chunk it began with, and with it every bit
                search._counters.chunk = progress.get("chunk")
        return search

    @checked
    def run(
        self,
        *,
        generations: Count | None = None,
        evaluations: Count | None = None,
        inner_steps: Count | None = None,
        seconds: Positive | None = None,
        target: Annotated[float, Range()] | None = None,
    ) -> Result:
        """Search until the first limit is reached, the strategy stops, or Ctrl-C is pressed.

        Every limit counts over the run's life: ``run(generations=100)`` twice does 100 generations, and after a resume
        ``run(generations=4000)`` continues to 4000. Ctrl-C ends the dispatch in flight, writes a checkpoint and returns
        after the final selection, which another Ctrl-C skips; pressed twice before that it raises KeyboardInterrupt at
        once. Of a plain-Python problem it ends the generation in flight; pressed twice, or when no call returns for
        long, it gives up the calls in flight and that generation, and returns what the generations before have found.

        Args:
            generations: stop after this many generations.
            evaluations: stop before more evaluations than this were made, with those of validations and of the final
                selection (T tasks of them count as one).
            inner_steps: stop before more learner updates than this were made, likewise.
            seconds: stop when this many seconds have passed (at the end of a dispatch, about a second); compiling comes
                before and does not count.
            target: stop when the best fitness is as good as this; on a noisy problem only if the center, or without one
                the best so far, is as good on fresh tasks too.

        SIGTERM and SIGHUP end it likewise, without a final selection; then the process ends as the signal asks. Where
        the run directory can no longer be written to (a full disk, a folder that is gone), a warning says so and the
        search ends with what it has found.

        Raises:
            ConfigurationError: no limit, or one that is not positive.
            RunDirectoryError: the run directory is not this run's any more, or cannot be read.
            EvaluationError: the code of a plain-Python problem raised an error for every candidate of the first
                generation.
        """
        naming.refuse_while_importing("a search")
        limits = Limits(generations, evaluations, inner_steps, seconds, target)
        interrupt = Interrupt()
        try:
            return self._run(limits, interrupt)
        finally:
            interrupt.resend()

    def _run(self, limits: Limits, interrupt: Interrupt) -> Result:
        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(Progress(self._show))
            interrupt.announce = progress.note
            folder = None
            if self._path is not None:
                assert self._manifest is not None
                folder = stack.enter_context(
                    RunDirectory(self._path, self._manifest, known=self._known, overwrite=self._overwrite)
                )
                self._known = folder.known
            with told_of_interrupts(progress.note):
                driver = self._prepare(stack, progress, interrupt)
            if folder is not None:
                self._restore(folder, driver)
            stack.enter_context(interrupt)
            for callback in self._callbacks:
                callback.start(self)
            try:
                reason = self._loop(driver, limits, time.monotonic(), folder, progress, interrupt)
                reason = self._explained(driver, reason, progress)
            except NotWritten as error:
                reason = _not_written(error)
            except EvaluationError:
                if folder is not None and folder.known is not None:
                    failures.write(folder.path, self._failures)
                raise
            result = self._select(driver, reason, progress, interrupt)
            if folder is not None and folder.known is not None:
                try:
                    folder.require_own()
                    failures.write(folder.path, self._failures)
                    result_file.write(folder.path, result)
                    archive_file.write(folder.path, result.archive)
                except NotWritten as error:
                    if reason.code != NOT_WRITTEN:
                        reason = _not_written(error)
                        result = dataclasses.replace(result, stop_reason=reason.text, stop_code=reason.code)
            for callback in self._callbacks:
                callback.end(self, result)
            return result

    def result(self) -> Result:
        """Return what a resumed run has found at its newest checkpoint, after a final selection.

        It searches no further, needs no lock and writes nothing.

        Raises:
            RunDirectoryError: there is no whole checkpoint.
        """
        assert self._path is not None
        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(Progress(self._show))
            interrupt = Interrupt()
            driver = self._prepare(stack, progress, interrupt)
            former = self._maker()
            self._take(checkpoint.load(self._path, self._form(driver, former)), driver, former)
            reason = StopReason(self._counters.stop_code or "running", self._counters.stop_reason or "not ended yet")
            return self._select(driver, reason, progress, interrupt)

    def _prepare(self, stack: contextlib.ExitStack, progress: Progress, interrupt: Interrupt) -> Driver:
        use_compilation_cache()
        wanted = switches()
        stack.enter_context(engine())
        driver = self._made(stack, progress, interrupt)
        self._examiner = None
        if (self._debug or wanted.wanted) and isinstance(driver, CompiledDriver):
            self._examiner = Examiner(driver, wanted, strict=self._debug)
        return driver

    def _made(self, stack: contextlib.ExitStack, progress: Progress, interrupt: Interrupt) -> Driver:
        if isinstance(self.problem, HostProblem):
            pool = WorkerPool(
                self.problem,
                self._workers,
                calls=self._worker_calls,
                memory=self._worker_memory,
                gives_up=interrupt.gives_up,
            )
            executor = stack.enter_context(pool)
            return SteppedDriver(
                self.problem,
                self._space,
                self.strategy,
                executor,
                self.seed,
                self._validation,
                note=progress.note,
                failures=self._failures,
                double=self._counters.double,
            )
        if self._driver is None:
            assert isinstance(self.problem, (Problem, InnerTraining))
            evaluator = plan(
                self.problem,
                self._space,
                self.strategy,
                population_chunk=self._counters.chunk or self._population_chunk,
                memory_budget=self._memory_budget,
                devices=self._devices,
            )
            self._counters.chunk = evaluator.chunk
            self._driver = CompiledDriver(
                evaluator, self.strategy, self.seed, self._validation, memory_budget=self._memory_budget
            )
        return self._driver

    def _restore(self, folder: RunDirectory, driver: Driver) -> None:
        former = self._maker()
        found = folder.restore(self._form(driver, former), driver.columns)
        self._take(found, driver, former)
        # The final selection comes after the last checkpoint; what it took stands in the result.
        self._counters.validation_tasks = max(
            self._counters.validation_tasks, result_file.tasks_after(folder.path, self._counters.generation)
        )
        self._take_changes(folder, driver)

    def _maker(self) -> Strategy[Any]:
        """Return the strategy that made the newest checkpoint, which may have had another population size."""
        assert self._path is not None
        pending = [{"generation": math.inf, **change} for change in self._changes]
        made = [*(self._manifest.changes if self._manifest is not None else ()), *pending]
        progress = checkpoint.progress(self._path) if any(change["part"] == "strategy" for change in made) else None
        return self.strategy if progress is None else maker(made, progress["generation"], self.strategy)

    def _form(self, driver: Driver, former: Strategy[Any]) -> SearchState:
        """Return a state of the form that the checkpoints of a strategy have."""
        same = former.population_size == self.strategy.population_size
        return driver.initial() if same else form_of(driver, former)

    def _take(self, found: Checkpoint | None, driver: Driver, former: Strategy[Any]) -> None:
        """Take state and counters from a checkpoint of a strategy; those of the beginning where there is none."""
        state = found.state if found else None
        if found and former.population_size != self.strategy.population_size:
            state = resized(driver, former, found.state, found.progress["generation"])
        self._state = driver.restored(state) if state is not None else None
        if found and not self._failures and self._path is not None:
            self._failures.update(failures.read(self._path))
        chunk, double = self._counters.chunk, self._counters.double
        self._counters = dataclasses.replace(Counters(**(found.progress if found else {})), chunk=chunk, double=double)

    def _take_changes(self, folder: RunDirectory, driver: Driver) -> None:
        """Have changes recorded with the next rows; where they concern the fitness, evaluate the best so far again."""
        if self._known is None or self._manifest is None:
            return
        generation = self._counters.generation
        if self._changes:
            self._manifest = recorded(self._manifest, self._manifest, self._changes, generation)
            self._changes = []
            folder.record(self._manifest)
        # Those of a process that was killed before its next checkpoint too.
        new = [change for change in self._manifest.changes if change["generation"] >= generation]
        if self._state is not None and concerns_fitness(new):
            self._state, tasks = evaluated_again(driver, self._state)
            self._counters.validation_tasks += tasks
            self._counters.center = self._counters.held_out = math.nan

    def _loop(
        self,
        driver: Driver,
        limits: Limits,
        entered: float,
        folder: RunDirectory | None,
        progress: Progress,
        interrupt: Interrupt,
    ) -> StopReason:
        """Dispatch until there is a reason to stop; return it. State and counters are left up to date."""
        state = self._state if self._state is not None else driver.initial()
        done, begun = self._counters, entered - self._counters.seconds
        self._selection = self._selection or FinalSelection()
        target = Target(driver, limits, self._selection)
        decider = Decider(
            limits,
            driver.prices,
            self.strategy.stop_reasons,
            checkpoint_seconds=self._checkpoint_seconds,
            saved=done.generation,
            now=time.monotonic(),
            pardoned=done.failing if done.stop_code == ALL_FAILED else 0,
        )
        worried = False
        try:
            state = evaluate_start(driver, state, done, limits)
        except GivenUp:
            return INTERRUPTED
        if done.evaluations:  # so that what was found stays, also where no generation follows
            self._state = state
        decision = decider.decide(done, now=time.monotonic())
        while decision.stop is None:
            start = time.monotonic()
            count = target.within(done, decision.generations)
            if self._examiner is not None:
                count = 1
                self._examiner.examine(state, done.generation + 1)
            state, rows, code = driver.advance(state, done.generation + 1, count, target.value())
            if interrupt.requested and not (done.generation or len(rows.failed)):
                return INTERRUPTED  # before there is anything to write
            spent = time.monotonic() - start
            decider.pace.learn(len(rows.failed), spent)
            population = self.strategy.population_size
            counts = done.add(rows.evaluations, rows.inner_steps, rows.failed, rows.validation_tasks, population)
            done.seconds = time.monotonic() - begun
            self._state = state
            decider.prices = driver.prices  # of a plain-Python problem, which may turn out to be noisy
            with contextlib.suppress(GivenUp):
                code = CONTINUE if interrupt.requested else target.confirmed(state, done, code)
            table = self._record(driver, counts, rows, done)
            if folder is not None and len(rows.failed):
                folder.append(counts, rows.values, done.generation, done.seconds)
                self._known = folder.known
            status = self._status(driver, state, done, decider, rows, spent)
            progress.update(status)
            report = Report(self, status, table)
            try:
                asked = self._call_back(report)
            except BaseException as error:
                try:
                    self._save(driver, folder, decider.decide(done, now=time.monotonic(), asked=True))
                except NotWritten as lost:
                    error.add_note(f"{lost}")
                raise
            decision = decider.decide(
                done, now=time.monotonic(), code=code, interrupted=interrupt.requested, asked=asked
            )
            if decision.stop is None and not worried and done.failing >= 3 and done.failing * population >= 30:
                worried = True
                progress.note(
                    f"Every candidate of the last {done.failing:,} generations failed: {driver.why_failing(state)}; "
                    f"the search ends if {failing_generations(population):,} generations in a row do."
                )
            if self._save(driver, folder, decision):
                for callback in self._callbacks:
                    callback.checkpoint(report)
        return decision.stop

    def _explained(self, driver: Driver, reason: StopReason, progress: Progress) -> StopReason:
        """Return why the search stopped, with the reason of the failures where it found nothing else."""
        if reason in (INTERRUPTED, CALLBACK) or self._state is None:
            return reason
        if not self._counters.all_failed and reason.code != ALL_FAILED:
            return reason
        ended = reason.text if reason.code == ALL_FAILED else f"{reason.text}, and every candidate failed"
        explained = StopReason(ALL_FAILED, f"{ended}: {driver.why_failing(self._state)}")
        progress.note(f"Search stopped: {explained.text}")
        return explained

    def _call_back(self, report: Report) -> bool:
        """Call the callbacks after a dispatch; return whether any asks to stop."""
        asked = [callback.dispatch(report) for callback in self._callbacks]
        if np.isfinite(report.rows["center"]).any():
            for callback in self._callbacks:
                callback.validation(report)
        return any(asked)

    def _save(self, driver: Driver, folder: RunDirectory | None, decision: Decision) -> bool:
        """Write a checkpoint, and what is found so far, where it is due; return whether it was."""
        done = self._counters
        done.stop_reason, done.stop_code = (None, None) if decision.stop is None else decision.stop[::-1]
        if folder is None or self._state is None or not decision.checkpoint:
            return False
        folder.save(Checkpoint(self._state, dataclasses.asdict(done)), keep=self._keep_checkpoints)
        failures.write(folder.path, self._failures)
        unselected = skipped(self._state, done, driver.center(self._state))
        reason = decision.stop or StopReason("running", "the search was running at its newest checkpoint")
        result_file.write(folder.path, result_of(driver, self._state, done, unselected, reason))
        return True

    def _select(self, driver: Driver, reason: StopReason, progress: Progress, interrupt: Interrupt) -> Result:
        """Make the final selection and return the result."""
        state = self._state if self._state is not None else driver.initial()
        announce = progress.note if interrupt.renew() else progress.mention
        if self._selection is None:
            self._selection = FinalSelection()
        selection = self._selection.select(driver, state, self._counters, announce, lambda: interrupt.requested)
        return result_of(driver, state, self._counters, selection, reason)

    def _record(self, driver: Driver, counts: NDArray[np.int64], rows: Rows, done: Counters) -> dict[str, NDArray[Any]]:
        table = dict(zip(COUNTS, counts.T, strict=True)) | dict(zip(driver.columns, rows.values.T, strict=True))
        for name in ("center", "held_out"):
            known = table[name][~np.isnan(table[name])]
            if len(known):
                setattr(done, name, float(known[-1]))
        if self._path is None:
            self._rows.append(table | {"seconds": np.array([done.seconds])})
        return table

    def _status(
        self, driver: Driver, state: SearchState, done: Counters, decider: Decider, rows: Rows, spent: float
    ) -> Status:
        return Status(
            generation=done.generation,
            of=decider.limits.generations,
            best_so_far=driver.best_fitness(state),
            center=done.center,
            held_out=done.held_out,
            failed=done.failed,
            inner_steps_per_second=float(rows.inner_steps.sum()) / spent,
            evaluations_per_second=float(rows.evaluations.sum()) / spent,
            seconds=done.seconds,
            seconds_left=decider.seconds_left(done),
        )

    @property
    def chunk(self) -> int | None:
        """Candidates batched at a time on each device; None before the first run."""
        return self._counters.chunk

    @property
    def history(self) -> History:
        """The history so far: of the run directory, or of this object where there is none."""
        if self._path is not None and self._known is not None:
            return history.read(self._path)
        names = [name for name in (self._rows[0] if self._rows else dict.fromkeys(COUNTS)) if name != "seconds"]
        columns = {name: np.concatenate([np.empty(0), *(rows[name] for rows in self._rows)]) for name in names}
        ends = [[rows["generation"][-1], rows["seconds"][0]] for rows in self._rows if len(rows["generation"])]
        generations, seconds = np.array(ends, np.float64).reshape(len(ends), 2).T
        return History(columns, {"generation": generations, "seconds": seconds})


def _not_written(error: NotWritten) -> StopReason:
    warnings.warn(f"{error}", stacklevel=4)
    return StopReason(NOT_WRITTEN, f"the run directory could not be written to: {error}")
