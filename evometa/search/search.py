"""``Search``: what a user starts, interrupts and resumes.

It checks that what it is given fits together, and has it run (:mod:`evometa.search.running`).
"""

import contextlib
import logging
import os
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from evometa import naming
from evometa.asynchronous import incompatibility as asynchronous_incompatibility
from evometa.backend import ranks
from evometa.backend.precision import whole_seed
from evometa.errors import ConfigurationError
from evometa.evaluation.checks import check_problem
from evometa.evaluation.compatibility import noisy, require_compatible, require_prunable, warn_of_ignored
from evometa.executors.choice import Workers, needs_description
from evometa.halving import Halving
from evometa.problem import VALIDATION_TASKS, BaseProblem, HostProblem, InnerTraining, precision_of
from evometa.pruning import Pruning
from evometa.search.budget import SHARE, UNBOUNDED
from evometa.search.callbacks import as_callback
from evometa.search.debugging import engine
from evometa.search.decisions import Limits
from evometa.search.driver import ValidationSettings
from evometa.search.execution import Execution, Parts, require_distributable
from evometa.search.interrupt import Interrupt
from evometa.search.progress import Progress
from evometa.search.resuming import changes, read_on_first, rebuilt, recorded
from evometa.search.run_state import RunState
from evometa.search.running import Running, last
from evometa.search.start import Beginning, beginning, in_words
from evometa.search.starting import as_lists, from_lists
from evometa.search.stored_run import StoredRun
from evometa.settings import Advice, Checked, Count, Natural, NonNegative, Positive, Range, Total, checked
from evometa.storage import checkpoint, history, result_file
from evometa.storage.call_log import CallLog
from evometa.storage.data_copies import with_kept_classes
from evometa.storage.files import run_folder
from evometa.storage.history import History
from evometa.storage.manifest import describe_run
from evometa.storage.notebooks import facts_table
from evometa.storage.result import Counters, Result
from evometa.storage.run_directory import require_free
from evometa.storage.trials import TRIALS
from evometa.strategy import Strategy

AProblem = Annotated[
    BaseProblem, Advice("give an instance of a Problem, InnerTraining or HostProblem, such as MyProblem()")
]
AStrategy = Annotated[Strategy[Any], Advice("give an instance such as OpenAIES(population_size=64)")]


