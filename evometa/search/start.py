"""Where a search begins: at points that the user knows, or at what another run has found.

Points without a known fitness are the first candidates of a search (:mod:`evometa.search.starting`). Candidates whose
order is known, those of another run above all, are used as known: a population begins with them, and a search
distribution takes its mean and spread from the best of them (:meth:`Strategy.begun`), as in warm-started CMA-ES
(Nomura, Watanabe, Akimoto, Ozaki & Onishi 2021, arXiv:2012.06932). Only the best is evaluated then, before all others.
"""

import dataclasses
import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from evometa.backend.precision import key_of
from evometa.errors import ConfigurationError, EvometaError
from evometa.problem import BaseProblem, precision_of, sign_of
from evometa.search.matching import matched
from evometa.search.other_run import Found, Part, found_in, generation_of
from evometa.search.starting import encoded
from evometa.settings import Checked, Count
from evometa.spaces import Space
from evometa.storage.files import run_folder
from evometa.storage.manifest import MANIFEST
from evometa.strategy import Strategy
from evometa.types import Genotype

BEST_PART, LEAST = 0.1, 4
"""A distribution is learned from this part of the known candidates, the best ones, and from no fewer."""
MOST_NUMBERS = 10**6
"""Numbers in the genotypes that are taken of a run, since its manifest holds them; the best come first."""
_APART = 0x5741524D
"""Sets the keys of what is drawn here apart from those of searches; it is the same with every seed."""


