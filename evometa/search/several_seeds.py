"""Several seeds at once: independent searches that share their compiled programs.

On a CPU, a search of small learners keeps one core busy, and compiling its program takes longer than many a run does.
So the program is compiled once, and as many threads as there are devices run it for one seed after the other; on
accelerators it is compiled for each of them. Every search is what it would be alone, to the last bit, because it runs
the same program. A batch of seeds under ``vmap`` would round differently, takes long to compile, and on a CPU gains
about as much (``benchmarks/README.md``).
"""

import collections
import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from evometa import naming
from evometa.backend import ranks
from evometa.errors import ConfigurationError, RunDirectoryError
from evometa.search.debugging import engine
from evometa.search.decisions import INTERRUPTED, Limits
from evometa.search.interrupt import Interrupt
from evometa.search.progress import Progress, Status
from evometa.search.running import Steps
from evometa.search.search import AProblem, AStrategy, Search
from evometa.settings import Checked, Positive, Range, Total, checked
from evometa.storage import seeds_file
from evometa.storage.files import run_folder
from evometa.storage.manifest import MANIFEST, read_manifest
from evometa.storage.result import Result

MOST_SEEDS = 10_000
"""More are taken for a seed that was meant, rather than for a number of seeds."""


class SeveralSeeds(metaclass=Checked):
    """Searches for the ω of a problem once with each of several seeds, at once where the machine allows.

    In full::

        searches = em.SeveralSeeds(problem, strategy, seeds=8, run_directory="runs/x")
        results = searches.run(generations=1000)
        print(np.mean([result.selected_held_out for result in results.values()]))

    Each search is an ordinary one, with a run directory of its own (``runs/x/seed-3``) and the history that it would
    have alone. A compiled problem is compiled once (on accelerators once for each of them) rather than once for each
    seed, and as many seeds as there are devices are searched at a time; those of a plain-Python problem one after the
    other, each with all workers.

    Args:
        problem: the problem, an instance.
        strategy: the strategy, an instance.
        seeds: how many seeds (0, 1, 2, ...), or which ones.
        run_directory: the folder of the run directories; None keeps the runs in memory only.
        progress: show a progress bar; None: where standard error is a terminal.
        options: the other arguments of :class:`~evometa.Search`, the same for all.

    Raises:
        ConfigurationError: something does not fit together; the message says what.
        RunDirectoryError: ``run_directory`` cannot be used.
    """

    def __init__(
        self,
        problem: AProblem,
        strategy: AStrategy,
        *,
        seeds: Annotated[int, Range(1, MOST_SEEDS)] | Sequence[int] = 8,
        run_directory: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
        **options: Any,
    ) -> None:
        _require_one_process()
        chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
        if not chosen or len(set(chosen)) < len(chosen):
            raise ConfigurationError(f"SeveralSeeds expects one or more seeds, each once, got {seeds}.")
        if "seed" in options:
            raise ConfigurationError("SeveralSeeds expects seeds, how many or which ones, instead of seed.")
        path = None if run_directory is None else run_folder(run_directory)
        if path is not None and (path / MANIFEST).exists():
            raise RunDirectoryError(
                f"{path} was expected to become a folder of run directories and holds a run of one seed; choose "
                "another run_directory."
            )
        if path is not None and (path / seeds_file.SEEDS).exists() and not options.get("overwrite"):
            left_out = [seed for seed in seeds_file.read(path) if seed not in chosen]
            if left_out:
                raise RunDirectoryError(
                    f"{path} holds the runs of other seeds, {', '.join(map(str, left_out))}, and seeds was expected to "
                    f"include them, got {chosen}; choose another run_directory."
                )
        self.problem, self.strategy, self._show = problem, strategy, progress
        self.searches: dict[int, Search] = {
            seed: Search(
                problem,
                strategy,
                seed=seed,
                run_directory=None if path is None else seeds_file.folder(path, seed),
                progress=progress,
                **options,
            )
            for seed in chosen
        }
        """The search of each seed."""
        self._folder = path

    @classmethod
    @checked
    def resume(cls, run_directory: str | os.PathLike[str], **execution: Any) -> "SeveralSeeds":
        """Continue the runs of a folder, each from its newest whole checkpoint, as if they had never stopped.

        Args:
            run_directory: the folder of the run directories.
            execution: as for :meth:`Search.resume`.

        Raises:
            RunDirectoryError: there are no such runs, or one cannot be continued.
            ConfigurationError: problem or strategy cannot be built.
        """
        _require_one_process()
        path = run_folder(run_directory)
        seeds = seeds_file.read(path)
        folders = {seed: seeds_file.folder(path, seed) for seed in seeds}
        several = cls.__new__(cls)
        manifests = {seed: read_manifest(folder) for seed, folder in folders.items()}
        one = manifests[seeds[0]]
        for seed, other in manifests.items():
            if (other.problem, other.strategy, other.options) != (one.problem, one.strategy, one.options):
                raise RunDirectoryError(
                    f"{path} was expected to hold runs that differ in their seeds only, and seed {seed} has other "
                    f"settings than seed {seeds[0]}; resume its runs one by one."
                )
        several.searches = {seed: Search.resume(folder, **execution) for seed, folder in folders.items()}
        several._folder = None  # which names its seeds already
        first = several.searches[seeds[0]]
        several.problem, several.strategy, several._show = first.problem, first.strategy, execution.get("progress")
        return several

    @checked
    def run(
        self,
        *,
        generations: Total | None = None,
        evaluations: Total | None = None,
        inner_steps: Total | None = None,
        seconds: Positive | None = None,
        target: Annotated[float, Range()] | None = None,
    ) -> dict[int, Result]:
        """Search with each seed until it reaches one of the limits, which are those of each search.

        Ctrl-C ends the searches that are under way as it ends one, and no other begins; what a run directory holds can
        be resumed.

        Args:
            generations: as for :meth:`Search.run`.
            evaluations: likewise.
            inner_steps: likewise.
            seconds: likewise; searches at the same time take as long as one.
            target: likewise.

        Returns:
            The result of each seed that was searched.

        Raises:
            ConfigurationError: no limit, or one that is not positive.
            RunDirectoryError: a run directory is not its run's any more, or cannot be read.
            EvaluationError: as for :meth:`Search.run`.
        """
        naming.refuse_while_importing("a search")
        limits = Limits(generations, evaluations, inner_steps, seconds, target)
        interrupt = Interrupt()
        try:
            with _ProgressOfSeveral(self._show, len(self.searches)) as progress, engine() as wanted:
                for search in self.searches.values():
                    search.running.claim()
                if self._folder is not None:
                    seeds_file.write(self._folder, list(self.searches))
                queues = self._queues
                with contextlib.ExitStack() as stack, interrupt:

                    def steps(seed: int) -> Steps:
                        search = self.searches[seed]
                        begun = search.running.steps(search, limits, progress, interrupt, wanted)
                        return stack.enter_context(contextlib.closing(begun))

                    return _searched(queues, steps, progress, interrupt)
        finally:
            interrupt.resend()

    @functools.cached_property
    def _queues(self) -> list[list[int]]:
        """Return the seeds that each driver searches with, one after the other; their searches have it then."""
        seeds = list(self.searches)
        drivers = self.searches[seeds[0]].running.drivers(len(seeds))
        if not drivers:
            return [seeds]
        queues = [seeds[number :: len(drivers)] for number in range(len(drivers))]
        for driver, queue in zip(drivers, queues, strict=True):
            for seed in queue:
                self.searches[seed].running.use(driver)
        return queues

    def __repr__(self) -> str:
        """Return problem, strategy and seeds."""
        return f"SeveralSeeds(problem={self.problem}, strategy={self.strategy}, seeds={list(self.searches)})"