class Search(metaclass=Checked):
    """Searches for the ω of a problem with a strategy.

    Args:
        problem: the problem, an instance.
        strategy: the strategy, an instance.
        seed: seed of everything, a whole number of 64 bits; the same seed gives the same history.
        initial: ω at which the search begins instead of the space's start, at most as many as the population: evaluated
            once, they are the first candidates of a first population, and a search distribution begins at the best.
        start: another run, by its directory or a :class:`~evometa.Start`, or points with their fitness: a population
            begins with what is best there, and a search distribution takes its mean and spread from it. A list of ω is
            the same as ``initial``.
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
        workers: worker processes for a :class:`~evometa.HostProblem`; None: one for each core. 0: its calls are made in
            this process, for debugging; no time limit ends them then, and a crash ends the search. Or a function that
            returns an executor of your own for a problem (:class:`evometa.executors.Executor`).
        worker_calls: calls after which a worker process is replaced by a fresh one; None: as many as it can do.
        worker_memory: bytes that a worker process may hold after a call before it is replaced; None: an equal share of
            80 % of the machine's memory, or of its container's.
        asynchronous: no worker of a :class:`~evometa.HostProblem` waits for a generation: the strategy, an
            :class:`~evometa.AsynchronousStrategy`, is told each candidate when its call returns, and asked for another.
            For calls that take very different times. Results then depend on the order in which calls return.
        trials: keep a table of all candidates, ``trials.csv``, in the run directory; None: for a
            :class:`~evometa.HostProblem`, and where the run that continues has one.
        callbacks: functions called after each dispatch, or instances of :class:`~evometa.Callback`.
        progress: show a progress bar; None: in a notebook, and where standard error is a terminal.
        halving: train each generation's candidates for a few inner steps and only the best of them further, as
            ``Halving(rungs=3, reduction=3)`` says; None: train all to the end. For problems with inner training.
        pruning: stop calls of a plain-Python problem that report bad values (:meth:`HostProblem.report`), as
            ``ASHA()`` or ``MedianPruning()`` says; None: none is stopped.
        debug: evaluate each generation's candidates of a compiled problem one after the other by plain JAX before the
            search does, and raise an error at the first value that is not finite. Slow. JAX's ``jax_debug_nans``,
            ``jax_debug_infs`` and ``jax_disable_jit`` do that without the last, and apply to the problem's code alone.

    Raises:
        ConfigurationError: something does not fit together; the message says what.
        RunDirectoryError: ``run_directory`` cannot be used.
    """

    def __init__(
        self,
        problem: AProblem,
        strategy: AStrategy,
        *,
        seed: int = 0,
        initial: Any = (),
        start: Any = None,
        run_directory: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        population_chunk: Count | Literal["auto"] = "auto",
        memory_budget: Total = 2 * 2**30,
        devices: Count | None = None,
        validate_every: Count = 100,
        validation_tasks: Count | None = None,
        finalists: Natural | None = None,
        validation_share: NonNegative | None = None,
        checkpoint_seconds: NonNegative = 30.0,
        keep_checkpoints: Count = 3,
        workers: Workers = None,
        worker_calls: Total | None = None,
        worker_memory: Total | None = None,
        asynchronous: bool = False,
        trials: bool | None = None,
        halving: Halving | None = None,
        pruning: Pruning | None = None,
        callbacks: Iterable[Any] = (),
        progress: bool | None = None,
        debug: bool = False,
    ) -> None:
        if validation_share is None:
            validation_share = SHARE if validation_tasks is None else UNBOUNDED
        self.problem, self.strategy, self.seed = problem, strategy, whole_seed("Search", seed)
        with precision_of(problem):
            space = check_problem(problem)
            require_compatible(strategy, problem, space, halving)
            if pruning is not None:
                require_prunable(pruning, strategy, problem)
            reason = asynchronous_incompatibility(strategy, problem) if asynchronous else None
            if reason is not None:
                raise ConfigurationError(reason)
            warn_of_ignored(strategy, problem)
        begins = beginning(start, initial, problem, space, strategy)
        space = begins.applied(space)
        noise = noisy(problem)
        default = problem.num_validation_tasks if problem.num_tasks or not noise else VALIDATION_TASKS
        validation = ValidationSettings(
            every=validate_every,
            tasks=default if validation_tasks is None else validation_tasks,
            finalists=(8 if noise else 0) if finalists is None else finalists,
            share=validation_share,
        )
        parts = Parts(problem, space, strategy, self.seed, validation)
        self.beginning = "" if begins.record is None else in_words(begins.record)
        """Where it begins, in words; empty where that is the space's start or points of which nothing is known."""
        if self.beginning:
            logging.getLogger("evometa").info("The search begins from %s.", self.beginning)
        wanted = isinstance(problem, HostProblem) if trials is None else trials
        keeps_trials = run_directory is not None and wanted
        how = Execution(
            population_chunk,
            memory_budget,
            devices,
            workers,
            worker_calls,
            worker_memory,
            keeps_trials,
            halving,
            pruning,
        )
        self._show = progress
        calls = CallLog() if asynchronous else None
        self._run = RunState(Counters(double=isinstance(problem, HostProblem)), calls=calls)
        told = tuple(as_callback(each) for each in callbacks)
        self.running = Running(parts, how, self._run, None, told, checkpoint_seconds, keep_checkpoints, debug)
        """What runs it, for those who run several searches at once."""
        if isinstance(problem, HostProblem):
            problem.require_ready()
            if ranks.count() > 1:
                require_distributable(problem)
        if isinstance(problem, HostProblem) and needs_description(workers):
            naming.require_rebuildable(problem, "worker processes can evaluate it")
        if run_directory is not None:
            path = run_folder(run_directory)
            for thing in (problem, strategy):
                naming.require_rebuildable(thing, "the run can be resumed")
            options: dict[str, Any] = {
                "validate_every": validate_every,
                "validation_tasks": validation.tasks,
                "finalists": validation.finalists,
                "validation_share": validation_share,
                **({"asynchronous": True} if asynchronous else {}),
            }
            rules: dict[str, Halving | Pruning | None] = {"halving": halving, "pruning": pruning}
            options |= {name: rule.as_word() for name, rule in rules.items() if rule is not None}
            manifest = describe_run(problem, strategy, self.seed, options, as_lists(begins.genotypes), begins.record)
            ranks.on_first(lambda: require_free(path, overwrite=overwrite))
            self.running.stored = StoredRun(path, manifest, overwrite=overwrite)

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
                worker_calls, worker_memory, trials, callbacks and progress; the seed and the validation are the run's
                own.

        Raises:
            RunDirectoryError: there is no run, or it cannot be continued.
            ConfigurationError: problem or strategy cannot be built, or the run cannot continue with the given ones.
        """
        path = run_folder(run_directory)
        manifest = read_on_first(path)
        if problem is None or strategy is None:
            kept = with_kept_classes(path, manifest)
            problem = problem if problem is not None else rebuilt(kept, "problem")
            strategy = strategy if strategy is not None else rebuilt(kept, "strategy")
        own = {"seed", "initial", "start", "run_directory", "overwrite", "halving", "pruning", "asynchronous"}
        fixed = (own | manifest.options.keys()) & execution.keys()
        if fixed:
            raise ConfigurationError(
                f"Search.resume keeps the run's own {', '.join(sorted(fixed))}; start a new run to change that."
            )
        options = dict(manifest.options)
        if "validation_share" not in options and not isinstance(problem, InnerTraining):
            options["validation_tasks"] = 1  # of a run from when problems without tasks were validated once
        options.setdefault("validation_share", SHARE)
        kinds: dict[str, type[Halving | Pruning]] = {"halving": Halving, "pruning": Pruning}
        options |= {name: kinds[name].from_word(word) for name, word in options.items() if name in kinds}
        search = cls(problem, strategy, seed=manifest.seed, **options, **execution)
        running = search.running
        if manifest.initial is not None:
            space = running.parts.space
            begins = Beginning(from_lists(space, manifest.initial), manifest.start)
            running.parts = running.parts._replace(space=begins.applied(space))
        now = describe_run(problem, strategy, manifest.seed, manifest.options)
        direction = manifest.direction or (ranks.from_first(lambda: result_file.numbers(path)) or {}).get("direction")
        differences = changes(manifest, now, direction)
        wanted = execution.get("trials")
        if wanted is None:
            wanted = isinstance(problem, HostProblem) or ranks.from_first((path / TRIALS).exists)
        running.execution = running.execution._replace(trials=wanted)
        running.stored = StoredRun(path, recorded(manifest, now, [], 0), known=manifest, changes=differences)
        progress, counters = ranks.from_first(lambda: checkpoint.progress(path)), search._run.counters
        if progress is not None:
            counters.double = progress.get("double", False)
            same = running.stored.former_strategy(strategy).population_size == strategy.population_size
            if "population_chunk" not in execution and same:  # the chunk it began with, and with it every bit
                counters.chunk = progress.get("chunk")
        return search

    @checked
    def run(
        self,
        *,
        generations: Total | None = None,
        evaluations: Total | None = None,
        inner_steps: Total | None = None,
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
            with Progress(self._show if ranks.is_first() else False) as progress, engine() as wanted:
                steps = self.running.steps(self, limits, progress, interrupt, wanted)
                with contextlib.closing(steps):
                    next(steps)
                    with interrupt:
                        return last(steps)
        finally:
            interrupt.resend()

    def result(self) -> Result:
        """Return what a resumed run has found at its newest checkpoint, after a final selection.

        It searches no further, needs no lock and writes nothing.

        Raises:
            RunDirectoryError: there is no whole checkpoint.
        """
        with Progress(self._show) as progress, engine() as wanted:
            return self.running.result(progress, wanted)

    def __repr__(self) -> str:
        """Return problem, strategy and seed, and the run directory if there is one."""
        return f"Search({', '.join(f'{name}={value}' for name, value in self._parts_in_words())})"

    def _repr_html_(self) -> str:
        """Return the same as a table, for notebooks."""
        return facts_table(self._parts_in_words())

    def _parts_in_words(self) -> list[tuple[str, str]]:
        stored = self.running.stored
        kept = [] if stored is None else [("run_directory", f"{stored.path}")]
        generation = [("generation", f"{self._run.counters.generation:,}")]
        return [
            ("problem", f"{self.problem}"),
            ("strategy", f"{self.strategy}"),
            ("seed", f"{self.seed}"),
            *kept,
            *generation,
        ]

    @property
    def chunk(self) -> int | None:
        """Candidates batched at a time on each device; None before the first run."""
        return self._run.counters.chunk

    @property
    def history(self) -> History:
        """The history so far: of the run directory, or of this object where there is none."""
        stored = self.running.stored
        if stored is not None and stored.known is not None:
            return history.read(stored.path)
        return self._run.history
