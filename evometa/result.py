"""What a search counts, and what it returns."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evometa.types import Omega


@dataclasses.dataclass(frozen=True)
class Archive:
    """The candidates that a strategy with several goals keeps as its answer; leading axis N."""

    omegas: Omega
    """ω of each; leaves ``[N, ...]``."""
    genotypes: Any
    """Their genotypes; leaves ``[N, ...]``."""
    fitness: NDArray[np.floating[Any]]
    """``[N]``, in the problem's own direction, like the objectives."""
    objectives: NDArray[np.floating[Any]] | None
    """``[N, M]``, None for problems without."""
    constraints: NDArray[np.floating[Any]] | None
    """``[N, C]``, likewise."""
    measures: NDArray[np.floating[Any]] | None
    """``[N, K]``, likewise."""
    objective_names: tuple[str, ...] = ()
    """What the objectives are called; empty where nobody says."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a search has found so far. Fitness is in the problem's own direction."""

    best_omega: Omega
    """The ω of the best fitness seen; on noisy problems also the luckiest."""
    best_fitness: float
    """Its fitness when it was seen, NaN before there is one."""
    center_omega: Omega | None
    """The ω in the middle of the strategy's distribution, None for strategies without one."""
    center_fitness: float
    """Fitness of the center (of the best, where there is no center) on fresh training tasks."""
    held_out: float
    """The same on held-out tasks, NaN for problems without any."""
    metrics: dict[str, float]
    """Metrics of that judgement, ``center/<name>`` and ``held_out/<name>``."""
    selected_omega: Omega
    """The winner of the final selection: the best on fresh training tasks among the center (the best, where there is
    none) and the finalists. The one to use when a search is over."""
    selected_fitness: float
    """Its fitness there: the best of a few means over many tasks, so hardly lucky."""
    selected_held_out: float
    """Its fitness on held-out tasks, which had no part in the selection; NaN for problems without any."""
    archive: Archive | None
    """What the strategy keeps as its answer (a Pareto front, an archive), None where that is one candidate."""
    generations: int
    """Generations over the run's life; likewise the counts below."""
    evaluations: int
    """Candidates judged, failed ones included."""
    inner_steps: int
    """Updates of learners in those evaluations."""
    failed: int
    """Candidates whose fitness was not finite."""
    seconds: float
    """Seconds of searching, compilation included."""
    stop_reason: str
    """Why the search stopped, in words."""


@dataclasses.dataclass
class Counters:
    """What grows over a run's life, beside the search state."""

    generation: int = 0
    """Generations done."""
    evaluations: int = 0
    """Candidates judged."""
    inner_steps: int = 0
    """Updates of learners."""
    failed: int = 0
    """Candidates whose fitness was not finite."""
    seconds: float = 0.0
    """Seconds of searching."""
    center: float = math.nan
    """The newest validation of the center."""
    held_out: float = math.nan
    """The newest validation on held-out tasks."""
    stop_reason: str | None = None
    """Why the search stopped, None while it goes on."""
    chunk: int | None = None
    """The chunk size in use; a resumed run keeps it, and with it every bit."""
