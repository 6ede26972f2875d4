"""The search: one loop that owns counting, keys, dispatches, history, checkpoints and stopping."""

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from evometa import archive_file, checkpoint, history, naming
from evometa.checkpoint import Checkpoint
from evometa.checks import check_problem, require_feedback
from evometa.conclusion import best_fitness, conclude
from evometa.devices import cpu_cores
from evometa.errors import ConfigurationError
from evometa.history import COUNTS, History
from evometa.host import WorkerPool
from evometa.host_program import HostProgram
from evometa.interrupt import Interrupt
from evometa.limits import Limits, Pace
from evometa.planning import plan
from evometa.problem import BaseProblem, HostProblem, InnerTraining, Problem
from evometa.program import (
    FIRST_STRATEGY_STOP,
    GO_ON,
    MOST_GENERATIONS,
    TARGET_REACHED,
    CompiledProgram,
    Program,
    Rows,
    SearchState,
    sign_of,
)
from evometa.progress import Progress, Status
from evometa.result import Counters, Result
from evometa.run_directory import RunDirectory, describe_run, read_manifest, warn_of_changes
from evometa.strategy import Strategy, require_problem, require_space


class Report(NamedTuple):
    """What a callback is told after each dispatch."""

    search: "Search"
    """The search."""
    status: Status
    """Where it stands."""
    rows: dict[str, NDArray[Any]]
    """The history of the dispatch's generations, a column at a time."""


Callback = Callable[[Report], bool | None]
"""Called after each dispatch; a true result stops the search."""


