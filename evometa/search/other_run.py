"""The candidates that another run has found, with their fitness: what a search may begin from."""

import csv
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np

from evometa.backend.static_leaves import abstract
from evometa.errors import RunDirectoryError
from evometa.problem import BaseProblem, precision_of, sign_of
from evometa.search.members import population_of
from evometa.search.resuming import rebuilt
from evometa.storage import checkpoint
from evometa.storage.data_copies import problem_with_copies, with_kept_classes
from evometa.storage.manifest import Manifest, read_manifest
from evometa.storage.omega_values import from_cells, plain
from evometa.storage.result import Archive
from evometa.storage.result_file import load_result
from evometa.storage.trials import TRIALS, an_omega, is_small
from evometa.types import Genotype, Omega

Part = Literal["auto", "best", "center", "population", "archive", "trials"]
"""What is taken of a run."""


class Found(NamedTuple):
    """Candidates of a run, the best first."""

    omegas: list[Omega]
    """As people read them: categories by their names, without parts that are not active."""
    losses: list[float]
    """Their fitness, to be minimised; NaN where it is not known."""
    genotypes: list[Genotype | None]
    """Their genotypes, where they are known."""
    part: str
    """What they are of the run."""
    spread: bool = False
    """Whether they are good in different ways, as those of a Pareto front are, rather than better and worse."""


def found_in(folder: Path, part: Part, *, many: bool) -> Found:
    """Return candidates that a run has found.

    Args:
        folder: the run directory.
        part: what to take; "auto": the first that there is of population, archive, trials, and best.
        many: whether "auto" prefers the trials, for a distribution that is to be learned from.

    Raises:
        RunDirectoryError: the run has no such thing, or nothing yet.
        ConfigurationError: its problem or strategy cannot be built.
    """
    manifest = with_kept_classes(folder, read_manifest(folder))
    problem: BaseProblem = rebuilt(manifest._replace(problem=problem_with_copies(folder, manifest)), "problem")
    order = ("trials", "population", "archive") if many else ("population", "archive", "trials")
    for name in (*order, "best") if part == "auto" else (part,):
        found = _part_of(folder, manifest, problem, name)
        if found is not None and found.omegas:
            return found
    words = {
        "center": "a center, and its strategy has none",
        "population": "a population, and its strategy keeps none",
        "archive": "an archive, and its strategy keeps none",
        "trials": f"candidates that did not fail in {TRIALS}, and has none",
    }.get(part, "a candidate that did not fail, and has none")
    raise RunDirectoryError(f"{folder} was expected to hold {words}; start from another part or another run.")


def _part_of(folder: Path, manifest: Manifest, problem: BaseProblem, part: str) -> Found | None:
    if part == "trials":
        return _trials(folder, problem) if _is_whole_in_trials(problem) else None
    if part == "population":
        return _members(population_of(folder, manifest, problem, rebuilt(manifest, "strategy")), problem, part)
    result = load_result(folder)
    if part == "archive":
        return _members(result.archive, problem, part)
    omega, fitness = (
        (result.center_omega, result.center_fitness) if part == "center" else (result.best_omega, result.best_fitness)
    )
    if omega is None:
        return None
    return Found([_readable(problem, omega)], [sign_of(problem) * fitness], [None], part)


def _members(archive: Archive | None, problem: BaseProblem, part: str) -> Found | None:
    if archive is None:
        return None
    losses = sign_of(problem) * np.asarray(archive.fitness, np.float64)
    spread = archive.objectives is not None or archive.measures is not None
    order = [int(i) for i in np.argsort(losses, kind="stable") if math.isfinite(losses[i])]
    return Found(
        [_readable(problem, jax.tree.map(lambda leaf, i=i: leaf[i], archive.omegas)) for i in order],
        [float(losses[i]) for i in order],
        [jax.tree.map(lambda leaf, i=i: leaf[i], archive.genotypes) for i in order],
        part,
        spread,
    )


def _readable(problem: BaseProblem, omega: Omega) -> Omega:
    with precision_of(problem):
        return problem.space.readable(omega)


def _is_whole_in_trials(problem: BaseProblem) -> bool:
    """Return whether the table of trials has all parts of an ω."""
    with precision_of(problem):
        space = problem.space
        omega = abstract(lambda key: space.decode(space.sample(key)), jax.eval_shape(jax.random.key, 0))
    parts = list(omega.values()) if isinstance(omega, Mapping) else [omega]
    return len(parts) == sum(map(is_small, parts))


def _trials(folder: Path, problem: BaseProblem) -> Found | None:
    """Return the candidates in the table of trials that did not fail, each once."""
    sign, like = sign_of(problem), plain(an_omega(problem, problem.space))
    try:
        content = (folder / TRIALS).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    whole = content[: content.rfind("\n") + 1]  # without an incomplete last row of a search that is writing
    rows = [row for row in csv.DictReader(io.StringIO(whole, newline="")) if not row.get("failure")]
    best: dict[tuple[tuple[str, str], ...], tuple[float, dict[str, str]]] = {}
    for row in rows:
        cells = {name: text for name, text in row.items() if re.match(r"omega($|[/\[])", name or "") and text}
        try:
            loss = sign * float(row["fitness"])
        except (KeyError, TypeError, ValueError):
            continue
        identity = (*cells.items(),)
        if math.isfinite(loss) and cells and loss < best.get(identity, (math.inf, {}))[0]:
            best[identity] = loss, cells
    ordered = sorted(best.values(), key=lambda pair: pair[0])
    known = [(omega, loss) for loss, cells in ordered if (omega := from_cells(cells, like)) is not None]
    return Found([omega for omega, _ in known], [loss for _, loss in known], [None] * len(known), "trials")


def generation_of(folder: Path) -> int:
    """Return how many generations a run has done at its newest checkpoint."""
    progress = checkpoint.progress(folder)
    return int(progress["generation"]) if progress else 0
