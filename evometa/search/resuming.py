"""Resuming a run whose problem, strategy or random numbers are not those it had: what is told, recorded, refused.

A run that continues with something else is another run from there on. So each change is warned of and recorded in the
manifest with its generation, and the best so far, whose fitness is of the former problem, is evaluated again.
"""

import os
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from evometa import naming
from evometa.backend import ranks
from evometa.errors import ConfigurationError, EvometaError, warn
from evometa.search.driver import Driver
from evometa.search.finalists import Finalists
from evometa.search.generation import SearchState
from evometa.storage.manifest import Manifest, read_manifest, warn_of_edit
from evometa.storage.run_directory import recover
from evometa.types import Genotype

Change = dict[str, Any]
"""The ``part`` of the manifest that was changed and its value ``before``."""


def read_on_first(path: Path) -> Manifest:
    """Complete a replacement that was cut off, and return the manifest of a run, read by rank 0 for every rank."""

    def read() -> dict[str, Any]:
        recover(path)
        found = read_manifest(path)._asdict()
        warn_of_edit(path)
        return found

    found = ranks.from_first(read)
    return Manifest(**found)._replace(changes=tuple(found["changes"]))


def rebuilt(manifest: Manifest, role: Literal["problem", "strategy"]) -> Any:
    """Return the problem or strategy of a run.

    Raises:
        ConfigurationError: it cannot be built; the message says how to name a class that has moved.
    """
    try:
        return naming.rebuild(getattr(manifest, role))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} If the {role} has moved, name its class: 'evometa resume DIR --{role} file.py:Class' (or "
            f"package.module:Class), or in Python Search.resume(run_directory, {role}=...)."
        ) from error


def changes(before: Manifest, now: Manifest, former_direction: str | None) -> list[Change]:
    """Return what differs between a run as it was and as it is to continue; warn of each difference.

    A class that has only moved to another folder is no change.

    Args:
        before: the manifest of the run.
        now: the manifest that a new run would have.
        former_direction: the direction of the run, None where that is not known.

    Raises:
        ConfigurationError: the run cannot continue in a way that makes sense.
    """
    if former_direction not in (None, now.direction):
        raise ConfigurationError(
            f"Search.resume expects a problem with the run's direction, {former_direction}, since all that the run has "
            f"found was best in that direction, got one to {now.direction}; start a new run."
        )
    found: list[Change] = []
    for role in ("problem", "strategy"):
        was, is_ = getattr(before, role), getattr(now, role)
        if not _same(was, is_):
            if role == "strategy":
                _require_own_state(was, is_)
            found.append({"part": role, "before": was})
            _warn(f"with the {role} {_call(is_)}, and began with {_call(was)}")
    if before.random not in (None, now.random):
        found.append({"part": "random", "before": before.random})
        _warn(f"with random numbers of JAX made as {now.random}, and began with {before.random}")
    digests = {_name(reference): source["sha256"] for reference, source in before.sources.items()}
    for reference, source in now.sources.items():
        if digests.get(_name(reference), source["sha256"]) != source["sha256"]:
            found.append({"part": "sources", "before": before.sources, "file": source["file"]})
            warn(
                f"{source['file']} has changed since the run began; what is computed from here on may differ.",
            )
    return found


def recorded(before: Manifest, now: Manifest, found: list[Change], generation: int) -> Manifest:
    """Return the manifest of a run that continues after a generation with what was changed."""
    return before._replace(
        problem=now.problem,
        strategy=now.strategy,
        sources=now.sources,
        direction=now.direction,
        random=now.random,
        changes=(*before.changes, *({"generation": generation, **change} for change in found)),
    )


def concerns_fitness(found: list[Change]) -> bool:
    """Return whether changes may give a candidate another fitness."""
    return any(change["part"] in ("problem", "sources") for change in found)


def evaluated_again(driver: Driver, state: SearchState) -> tuple[SearchState, int]:
    """Return the state with the best so far and the finalists evaluated by the present problem, and the tasks it took.

    Raises:
        ConfigurationError: the strategy keeps an archive, whose fitness is of the former problem.
    """
    if driver.strategy.archive(state.strategy) is not None:
        raise ConfigurationError(
            f"Search.resume expects the problem of the run, since {type(driver.strategy).__name__} keeps an archive of "
            "candidates with the fitness that they had; start a new run."
        )
    tasks, taken = driver.prices.tasks_per_evaluation, 0

    def loss(genotype: Genotype, known: Any) -> Any:
        nonlocal taken
        if not np.isfinite(known):
            return known
        taken += tasks
        return driver.loss(genotype, tasks)

    best: Any = np.asarray(loss(state.best_genotype, state.best_fitness), state.best_fitness.dtype)
    state = state._replace(best_fitness=best)
    if isinstance(state.finalists, Finalists):
        kept = state.finalists
        each = [
            loss(jax.tree.map(lambda leaf, i=i: leaf[i], kept.genotypes), known)
            for i, known in enumerate(np.asarray(kept.fitness))
        ]
        fitness: Any = np.asarray(each, kept.fitness.dtype)
        state = state._replace(finalists=kept._replace(fitness=fitness))
    return state, taken


def _same(before: Any, now: Any) -> bool:
    if _class(before) != _class(now):
        return False
    try:  # fields that the class got since have their defaults
        return bool(naming.describe(naming.rebuild({**before, "type": now["type"]})) == now)
    except EvometaError:
        return False


def _class(description: Any) -> str:
    """Return the name of a class; of a user's file without its folder, of evometa without its package."""
    reference: str = naming.without_modules(description)["type"]
    place, _, name = reference.rpartition(":")
    return f"{os.path.basename(place)}:{name}"


def _require_own_state(before: Any, now: Any) -> None:
    """Raise ConfigurationError where the class of evometa that made the state of a run is replaced by another one."""
    if before["type"].split(".")[0].partition(":")[0] != "evometa":
        return  # a user's own class may have been renamed; whether the state fits is seen when it is read
    if not issubclass(naming.load(now["type"]), naming.load(before["type"])):
        raise ConfigurationError(
            f"Search.resume expects a strategy of the class that the run began with, {_name(before['type'])}, since "
            f"its state is what is continued, got {_name(now['type'])}; start a new run."
        )


def _warn(words: str) -> None:
    warn(f"The run continues {words}; the manifest records the change.")


def _name(reference: str) -> str:
    return reference.rpartition(":")[2]


def _call(description: Any) -> str:
    return (
        f"{_name(description['type'])}({', '.join(f'{name}={value}' for name, value in description['fields'].items())})"
    )