def _searched(
    queues: Sequence[Sequence[int]],
    steps: Callable[[int], Steps],
    progress: "_ProgressOfSeveral",
    interrupt: Interrupt,
) -> dict[int, Result]:
    """Return the result of each seed; while a dispatch of one is under way, the others are looked after.

    Args:
        queues: the seeds of each driver.
        steps: begins the search of a seed.
        progress: told of the seeds that are done.
        interrupt: once it has ended a search, those under way end too, and no other begins.
    """
    results: dict[int, Result] = {}
    lanes = [collections.deque(queue) for queue in queues]
    active: list[Steps | None] = [None] * len(lanes)
    interrupted = False
    while any(lanes) or any(active):
        for number, lane in enumerate(lanes):
            current = active[number]
            if current is None and lane and not interrupted:
                current = active[number] = steps(lane[0])
            if current is None:
                lane.clear()
                continue
            interrupt.requested |= interrupted
            progress.seed = lane[0]
            try:
                next(current)
            except StopIteration as end:
                active[number] = None
                results[lane.popleft()] = result = end.value
                progress.done += 1
                interrupted |= result.stop_code == INTERRUPTED.code
    return dict(sorted(results.items()))


class _ProgressOfSeveral(Progress):
    """Shows of which seed the figures are, and how many seeds are done."""

    def __init__(self, enabled: bool | None, seeds: int) -> None:
        super().__init__(enabled)
        self._seeds, self.done, self.seed = seeds, 0, 0

    def update(self, status: Status) -> None:
        """Show a new status, of the present seed."""
        super().update(status._replace(label=f"seed {self.seed}, {self.done} of {self._seeds} done"))


def _require_one_process() -> None:
    if ranks.count() > 1:
        raise ConfigurationError(
            "Several seeds (--seeds, SeveralSeeds) are searched in one process, got a distributed search; start it "
            "without --distributed, or one distributed search for each seed."
        )
