"""What a search counts, and what it returns."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.storage.notebooks import facts_table
from evometa.types import Omega


@dataclasses.dataclass(frozen=True)
class Archive:
    """Candidates that a strategy keeps: its answer (a Pareto front, an archive) or its population; leading axis N."""

    omegas: Omega
    """ω of each; leaves ``[N, ...]``."""
    genotypes: Any
    """Their genotypes; leaves ``[N, ...]``."""
    fitness: NDArray[np.floating[Any]]
    """``[N]``, in the problem's own direction, like the objectives; NaN where a constraint was violated."""
    objectives: NDArray[np.floating[Any]] | None
    """``[N, M]``, None for problems without."""
    constraints: NDArray[np.floating[Any]] | None
    """``[N, C]``, likewise."""
    measures: NDArray[np.floating[Any]] | None
    """``[N, K]``, likewise."""
    objective_names: tuple[str, ...] = ()
    """What the objectives are called; empty where nobody says."""


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """What a search has found so far. Fitness is in the problem's own direction."""

    best_omega: Omega
    """The ω of the best fitness seen, on noisy problems also the luckiest; while no candidate has kept the constraints,
    the ω that violates them least; None while every candidate has failed."""
    best_fitness: float
    """Its fitness when it was seen, NaN before there is one that keeps the constraints."""
    center_omega: Omega | None
    """The ω in the middle of the strategy's distribution, None for strategies without one."""
    center_fitness: float
    """Fitness of the center (of the best, where there is no center) on fresh training tasks; where the final selection
    was skipped, that of the newest validation."""
    held_out: float
    """The same on held-out tasks, NaN for problems without any."""
    metrics: dict[str, float]
    """Metrics of that evaluation, ``center/<name>`` and ``held_out/<name>``."""
    selected_omega: Omega
    """The one to use when a search is over: the winner of the final selection, the best on fresh training tasks of the
    center, the best so far and the finalists, feasible ones first. None where everything failed."""
    selected_fitness: float
    """Its fitness there, a mean over many tasks and so hardly lucky; NaN where the selection was skipped."""
    selected_held_out: float
    """Its fitness on held-out tasks, which had no part in the selection; NaN for problems without any."""
    archive: Archive | None
    """The candidates that the strategy keeps as its answer (a Pareto front, an archive), None where that is one."""
    generations: int
    """Generations over the run's life; likewise the counts below."""
    evaluations: int
    """Candidates evaluated in generations, failed ones included."""
    inner_steps: int
    """Learner updates in those evaluations."""
    validation_evaluations: int
    """Evaluations that validations and final selections took besides."""
    validation_inner_steps: int
    """Learner updates in those."""
    validation_tasks: int
    """Tasks (episodes, draws) in those, on which one ω each was evaluated."""
    selection_tasks: int
    """Tasks that the final selection evaluated each of its candidates on; 0 where it was skipped."""
    failed: int
    """Candidates whose fitness was not finite."""
    seconds: float
    """Seconds of searching; compiling before it does not count."""
    direction: str
    """Whether the search was to ``minimize`` or ``maximize``."""
    stop_reason: str
    """Why the search stopped, in words."""
    stop_code: str
    """The same as a code, such as ``generations`` or ``strategy:tolx``; see :class:`evometa.StopReason`."""
    best_feasible: bool | None = None
    """Whether the best kept all constraints when it was seen; None for problems without constraints."""
    selected_feasible: bool | None = None
    """Whether the selected ω kept all constraints in the final selection, likewise."""
    found: str = ""
    """The selected ω in one line, with the names of categories; empty where everything failed."""
    failures: dict[str, int] = dataclasses.field(default_factory=dict)
    """Of what calls of a plain-Python problem failed, and how many, the most frequent first; ``failures.txt`` in the
    run directory has a traceback of each kind."""

    @property
    def lack(self) -> str:
        """Why there is no fitness, where there is none."""
        if not self.evaluations:
            return "no candidate was evaluated"
        return "no candidate kept the constraints" if self.best_feasible is False else "every candidate failed"

    def __str__(self) -> str:
        """Return a few lines: the fitness, what was found, what it took, why the search stopped."""
        return "\n".join(f"{name:9}{line}" for name, line in self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the same as a table, for notebooks."""
        return facts_table(self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        better = "smaller" if self.direction == "minimize" else "larger"
        numbers = {
            "best": self.best_fitness,
            "center": self.center_fitness,
            "held-out": self.held_out,
            "selected": self.selected_fitness,
        }
        known = [f"{name} {value:.6g}" for name, value in numbers.items() if math.isfinite(value)]
        lines = {
            "fitness": f"{', '.join(known) or self.lack} ({better} is better)",
            "found": (self.found if self.evaluations else "") or "nothing",
            "archive": f"{len(self.archive.fitness)} candidates" if self.archive is not None else "",
            "cost": f"{self.generations:,} generations, {self.evaluations:,} evaluations, {self.seconds:.1f} s",
            "stopped": self.stop_reason,
        }
        return [(name, line) for name, line in lines.items() if line]


@dataclasses.dataclass
class Counters:
    """What grows over a run's life, beside the search state."""

    generation: int = 0
    """Generations done."""
    evaluations: int = 0
    """Candidates evaluated in generations."""
    inner_steps: int = 0
    """Updates of learners."""
    failed: int = 0
    """Candidates whose fitness was not finite."""
    validation_tasks: int = 0
    """Tasks on which validations and final selections evaluated a candidate."""
    seconds: float = 0.0
    """Seconds of searching."""
    center: float = math.nan
    """The newest validation of the center."""
    held_out: float = math.nan
    """The newest validation on held-out tasks."""
    center_tasks: int = 0
    """Tasks, or calls of a plain-Python problem, that the newest validation averaged of each kind; 0: none yet."""
    stop_reason: str | None = None
    """Why the search stopped, in words; None while it continues."""
    stop_code: str | None = None
    """The same as a code, see :class:`~evometa.search.decisions.StopReason`."""
    failing: int = 0
    """The newest generations in a row in which every candidate failed."""
    chunk: int | None = None
    """The chunk size in use; a resumed run keeps it, and with it every bit."""
    double: bool = False
    """Whether the search computes in double precision whatever JAX's switch; a resumed run keeps it too."""
    candidates: int = 0
    """Candidates of the generations so far, counted since that is known; an asynchronous search finds in its log what
    came after them."""
    start_succeeded: bool = False
    """Whether a given start, evaluated before the first generation, is among the candidates and did not fail."""
    start: int | None = None
    """Of several given starts, the index of the one at which the search began; None where that is not known."""
    reports: dict[str, list[tuple[float, ...]]] = dataclasses.field(default_factory=dict)
    """What pruning compares with: losses that earlier candidates reported, by step (:mod:`evometa.pruning`)."""

    @property
    def all_failed(self) -> bool:
        """Whether there were generations, and every candidate failed."""
        return 0 < self.generation == self.failing and not self.start_succeeded

    def add(
        self,
        evaluations: NDArray[np.int64],
        inner_steps: NDArray[np.int64],
        failed: NDArray[np.int64],
        validation_tasks: NDArray[np.int64],
        population: int,
    ) -> NDArray[np.int64]:
        """Add N generations of so many candidates, each with its numbers ``[N]``.

        Returns:
            The history's counts after each, ``[N, 4]``.
        """
        counts = np.stack(
            [
                self.generation + np.arange(1, len(failed) + 1),
                self.evaluations + np.cumsum(evaluations),
                self.inner_steps + np.cumsum(inner_steps),
                failed,
            ],
            axis=1,
        )
        if len(counts):
            self.generation, self.evaluations, self.inner_steps = (int(n) for n in counts[-1, :3])
        self.failed += int(failed.sum())
        self.candidates += len(failed) * population
        sound = np.flatnonzero(failed < population)
        self.failing = len(failed) - 1 - int(sound[-1]) if len(sound) else self.failing + len(failed)
        self.validation_tasks += int(validation_tasks.sum())
        return counts