@dataclasses.dataclass(frozen=True, eq=False)
class Start(metaclass=Checked):
    """Where a search begins: ``Search(..., start=Start("runs/other"))``.

    Either at another run, also of another strategy, or of another space with parts of the same names: what is missing
    is drawn anew. Or at points.

    Args:
        run: the run directory.
        part: what is taken of the run: its best candidate, the center of its distribution, its population, its archive
            or its table of trials. "auto" takes population, archive, trials or best, whichever is there first; for a
            distribution the trials first.
        count: candidates to take, at most; None: as many as the population has, or, for a distribution, the best
            tenth.
        points: a list of ω.
        fitness: the fitness of each of them, where it is known, in the problem's own direction; NaN for failures.

    Raises:
        ConfigurationError: neither a run nor points, both, or another number of fitness than of points.
    """

    run: str | os.PathLike[str] | None = None
    part: Part = "auto"
    count: Count | None = None
    points: Any = ()
    fitness: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Check that there is one of run and points."""
        if (self.run is None) == (not _length(self.points)):
            raise ConfigurationError(
                f"Start expects a run or points, got {'neither' if self.run is None else 'both'}; give one of them."
            )
        if self.fitness is not None and not _is_list_of_numbers(self.fitness):
            raise ConfigurationError(
                f"Start expects fitness as a number for each point, NaN where it failed, got {self.fitness!r:.100}."
            )
        if self.fitness is not None and len(self.fitness) != _length(self.points):
            raise ConfigurationError(
                f"Start expects a fitness for each of its {_length(self.points)} points, got {len(self.fitness)}."
            )


def _is_list_of_numbers(values: Any) -> bool:
    try:
        return np.asarray(values, np.float64).ndim == 1
    except (TypeError, ValueError):
        return False


def _length(points: Any) -> int:
    return len(points) if hasattr(points, "__len__") else 1


class Beginning(NamedTuple):
    """The points at which a search begins."""

    genotypes: Genotype | None
    """Leaves ``[K, ...]``; None where there are none."""
    record: dict[str, Any] | None = None
    """Where they come from, for the manifest; None for points of which nothing is known."""

    @property
    def size(self) -> int:
        """How many there are, K."""
        return 0 if self.genotypes is None else len(jax.tree.leaves(self.genotypes)[0])

    @property
    def ordered(self) -> bool:
        """Whether the best is known to be the first."""
        return self.record is not None

    def applied(self, space: Space) -> Space:
        """Return a space that begins there."""
        return space if self.genotypes is None else space.starting_at(self.genotypes, ordered=self.ordered)


def beginning(
    start: Any,
    initial: Any,
    problem: BaseProblem,
    space: Space,
    strategy: Strategy[Any],
    expects: str = "Search expects",
) -> Beginning:
    """Return where a search begins.

    Args:
        start: a :class:`Start`, a run directory, a list of ω, or None.
        initial: a list of ω, where there is no start.
        problem: the problem of the search.
        space: its space.
        strategy: the strategy.
        expects: who expects points, for messages.

    Raises:
        ConfigurationError: both are given, or what is given does not fit the space.
        RunDirectoryError: there is no such run.
    """
    if start is not None and _length(initial):
        raise ConfigurationError("Search expects start or initial, got both; put the initial points into the start.")
    expects += " initial" if start is None else " start"
    if isinstance(start, str | os.PathLike):
        start = Start(start)
    elif start is not None and not isinstance(start, Start):
        initial, start = start, None
    found = None
    if start is not None and start.run is not None:  # read in the precision of that run
        found = found_in(run_folder(start.run), start.part, many=_learns(strategy, problem, space))
    with precision_of(problem):
        if start is None or (start.run is None and start.fitness is None):
            points = initial if start is None else start.points
            return Beginning(encoded(space, points, strategy.population_size, expects))
        if found is None:
            return _of_points(start, problem, space, strategy)
        return _of_run(start, found, run_folder(start.run), space, strategy)


def _of_points(start: Start, problem: BaseProblem, space: Space, strategy: Strategy[Any]) -> Beginning:
    losses = sign_of(problem) * np.asarray(start.fitness, np.float64)
    genotypes = encoded(space, start.points, len(losses), "Start expects points")
    known = [int(i) for i in np.argsort(losses, kind="stable") if math.isfinite(losses[i])]
    if not known:
        raise ConfigurationError("Start expects a point with a finite fitness, got none; leave the fitness out.")
    kept = np.array(known)[_kept(len(known), start.count, space, strategy, spread=False)]
    record = {"points": len(losses), "taken": len(kept), "fitness": [float(losses[i]) for i in kept]}
    return Beginning(jax.tree.map(lambda leaf: leaf[kept], genotypes), record)


def _of_run(start: Start, found: Found, folder: Path, space: Space, strategy: Strategy[Any]) -> Beginning:
    kept = _kept(len(found.omegas), start.count, space, strategy, spread=found.spread)
    keys = jax.random.split(jax.random.fold_in(key_of(0), _APART), len(kept))
    genotypes: list[Genotype] = []
    names, drawn, reason = set[str](), set[str](), ""
    for key, i in zip(keys, kept, strict=True):
        try:
            one = matched(space, found.omegas[i], key, found.genotypes[i])
        except EvometaError as error:
            reason = str(error)
            continue
        genotypes.append(one.genotype)
        names |= one.names
        drawn |= one.drawn
    if not genotypes:
        raise ConfigurationError(
            f"{folder} was expected to have candidates that fit the space of the problem, and {reason.rstrip('.')}; "
            "start from a run of the same space, or of one with parts of the same names."
        )
    record = {
        "run": os.path.abspath(folder),
        "manifest_sha256": hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
        "generation": generation_of(folder),
        "part": found.part,
        "taken": len(genotypes),
        "matched": sorted(names),
        "drawn": sorted(drawn - names),
    }
    return Beginning(jax.tree.map(lambda *leaves: np.stack(leaves), *genotypes), record)


def _kept(known: int, count: int | None, space: Space, strategy: Strategy[Any], *, spread: bool) -> Any:
    """Return which of the candidates, the best first, are taken."""
    center = has_center(strategy, space)
    most = max(LEAST, math.ceil(BEST_PART * known)) if center else strategy.population_size
    sizes = jax.tree.leaves(jax.eval_shape(space.sample, jax.eval_shape(jax.random.key, 0)))
    room = max(1, MOST_NUMBERS // max(1, sum(leaf.size for leaf in sizes)))
    most = min(known, most if count is None else count, room)
    if spread and not center:  # some of each kind
        return np.unique(np.linspace(0, known - 1, most).round().astype(int))
    return np.arange(most)


def _learns(strategy: Strategy[Any], problem: BaseProblem, space: Space) -> bool:
    """Return whether a strategy has a distribution that can be learned from many candidates."""
    with precision_of(problem):
        return has_center(strategy, space)


def has_center(strategy: Strategy[Any], space: Space) -> bool:
    """Return whether a strategy has a distribution with a center."""

    def center(key: Any) -> Any:
        return strategy.center(strategy.init(key, space))

    return jax.eval_shape(center, jax.eval_shape(jax.random.key, 0)) is not None


def in_words(record: dict[str, Any]) -> str:
    """Return where a search began, from the record in its manifest."""
    if "run" not in record:
        return f"{record['taken']} of {record['points']} points with their fitness"
    words = f"{record['taken']} of the {record['part']} of {record['run']} at generation {record['generation']:,}"
    if record["part"] in ("best", "center"):
        words = f"the {record['part']} of {record['run']} at generation {record['generation']:,}"
    if record["drawn"]:
        words += f"; {', '.join(record['matched'])} as there, {', '.join(record['drawn'])} drawn anew"
    return words