class Search:
    """Searches for the ω of a problem with a strategy.

    Args:
        problem: the problem, an instance.
        strategy: the strategy, an instance.
        seed: seed of everything; the same seed gives the same history.
        run_directory: where to keep manifest, history and checkpoints; None keeps the run in memory only.
        overwrite: allow to remove a run that is in ``run_directory`` already.
        population_chunk: candidates batched at a time on each device, or "auto".
        memory_budget: bytes that the compiled program may need.
        devices: local devices to use; None chooses.
        validate_every: generations from one validation of the strategy's center (or best) to the next.
        validation_tasks: fresh training tasks, and as many held-out ones, a validation uses.
        finalists: candidates kept for the final selection (:attr:`Result.selected_omega`), each the best of a
            generation; None: 8 for problems with tasks, which are noisy, otherwise 0.
        checkpoint_seconds: seconds from one checkpoint to the next.
        keep_checkpoints: how many of the newest checkpoints are kept.
        workers: worker processes for a :class:`~evometa.HostProblem`; None: one for each core.
        callbacks: called after each dispatch.
        progress: show a progress bar; None: where standard error is a terminal.

    Raises:
        ConfigurationError: something does not fit together; the message says what.
        RunDirectoryError: ``run_directory`` cannot be used.
    """

    def __init__(
        self,
        problem: BaseProblem,
        strategy: Strategy[Any],
        *,
        seed: int = 0,
        run_directory: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        population_chunk: int | Literal["auto"] = "auto",
        memory_budget: int = 2 * 2**30,
        devices: int | None = None,
        validate_every: int = 100,
        validation_tasks: int = 256,
        finalists: int | None = None,
        checkpoint_seconds: float = 30.0,
        keep_checkpoints: int = 3,
        workers: int | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
    ) -> None:
        for name, value in (
            ("validate_every", validate_every),
            ("validation_tasks", validation_tasks),
            ("keep_checkpoints", keep_checkpoints),
            ("workers", 1 if workers is None else workers),
        ):
            if value < 1:
                raise ConfigurationError(f"Search expects {name} >= 1, got {value}.")
        if not isinstance(strategy, Strategy):
            raise ConfigurationError(
                f"Search expects a strategy, an instance such as OpenAIES(population_size=64), got {strategy!r}."
            )
        self.problem, self.strategy, self.seed = problem, strategy, seed
        self._space = check_problem(problem)
        require_space(strategy, self._space)
        require_problem(strategy, problem)
        require_feedback(strategy, problem)
        self._population_chunk, self._memory_budget, self._devices = population_chunk, memory_budget, devices
        self._validate_every, self._validation_tasks = validate_every, validation_tasks
        self._finalists = (8 if isinstance(problem, InnerTraining) else 0) if finalists is None else finalists
        if self._finalists < 0:
            raise ConfigurationError(
                f"Search expects finalists >= 0, candidates judged again at the end, got {finalists}."
            )
        self._checkpoint_seconds, self._keep_checkpoints = checkpoint_seconds, keep_checkpoints
        self._workers = workers or cpu_cores()
        self._callbacks, self._show = tuple(callbacks), progress
        self._counters = Counters()
        self._state: SearchState | None = None
        self._program: Program | None = None
        self._rows: list[dict[str, NDArray[Any]]] = []
        self._path = Path(run_directory) if run_directory is not None else None
        if self._path is not None:
            options = {
                "validate_every": validate_every,
                "validation_tasks": validation_tasks,
                "finalists": self._finalists,
            }
            RunDirectory(self._path, describe_run(problem, strategy, seed, options), overwrite=overwrite).close()

    @classmethod
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
            problem: the problem, where the manifest's description should not be used.
            strategy: the strategy, likewise.
            execution: any of population_chunk, memory_budget, devices, checkpoint_seconds, keep_checkpoints, workers,
                callbacks and progress; the seed and the validation are the run's own.

        Raises:
            RunDirectoryError: there is no run, or it cannot be continued.
        """
        path = Path(run_directory)
        manifest = read_manifest(path)
        problem = problem if problem is not None else naming.rebuild(manifest.problem)
        strategy = strategy if strategy is not None else naming.rebuild(manifest.strategy)
        warn_of_changes(manifest, problem, strategy)
        fixed = {"seed", "run_directory", "overwrite", *manifest.options} & execution.keys()
        if fixed:
            raise ConfigurationError(
                f"Search.resume keeps the run's own {', '.join(sorted(fixed))}; start a new run to change that."
            )
        search = cls(problem, strategy, seed=manifest.seed, **manifest.options, **execution)
        search._path = path
        if "population_chunk" not in execution:  # the chunk it began with, and with it every bit
            search._counters.chunk = (checkpoint.progress(path) or {}).get("chunk")
        return search

    def run(
        self,
        *,
        generations: int | None = None,
        evaluations: int | None = None,
        inner_steps: int | None = None,
        seconds: float | None = None,
        target: float | None = None,
    ) -> Result:
        """Search until the first limit is reached, the strategy stops, or Ctrl-C is pressed.

        Every limit counts over the run's life: ``run(generations=100)`` twice does 100 generations, and after a resume
        ``run(generations=4000)`` goes on to 4000. Ctrl-C ends the dispatch in flight, writes a checkpoint and returns;
        pressed twice it raises KeyboardInterrupt at once.

        Args:
            generations: stop after this many generations.
            evaluations: stop before more candidates than this were judged.
            inner_steps: stop before more learner updates than this were done.
            seconds: stop when this many seconds have passed (at the end of a dispatch, about a second).
            target: stop when the best fitness is as good as this.

        Raises:
            ConfigurationError: no limit, or one that is not positive.
        """
        naming.refuse_while_importing("a search")
        limits = Limits(generations, evaluations, inner_steps, seconds, target)
        entered = time.monotonic()
        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(Progress(self._show))
            folder = stack.enter_context(RunDirectory(self._path)) if self._path is not None else None
            program = self._prepare(stack, progress)
            if folder is not None:
                self._restore(folder, program)
            reason = self._loop(program, limits, entered, folder, progress)
            result = self._result(program, reason)
            if self._path is not None:
                archive_file.write(self._path, result.archive)
            return result

    def _prepare(self, stack: contextlib.ExitStack, progress: Progress) -> Program:
        if isinstance(self.problem, HostProblem):
            pool = stack.enter_context(WorkerPool(self.problem, self._workers))
            return HostProgram(
                self.problem,
                self._space,
                self.strategy,
                pool,
                self.seed,
                validate_every=self._validate_every,
                finalists=self._finalists,
                note=progress.note,
            )
        if self._program is None:
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
            self._program = CompiledProgram(
                evaluator,
                self.strategy,
                self.seed,
                validate_every=self._validate_every,
                validation_tasks=self._validation_tasks,
                finalists=self._finalists,
                memory_budget=self._memory_budget,
            )
        return self._program

    def _restore(self, folder: RunDirectory, program: Program) -> None:
        found = folder.restore(program.initial(), program.columns)
        self._state = jax.tree.map(jnp.asarray, found.state) if found else None
        chunk = self._counters.chunk
        self._counters = dataclasses.replace(Counters(**(found.progress if found else {})), chunk=chunk)

    def _loop(
        self, program: Program, limits: Limits, entered: float, folder: RunDirectory | None, progress: Progress
    ) -> str:
        """Dispatch until there is a reason to stop; return it. State and counters are left up to date."""
        state = self._state if self._state is not None else program.initial()
        done, pace, begun = self._counters, Pace(), entered - self._counters.seconds
        population, inner = self.strategy.population_size, program.inner_steps
        target = limits.target if limits.target is not None else -math.inf * sign_of(self.problem)
        saved, saved_at = done.generation, time.monotonic()
        with Interrupt() as interrupt:
            reason = limits.reached(done, population, inner)
            while reason is None:
                left = limits.generations_left(done, population, inner)
                seconds_left = math.inf if limits.seconds is None else limits.seconds - done.seconds
                start = time.monotonic()
                state, rows, code = program.advance(
                    state, done.generation + 1, pace.generations(left, seconds_left, MOST_GENERATIONS), target
                )
                spent = time.monotonic() - start
                pace.learn(len(rows.failed), spent)
                counts = self._count(done, rows, population, inner)
                done.seconds = time.monotonic() - begun
                self._state = state
                table = self._record(program, counts, rows, done)
                if folder is not None and len(rows.failed):
                    folder.append(counts, rows.values, done.generation, done.seconds)
                status = self._status(state, done, limits, inner, len(rows.failed) / spent, pace.seconds_for(left))
                progress.update(status)
                report = Report(self, status, table)
                called = [callback(report) for callback in self._callbacks]
                reason = self._why(code, limits) or limits.reached(done, population, inner)
                if interrupt.requested:
                    reason = "interrupted"
                elif any(called):
                    reason = reason or "a callback asked to stop"
                done.stop_reason = reason
                due = time.monotonic() - saved_at >= self._checkpoint_seconds
                if folder is not None and done.generation > saved and (reason is not None or due):
                    folder.save(Checkpoint(state, dataclasses.asdict(done)), keep=self._keep_checkpoints)
                    saved, saved_at = done.generation, time.monotonic()
        return reason

    @staticmethod
    def _count(done: Counters, rows: Rows, population: int, inner_steps: int) -> NDArray[np.int64]:
        """Add the generations of a dispatch to the counters; return the history's whole numbers ``[N, 4]``."""
        number = np.arange(1, len(rows.failed) + 1)
        counts = np.stack(
            [
                done.generation + number,
                done.evaluations + number * population,
                done.inner_steps + number * population * inner_steps,
                rows.failed,
            ],
            axis=1,
        )
        if len(number):
            done.generation, done.evaluations, done.inner_steps = (int(n) for n in counts[-1, :3])
        done.failed += int(rows.failed.sum())
        return counts

    def _record(
        self, program: Program, counts: NDArray[np.int64], rows: Rows, done: Counters
    ) -> dict[str, NDArray[Any]]:
        table = dict(zip(COUNTS, counts.T, strict=True)) | dict(zip(program.columns, rows.values.T, strict=True))
        for name in ("center", "held_out"):
            known = table[name][~np.isnan(table[name])]
            if len(known):
                setattr(done, name, float(known[-1]))
        if self._path is None:
            self._rows.append(table | {"seconds": np.array([done.seconds])})
        return table

    def _status(
        self,
        state: SearchState,
        done: Counters,
        limits: Limits,
        inner_steps: int,
        speed: float,
        seconds_left: float | None,
    ) -> Status:
        evaluations = speed * self.strategy.population_size
        if limits.seconds is not None:
            seconds_left = min(limits.seconds - done.seconds, math.inf if seconds_left is None else seconds_left)
        return Status(
            generation=done.generation,
            of=limits.generations,
            best_so_far=best_fitness(state, sign_of(self.problem)),
            center=done.center,
            held_out=done.held_out,
            failed=done.failed,
            inner_steps_per_second=evaluations * inner_steps,
            evaluations_per_second=evaluations,
            seconds=done.seconds,
            seconds_left=seconds_left,
        )

    def _why(self, code: int, limits: Limits) -> str | None:
        if code == GO_ON:
            return None
        if code == TARGET_REACHED:
            return f"the target fitness {limits.target:g} was reached"
        return self.strategy.stop_reasons[code - FIRST_STRATEGY_STOP]

    def _result(self, program: Program, reason: str) -> Result:
        state = self._state if self._state is not None else program.initial()
        return conclude(program, self.strategy, self.problem, self._space, state, self._counters, reason)

    @property
    def chunk(self) -> int | None:
        """Candidates batched at a time on each device; None before the first run."""
        return self._counters.chunk

    @property
    def history(self) -> History:
        """The history so far: of the run directory, or of this object where there is none."""
        if self._path is not None:
            return history.read(self._path)
        names = [name for name in (self._rows[0] if self._rows else dict.fromkeys(COUNTS)) if name != "seconds"]
        columns = {name: np.concatenate([np.empty(0), *(rows[name] for rows in self._rows)]) for name in names}
        ends = [[rows["generation"][-1], rows["seconds"][0]] for rows in self._rows if len(rows["generation"])]
        generations, seconds = np.array(ends, np.float64).reshape(len(ends), 2).T
        return History(columns, {"generation": generations, "seconds": seconds})
